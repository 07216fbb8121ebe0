"""Storage pools to define: their kinds, what each needs, and where none may be."""

from __future__ import annotations

import posixpath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.specs import Name, ObjectId, Spec

PoolKind = Literal[
    "dir", "fs", "netfs", "logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath", "rbd", "gluster", "zfs"
]
PoolPath = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^/[^\x00-\x1f]*$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\s<>'\"]+$")]
# What each kind must say, by https://libvirt.org/storage.html
NEEDS: dict[str, tuple[str, ...]] = {
    "dir": ("target_path",),
    "fs": ("target_path", "source_device"),
    "netfs": ("target_path", "source_host", "source_path"),
    "logical": ("source_name",),
    "disk": ("target_path", "source_device"),
    "iscsi": ("target_path", "source_host", "source_device"),
    "iscsi-direct": ("source_host", "source_device"),
    "scsi": ("target_path", "source_device"),
    "mpath": ("target_path",),
    "rbd": ("source_host", "source_name"),
    "gluster": ("source_host", "source_name"),
    "zfs": ("source_name",),
}
# A pool makes every file in its folder a volume, which may be overwritten.
SYSTEM = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin",
          "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/lib/libvirt", "/var/log", "/mnt", "/media")  # fmt: skip  # noqa: S108  refused, not used
BELOW = (
    "/bin/",
    "/boot/",
    "/dev/",
    "/etc/",
    "/lib/",
    "/lib64/",
    "/proc/",
    "/root/",
    "/run/",
    "/sbin/",
    "/sys/",
    "/usr/",
)
_DEVICES = ("disk", "iscsi", "scsi", "mpath")


class PoolSpec(Spec):
    """A storage pool to define on a host. Which fields a kind needs says `NEEDS`."""

    host_id: ObjectId
    name: Name
    kind: PoolKind = "dir"
    target_path: PoolPath | None = Field(
        None, description="The folder, mount point or place of devices on the host."
    )
    source_host: Text | None = Field(None, description="netfs, iscsi, rbd, gluster: the storage server.")
    source_path: PoolPath | None = Field(None, description="netfs: what it exports.")
    source_device: Text | None = Field(
        None, description="fs, disk: a device; iscsi: an IQN; scsi: an adapter."
    )
    source_name: Text | None = Field(
        None, description="logical: the volume group; rbd: the pool; gluster: the volume; zfs: the dataset."
    )
    autostart: bool = True
    start: bool = True


def check(spec: PoolSpec) -> None:
    """Raise InvalidInput for a field that the kind needs, or has not, and for a folder of the host's system."""
    needs = NEEDS[spec.kind]
    for field in ("target_path", "source_host", "source_path", "source_device", "source_name"):
        given = getattr(spec, field) is not None
        if field in needs and not given:
            raise InvalidInput(field, N_("is needed by a pool of this kind"))
        if given and field not in needs and not (field == "target_path" and spec.kind == "logical"):
            raise InvalidInput(field, N_("is not for a pool of this kind"))
    if spec.target_path is not None:
        path = posixpath.normpath(spec.target_path)
        is_system = path in SYSTEM or f"{path}/".startswith(BELOW)
        if (is_system and spec.kind not in _DEVICES) or ".." in spec.target_path.split("/"):
            raise InvalidInput("target_path", N_("must not be a folder of the host's system"))


class PoolWork(Spec):
    """Params of tasks on a pool that there is."""

    uuid: str


class PoolMaking(Spec):
    """Params of a task that defines a pool."""

    uuid: str
    spec: PoolSpec


class PoolPatch(Spec):
    """Changes of a pool."""

    autostart: bool


class PoolChanging(PoolWork):
    """Params of a task that changes a pool."""

    autostart: bool
