"""What people call things on the command line, found in the inventory."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.hosts.specs import HostQuery
from app.core.library.images import ImageRecord
from app.core.specs import MAX_LIMIT
from app.core.storage.records import PoolRecord, VolumeRecord
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.vms.records import VmRecord
from app.core.vms.specs import VmQuery
from app.services.hosts import hosts
from app.services.library import images
from app.services.storage.pools.pools import list_pools, show_pool
from app.services.storage.volumes.volumes import list_volumes, show_record
from app.services.vms import vms

VmName = Annotated[str, typer.Argument(help="Name, UUID or id of the VM.")]


def vm_named(ctx: Ctx, name: str) -> VmRecord:
    """The one VM that is called so. Raises InvalidInput when there is none, or several."""
    if name.startswith("vm_"):
        return vms.show_vm(ctx, name)
    is_uuid = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name.lower())
    query = VmQuery(uuid=name.lower()) if is_uuid else VmQuery(name=name)
    found = vms.list_vms(ctx, query).items
    if not found:
        raise InvalidInput("name", "names no VM")
    if len(found) > 1:
        where = ", ".join(f"{item.id} on {item.host_name}" for item in found)
        raise InvalidInput("name", "names several VMs", hint=f"Give the id of one: {where}.")
    return found[0]


def host_named(ctx: Ctx, name: str) -> str:
    """The id of the host that is called so. Raises InvalidInput."""
    for item in hosts.list_hosts(ctx, HostQuery(limit=MAX_LIMIT, q=name)).items:
        if name.casefold() in (item.name.casefold(), item.id):
            return item.id
    raise InvalidInput("host", "names no host")


def pool_named(ctx: Ctx, name: str) -> PoolRecord:
    """The pool that is called HOST/POOL, or by its id. Raises InvalidInput."""
    if name.startswith("pool_"):
        return show_pool(ctx, name)
    host, slash, pool = name.partition("/")
    if not slash:
        raise InvalidInput("pool", "must be HOST/POOL, such as kvm-01/default")
    for item in list_pools(ctx, PoolQuery(limit=MAX_LIMIT, host=host_named(ctx, host))).items:
        if item.name == pool:
            return item
    raise InvalidInput("pool", "names no storage pool of this host")


def volume_named(ctx: Ctx, name: str) -> VolumeRecord:
    """The volume that is called HOST/POOL/VOLUME, or by its id. Raises InvalidInput."""
    if name.startswith("vol_"):
        return show_record(ctx, name)
    place, slash, volume = name.rpartition("/")
    if not slash or "/" not in place:
        raise InvalidInput("volume", "must be HOST/POOL/VOLUME, such as kvm-01/default/data.qcow2")
    pool = pool_named(ctx, place)
    for item in list_volumes(ctx, VolumeQuery(limit=MAX_LIMIT, pool=pool.id, q=volume)).items:
        if item.name == volume:
            return item
    raise InvalidInput("volume", "names no volume of this pool")


def image_named(ctx: Ctx, name: str) -> ImageRecord:
    """The image that is called so, or by its id. Raises InvalidInput."""
    found = images.find_image(ctx, name)
    if found is None:
        raise InvalidInput("image", "names no image of the library")
    return found
