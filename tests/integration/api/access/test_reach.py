"""What of a host each role may reach and open, by API and by page."""

from __future__ import annotations

import pytest

from app.core.access.privileges import Role
from tests.integration.api.conftest import Console
from tests.integration.pages.forms import version_in

BRIDGES = "allowed_bridges"


def test_only_an_administrator_opens_bridges_of_a_host_and_all_see_which(console: Console) -> None:
    path = f"/api/v1/hosts/{console.inventory.hosts[0]}"
    for role in (Role.VIEWER, Role.OPERATOR):
        assert console.client(role).patch(path, json={BRIDGES: ["br0"]}).status_code == 403
    changed = console.client().patch(path, json={BRIDGES: ["br0"], "allowed_interfaces": ["eno1"]})
    assert (changed.status_code, changed.json()[BRIDGES]) == (200, ["br0"])
    assert console.client(Role.VIEWER).get(path).json()["allowed_interfaces"] == ["eno1"]
    refused = console.client().patch(path, json={BRIDGES: ["br0; reboot"]})
    assert (refused.status_code, BRIDGES in refused.text) == (422, True)
    assert console.client().get(path).json()[BRIDGES] == ["br0"]


def test_the_form_of_a_host_opens_and_closes_bridges(console: Console) -> None:
    browser, path = console.browser(), f"/hosts/{console.inventory.hosts[0]}"

    def save(**fields: str) -> tuple[int, str]:
        version = version_in(browser.get(f"{path}/edit").text)
        answer = browser.post(f"{path}/edit", data={"version": version, "name": "kvm-00", **fields})
        return answer.status_code, answer.text

    assert save(allowed_bridges="br0, br-lan")[0] == 303
    assert "br0, br-lan" in browser.get(path).text
    status, text = save(allowed_bridges="../../etc")
    assert (status, "../../etc" in text, 'aria-invalid="true"' in text) == (422, True, True)
    assert save(allowed_bridges="")[0] == 303
    assert "br-lan" not in browser.get(path).text
    operator = console.browser(Role.OPERATOR).post(f"{path}/edit", data={"version": "1", BRIDGES: "br0"})
    assert operator.status_code == 403


@pytest.mark.parametrize("socket", ["/run/docker.sock", "/etc/passwd", "/run/libvirt/../docker.sock"])
def test_no_role_has_a_socket_dialled_that_is_not_libvirts(console: Console, socket: str) -> None:
    target = {"transport": "local", "socket": socket}
    for role in (Role.VIEWER, Role.OPERATOR):
        assert console.client(role).post("/api/v1/hosts/probe", json=target).status_code == 403
    for path, more in (("/hosts/probe", {}), ("/hosts", {"name": "mine"})):
        refused = console.client().post(f"/api/v1{path}", json=target | more)
        assert (refused.status_code, "socket" in refused.text) == (422, True), refused.text
    moved = console.client().patch(f"/api/v1/hosts/{console.inventory.hosts[0]}", json={"socket": socket})
    assert moved.status_code == 422


@pytest.mark.parametrize("path", ["//etc", "/home/alice/.ssh", "/var/lib/libvirt/secrets", "/run", "/opt/x"])
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("dir", {}),
        ("netfs", {"source_host": "nas.example.org", "source_path": "/export"}),
        ("fs", {"source_device": "/dev/sdb1"}),
        ("mpath", {}),
    ],
)
def test_no_role_makes_a_pool_of_the_hosts_system(
    shared: Console, path: str, kind: str, more: dict[str, str]
) -> None:
    requested = {"host_id": shared.inventory.hosts[0], "name": "x", "kind": kind, "target_path": path, **more}
    assert shared.client(Role.OPERATOR).post("/api/v1/pools", json=requested).status_code == 403
    refused = shared.client().post("/api/v1/pools", json=requested)
    assert (refused.status_code, "target_path" in refused.text) == (422, True), refused.text
