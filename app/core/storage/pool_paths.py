"""Where the storage pools of hosts may lie. Vigie compares plain paths: it has no program on a host to follow links."""

from __future__ import annotations

import re
from collections.abc import Collection

from app.core.errors import InvalidInput
from app.core.messages import N_

# Never, whatever the settings allow: a pool makes every file in its directory a volume, which may be overwritten.
FORBIDDEN_DIRECTORIES = frozenset(
    ("/", "/home", "/opt", "/srv", "/mnt", "/media", "/var", "/var/lib", "/var/lib/libvirt", "/tmp")  # noqa: S108  refused, not used
)
# Nor anything below these.
FORBIDDEN_TREES = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys", "/usr",
    "/var/backups", "/var/cache", "/var/log", "/var/mail", "/var/spool",
    *(f"/var/lib/{name}" for name in (
        "apt", "containerd", "containers", "docker", "dpkg", "etcd", "kubelet", "libvirt/dnsmasq", "libvirt/lockd",
        "libvirt/lxc", "libvirt/network", "libvirt/nwfilter", "libvirt/qemu", "libvirt/sanlock", "libvirt/secrets",
        "libvirt/swtpm", "machines", "mysql", "pgsql", "polkit-1", "portables", "postgresql", "private", "rpm", "swtpm",
        "systemd", "vigie",
    )),
)  # fmt: skip
# Where the devices of these kinds appear: libvirt looks there for links to the devices of the pool's source.
DEVICE_DIRECTORIES = {
    "disk": ("/dev",),
    "iscsi": ("/dev/disk/by-path", "/dev/disk/by-id"),
    "scsi": ("/dev", "/dev/disk/by-path", "/dev/disk/by-id"),
    "mpath": ("/dev/mapper",),
}
# Links that every system has.
_LINKS = (("/var/run", "/run"), ("/var/lock", "/run/lock"))
_VOLUME_GROUP = re.compile(r"[A-Za-z0-9+_][A-Za-z0-9+_.-]{0,126}")


def plain_path(path: str) -> str:
    """The path without `//`, `/./` and a slash at its end. Raises ValueError for a relative one and for `..`."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or ".." in parts:
        raise ValueError(path)
    plain = "/" + "/".join(parts)
    for link, target in _LINKS:
        if is_inside(plain, link):
            plain = target + plain.removeprefix(link)
    return plain


def is_inside(path: str, directory: str) -> bool:
    """Whether a plain path is the directory or lies in it."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def check_pool_path(kind: str, path: str, roots: Collection[str], *, source_name: str | None = None) -> str:
    """The plain path of a pool's target, if a pool of this kind may have it.

    `roots`: the directories that the settings allow for pools of files. Raises InvalidInput (target_path).
    """
    try:
        plain = plain_path(path)
    except ValueError:
        raise InvalidInput("target_path", N_("must be an absolute path without ..")) from None
    if kind == "logical":
        _require_one_of(plain, (f"/dev/{source_name}",))
    elif kind in DEVICE_DIRECTORIES:
        _require_one_of(plain, DEVICE_DIRECTORIES[kind])
    else:
        _check_folder(plain, roots)
    return plain


def check_source(kind: str, device: str | None, name: str | None) -> None:
    """Raise InvalidInput (source_device, source_name) for a source that would lead to files of the host's system."""
    if kind in ("fs", "disk") and device is not None:
        try:
            is_device = is_inside(plain_path(device), "/dev")
        except ValueError:
            is_device = False
        if not is_device:
            raise InvalidInput("source_device", N_("must be a device, such as /dev/sdb1"))
    if kind == "logical" and name is not None and not _VOLUME_GROUP.fullmatch(name):
        raise InvalidInput("source_name", N_("must be the name of a volume group: letters, digits, + _ . -"))


def _require_one_of(path: str, directories: Collection[str]) -> None:
    if path not in directories:
        raise InvalidInput(
            "target_path",
            N_("must be %(directories)s for a pool of this kind"),
            params={"directories": ", ".join(directories)},
        )


def _check_folder(path: str, roots: Collection[str]) -> None:
    hidden = any(part.startswith(".") for part in path.split("/"))
    if path in FORBIDDEN_DIRECTORIES or hidden or any(is_inside(path, tree) for tree in FORBIDDEN_TREES):
        raise InvalidInput("target_path", N_("must not be a folder of the host's system"))
    if not any(is_inside(path, root) for root in roots):
        raise InvalidInput(
            "target_path",
            N_("is in no folder that may hold storage pools: %(directories)s"),
            params={"directories": ", ".join(roots)},
            hint=N_("Choose a folder there, or have VIGIE_POOL_DIRECTORIES name another one."),
        )
