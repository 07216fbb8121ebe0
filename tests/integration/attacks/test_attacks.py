"""What people of every role try, by API and by page: files of the host stay unread, and of others unharmed."""

from __future__ import annotations

import struct

import pytest

from app.core.access.privileges import Role
from app.core.vms.create.spec import MIB
from app.lab.paths import POOLS
from tests.integration.attacks.conftest import SECRET_FILE, Attack, Json

pytestmark = pytest.mark.lab


def qcow2(attack: Attack, backing: str) -> bytes:
    """A qcow2 file whose backing file is a file of the host."""
    path = "/run/hostile.qcow2"
    attack.host.exec(
        "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", backing, "-F", "raw", path, str(MIB)
    )
    return (attack.host.run_directory / "hostile.qcow2").read_bytes()


def names(attack: Attack, kind: str) -> str:
    """A name that no other attack uses."""
    return f"{kind}-{attack.role}-{'page' if attack.by_page else 'api'}"


def send_all_but_one_byte(attack: Attack, name: str, data: bytes) -> bool:
    """Upload all but the last byte; whether it was taken."""
    begun = attack.client.post(
        f"/api/v1/pools/{attack.pool()}/uploads", json={"name": name, "size_bytes": len(data) + 1}
    )
    if begun.status_code != 201:
        assert attack.role is Role.VIEWER, begun.text
        return False
    attack.client.put(f"/api/v1/uploads/{begun.json()['id']}?offset=0", content=data)
    return True


def use(attack: Attack, volume: str, name: str) -> list[int]:
    """Everything that opens a volume: a copy, an image, VMs on it and above it, another size, another pool."""
    page = f"/storage/volumes/{volume}"
    disk: Json = {"volume_id": volume, "format": "raw"}
    vm = {"name": f"vm-{name}", "host_id": attack.site.host_ids[attack.host.name], "memory_bytes": 40 * MIB}
    above = {"pool_id": attack.pool(), "name": f"above-{name}", "backing_volume_id": volume}
    copy = {"name": f"copy-{name}", "format": "raw"}
    return [
        attack.post(f"/volumes/{volume}/actions/clone", copy, f"{page}/clone", copy),
        attack.post("/images", {"name": name, "volume_id": volume}),
        attack.post("/vms", {**vm, "disks": [disk], "start": True}),
        attack.post("/vms", {**vm, "name": f"vm2-{name}", "disks": [{"volume_id": volume}], "start": True}),
        attack.post("/volumes", above, f"/storage/{attack.pool()}/new", above),
        attack.post(
            f"/volumes/{volume}/actions/resize",
            {"size_bytes": 4 * MIB},
            f"{page}/resize",
            {"size_gib": "0.1"},
        ),
        attack.post(f"/volumes/{volume}/actions/move", {"pool_id": attack.pool("shared")}),
    ]


def test_a_file_of_the_host_is_not_read_by_an_upload_that_never_ends(attack: Attack) -> None:
    name = names(attack, "half.qcow2")
    if not send_all_but_one_byte(attack, name, qcow2(attack, SECRET_FILE)):
        return
    attack.client.post(f"/api/v1/pools/{attack.pool()}/actions/refresh")
    attack.client.post(f"/api/v1/pools/{attack.pool()}/actions/refresh")
    attack.host.virsh("pool-refresh", "local")
    attack.wait()
    rows = attack.admin.get("/api/v1/volumes", params={"pool": attack.pool(), "limit": "500"}).json()["items"]
    for row in rows:
        if row["name"].startswith(name):
            use(attack, row["id"], name)
            attack.client.get(f"/api/v1/volumes/{row['id']}/content")
    assert attack.leaks(name) == []


def test_a_header_that_a_guest_wrote_reads_no_file_of_the_host(attack: Attack) -> None:
    name = names(attack, "guest.img")
    body = {"pool_id": attack.pool(), "name": name, "size_bytes": 2 * MIB, "format": "raw"}
    answer = attack.admin.post("/api/v1/volumes", json=body)
    assert answer.status_code == 202
    attack.wait()
    header = qcow2(attack, SECRET_FILE)
    (attack.host.run_directory / "header").write_bytes(header)
    attack.host.exec("dd", "if=/run/header", f"of={POOLS['local']}/{name}", "conv=notrunc", "status=none")
    attack.host.virsh("pool-refresh", "local")
    use(attack, attack.id_of("/volumes", name), name)
    assert attack.leaks(name) == []


def test_a_cut_header_does_not_stop_a_pool(attack: Attack) -> None:
    name = names(attack, "cut")
    header = struct.pack(">4sI", b"QFI\xfb", 3) + b"\xff" * 52
    send_all_but_one_byte(attack, name, header)
    attack.host.virsh("pool-refresh", "local")
    assert "running" in attack.host.virsh("pool-info", "local")


@pytest.mark.parametrize(
    "path", ["//etc", "/var/log", "/run", "/var/lib/libvirt/qemu", "/home/x/.ssh", "/srv/../etc"]
)
def test_folders_of_the_system_are_no_pools(attack: Attack, path: str) -> None:
    name = names(attack, path.replace("/", "-").strip("-"))
    body = {
        "host_id": attack.site.host_ids[attack.host.name],
        "name": name,
        "kind": "dir",
        "target_path": path,
    }
    status = attack.post("/pools", body, "/storage/new", body)
    assert status in (403, 422)
    assert name not in attack.host.virsh("pool-list", "--all", "--name").split()


def test_the_uplink_of_a_host_is_not_given_to_a_vm(attack: Attack) -> None:
    for number, nic in enumerate(({"direct": "eth0", "direct_mode": "passthrough"}, {"bridge": "virbr0"})):
        name = f"{names(attack, 'nic')}-{number}"
        vm = {"name": name, "host_id": attack.site.host_ids[attack.host.name], "memory_bytes": 40 * MIB}
        status = attack.post("/vms", {**vm, "nics": [nic], "start": False})
        if attack.role is not Role.ADMINISTRATOR:
            assert status == 403
            assert name not in attack.host.virsh("list", "--all", "--name").split()


def test_a_file_that_a_vm_of_another_host_uses_is_not_touched(attack: Attack) -> None:
    name = names(attack, "used.img")
    body = {
        "name": names(attack, "user"),
        "host_id": attack.site.host_ids[attack.other.name],
        "memory_bytes": 40 * MIB,
        "start": True,
        "disks": [
            {
                "pool_id": attack.pool("shared", attack.other),
                "size_bytes": MIB,
                "volume_name": name,
                "format": "raw",
            }
        ],
    }
    assert attack.admin.post("/api/v1/vms", json=body).status_code == 202
    attack.wait()
    attack.host.virsh("pool-refresh", "shared")
    volume = attack.id_of("/volumes", name, pool=attack.pool("shared"))
    before = attack.other.exec("stat", "-c", "%i %s %Y", f"{POOLS['shared']}/{name}").stdout
    for verb in ("delete", "wipe"):
        attack.post(f"/volumes/{volume}/actions/{verb}", {}, f"/storage/volumes/{volume}/{verb}")
    attack.post(
        f"/volumes/{volume}/actions/move", {"pool_id": attack.pool()}, f"/storage/volumes/{volume}/move"
    )
    attack.post(f"/volumes/{volume}/actions/resize", {"size_bytes": 4 * MIB})
    assert attack.other.exec("stat", "-c", "%i %s %Y", f"{POOLS['shared']}/{name}").stdout == before
