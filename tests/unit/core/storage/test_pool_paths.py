"""Where pools may lie: only below the directories that the settings name, and never in the host's system."""

import pytest

from app.config import Settings
from app.core.errors import InvalidInput
from app.core.storage.pool_paths import is_inside, plain_path
from app.core.storage.pools import PoolSpec, checked

ROOTS = Settings().pool_roots
HOST = "host_aaaaaaaaaaaaaaaa"


def placed(kind: str, path: str, roots: tuple[str, ...] = ROOTS) -> str | None:
    given = {
        "netfs": {"source_host": "nas.example.org", "source_path": "/export"},
        "fs": {"source_device": "/dev/sdb1"},
        "disk": {"source_device": "/dev/sdb"},
        "iscsi": {"source_host": "san.example.org", "source_device": "iqn.2013-06.com.example:x"},
        "scsi": {"source_device": "host1"},
        "logical": {"source_name": "vg0"},
    }.get(kind, {})
    spec = PoolSpec.model_validate({"host_id": HOST, "name": "x", "kind": kind, "target_path": path, **given})
    return checked(spec, roots).target_path


REFUSED = [
    "/", "//", "//etc", "/etc//", "/./etc", "/etc", "///etc/libvirt", "/home/alice/.ssh", "/home/alice", "/srv/x/.ssh",
    "/var/spool/cron", "/var/lib/libvirt/qemu", "/var/lib/libvirt/secrets/", "/var//lib/vigie", "/var/lib/docker/volumes",
    "/var/lib/dpkg", "/var/log", "/var/run", "/run", "/run/libvirt", "/var/lib/libvirt/images/../../../../etc",
    "/var/lib/libvirt/imagesx", "/srv", "/mnt/", "/usr/share/x", "/dev", "/dev/shm", "/root/images", "/tmp/x", "/opt/x",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["dir", "fs", "netfs", "iscsi", "mpath", "scsi", "disk", "logical"])
@pytest.mark.parametrize("path", REFUSED)
def test_a_folder_of_the_hosts_system_is_no_place_for_a_pool_of_any_kind(kind: str, path: str) -> None:
    if path == "/dev" and kind in ("scsi", "disk"):
        return
    with pytest.raises(InvalidInput) as reported:
        placed(kind, path)
    assert reported.value.field == "target_path"


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/var/lib/libvirt/qemu", "/var/log/x", "/root", "/home/a/.ssh"]
)
def test_the_hosts_system_is_refused_even_when_the_setting_allows_all(path: str) -> None:
    with pytest.raises(InvalidInput):
        placed("dir", path, ("/",))


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("dir", "/srv/vms/", "/srv/vms"),
        ("dir", "//srv//vms", "/srv/vms"),
        ("dir", "/var/lib/libvirt/images", "/var/lib/libvirt/images"),
        ("netfs", "/mnt/./nas", "/mnt/nas"),
        ("fs", "/data", "/data"),
        ("iscsi", "/dev/disk/by-path/", "/dev/disk/by-path"),
        ("mpath", "/dev/mapper", "/dev/mapper"),
        ("disk", "/dev", "/dev"),
        ("logical", "/dev/vg0", "/dev/vg0"),
    ],
)
def test_what_admins_use_is_taken_and_kept_plain(kind: str, given: str, kept: str) -> None:
    assert placed(kind, given) == kept


def test_a_folder_that_the_setting_names_is_taken() -> None:
    roots = Settings(pool_directories="/home/vms/, //fast//nvme").pool_roots
    assert roots == ("/home/vms", "/fast/nvme")
    assert placed("dir", "/home/vms/a", roots) == "/home/vms/a"
    with pytest.raises(InvalidInput):
        placed("dir", "/srv/vms", roots)


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("fs", {"target_path": "/mnt/x", "source_device": "/etc/shadow"}, "source_device"),
        ("fs", {"target_path": "/mnt/x", "source_device": "/dev/../etc"}, "source_device"),
        ("disk", {"target_path": "/dev", "source_device": "/srv/disk.img"}, "source_device"),
        ("logical", {"source_name": "../../etc"}, "source_name"),
    ],
)
def test_a_source_that_is_no_device_is_refused(kind: str, given: dict[str, str], field: str) -> None:
    spec = PoolSpec.model_validate({"host_id": HOST, "name": "x", "kind": kind, **given})
    with pytest.raises(InvalidInput) as reported:
        checked(spec, ROOTS)
    assert reported.value.field == field


def test_plain_paths() -> None:
    assert plain_path("/var/run/libvirt") == "/run/libvirt"
    assert plain_path("/var/runs") == "/var/runs"
    assert is_inside("/srv/a", "/srv")
    assert not is_inside("/srvx", "/srv")
    for path in ("srv", "", "/srv/..", "../srv"):
        with pytest.raises(ValueError):
            plain_path(path)
