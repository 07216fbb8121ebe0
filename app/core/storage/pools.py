"""Storage pools to define: their kinds, what each needs, and where none may be."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.specs import Name, ObjectId, Spec
from app.core.storage.pool_paths import check_pool_path, check_source

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
    "iscsi-direct": ("source_host", "source_device", "initiator"),
    "scsi": ("target_path", "source_device"),
    "mpath": ("target_path",),
    "rbd": ("source_host", "source_name"),
    "gluster": ("source_host", "source_name"),
    "zfs": ("source_name",),
}
# Where a storage server may ask who it is, and what libvirt calls the secret for it.
SECRET_KINDS: dict[PoolKind, str] = {"iscsi": "iscsi", "iscsi-direct": "iscsi", "rbd": "ceph"}
_MAY_HAVE: dict[str, tuple[str, ...]] = {
    "logical": ("target_path",),
    "iscsi": ("initiator", "auth_user", "auth_secret"),
    "iscsi-direct": ("auth_user", "auth_secret"),
    "rbd": ("auth_user", "auth_secret"),
}
# Kinds of pools whose volumes are files, so that qcow2 makes sense and names have endings.
FILE_POOLS = ("dir", "fs", "netfs", "gluster")
# Kinds whose volumes are devices among others in a directory of the host's, such as /dev.
DEVICE_POOLS = ("disk", "iscsi", "scsi", "mpath")
# Kinds whose volumes are made by somebody else.
FIXED_POOLS = ("mpath", "scsi", "iscsi", "iscsi-direct")
# Kinds whose volumes QEMU reaches over the network: they have no path on the host.
NETWORK_POOLS = ("rbd", "gluster", "iscsi-direct")
FIELDS = (
    "target_path",
    "source_host",
    "source_path",
    "source_device",
    "source_name",
    "initiator",
    "auth_user",
    "auth_secret",
)


class PoolSpec(Spec):
    """A storage pool to define on a host. Which fields a kind needs says `NEEDS`."""

    host_id: ObjectId
    name: Name
    kind: PoolKind = "dir"
    target_path: PoolPath | None = Field(
        None, description="The directory, mount point or place of devices on the host."
    )
    source_host: Text | None = Field(None, description="netfs, iscsi, rbd, gluster: the storage server.")
    source_path: PoolPath | None = Field(None, description="netfs: what it exports.")
    source_device: Text | None = Field(
        None, description="fs, disk: a device; iscsi: an IQN; scsi: an adapter."
    )
    source_name: Text | None = Field(
        None, description="logical: the volume group; rbd: the pool; gluster: the volume; zfs: the dataset."
    )
    initiator: Text | None = Field(
        None, description="iscsi, iscsi-direct: the IQN by which the host calls itself there."
    )
    auth_user: Text | None = Field(
        None, description="iscsi, iscsi-direct: the CHAP user; rbd: the Ceph user, such as libvirt."
    )
    auth_secret: Annotated[SecretStr, Field(min_length=1, max_length=500)] | None = Field(
        None,
        description="The CHAP password, or the Ceph key in base64. The host keeps it; it is never shown.",
    )
    autostart: bool = True
    start: bool = True


def checked(spec: PoolSpec, roots: Collection[str]) -> PoolSpec:
    """The specification with its target as a plain path.

    `roots`: the directories that may hold pools of files. Raises InvalidInput for a field that the kind needs, or
    has not, and for a place where no pool may be.
    """
    needs, may = NEEDS[spec.kind], _MAY_HAVE.get(spec.kind, ())
    for field in FIELDS:
        given = getattr(spec, field) is not None
        if field in needs and not given:
            raise InvalidInput(field, N_("is needed by a pool of this kind"))
        if given and field not in needs and field not in may:
            raise InvalidInput(field, N_("is not for a pool of this kind"))
    if (spec.auth_user is None) != (spec.auth_secret is None):
        field = "auth_user" if spec.auth_user is None else "auth_secret"
        raise InvalidInput(field, N_("is needed: user and secret belong together"))
    if spec.auth_secret is not None:
        secret_of(spec.kind, spec.auth_secret.get_secret_value())
    check_source(spec.kind, spec.source_device, spec.source_name)
    if spec.target_path is None:
        return spec
    plain = check_pool_path(spec.kind, spec.target_path, roots, source_name=spec.source_name)
    return spec.model_copy(update={"target_path": plain})


def kinds_with(field: str) -> tuple[str, ...]:
    """The kinds of pools that need the field or may have it."""
    return tuple(kind for kind, needs in NEEDS.items() if field in needs or field in _MAY_HAVE.get(kind, ()))


def secret_of(kind: PoolKind, text: str) -> bytes:
    """The secret as libvirt wants it: of Ceph the bytes that the key stands for. Raises InvalidInput (auth_secret)."""
    if SECRET_KINDS[kind] != "ceph":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidInput("auth_secret", N_("must be a Ceph key in base64")) from None


class PoolPatch(Spec):
    """Changes of a pool."""

    autostart: bool


class PoolPlace(Spec):
    """A pool of another host."""

    host_id: str
    pool_id: str
    uuid: str
