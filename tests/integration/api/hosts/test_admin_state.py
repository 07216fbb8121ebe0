"""The administrative state of a host: how it is set, and what a disabled host refuses."""

import pytest

from app.core.access.privileges import Role
from tests.integration.api.conftest import Console


def test_a_disabled_host_is_stale_and_its_vms_take_no_work(console: Console) -> None:
    client, host = console.client(), console.inventory.hosts[0]
    answer = client.patch(f"/api/v1/hosts/{host}", json={"admin_state": "disabled"})
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["connection"], seen["admin_state"], seen["stale"]) == ("not_answering", "disabled", True)
    assert "disabled" in seen["connection_reason"]
    vm = console.inventory.vms[1]
    shown = client.get(f"/api/v1/vms/{vm}").json()
    assert (shown["stale"], shown["host_admin_state"]) == (True, "disabled")
    assert {(item["allowed"], item["code"]) for item in shown["actions"]} == {(False, "host_disabled")}
    refused = client.post(f"/api/v1/vms/{vm}/actions/start", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "host_disabled")
    assert (refused.json()["why"], refused.json()["hint"]) == (
        "The host is disabled: Vigie does not connect to it.",
        "Enable the host first.",
    )
    enabled = client.patch(f"/api/v1/hosts/{host}", json={"admin_state": "enabled"}).json()
    assert (enabled["connection"], enabled["admin_state"]) == ("connecting", "enabled")


def test_hosts_are_found_by_both_fields(console: Console) -> None:
    client, (well, lost) = console.client(), console.inventory.hosts
    client.patch(f"/api/v1/hosts/{lost}", json={"admin_state": "maintenance"})

    def found(query: str) -> list[str]:
        return [item["id"] for item in client.get(f"/api/v1/hosts?{query}").json()["items"]]

    assert found("connection=connected&connection=auth_failed") == [well]
    assert found("admin_state=maintenance") == [lost]
    assert found("connection=connected&admin_state=maintenance") == []
    assert found("sort=-admin_state") == [lost, well]


@pytest.mark.parametrize("query", ["state=connected", "sort=state", "connection=disabled", "admin_state=on"])
def test_what_a_host_had_before_is_refused(console: Console, query: str) -> None:
    assert console.client().get(f"/api/v1/hosts?{query}").status_code == 422


@pytest.mark.parametrize("body", [{"enabled": False}, {"maintenance": True}, {"admin_state": "off"}])
def test_nothing_else_sets_it(console: Console, body: dict[str, object]) -> None:
    answer = console.client().patch(f"/api/v1/hosts/{console.inventory.hosts[0]}", json=body)
    assert answer.status_code == 422


def test_setting_it_takes_the_privilege_to_edit_hosts(console: Console) -> None:
    host = console.inventory.hosts[0]
    answer = console.client(Role.OPERATOR).patch(f"/api/v1/hosts/{host}", json={"admin_state": "disabled"})
    assert answer.status_code == 403
