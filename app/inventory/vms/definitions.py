"""VM definitions and what follows from them: hardware columns, disk sizes, the text that searches look through."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypedDict

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from app.core.messages import N_
from app.core.storage.pools import DEVICE_POOLS
from app.core.vms.host_access import host_access_of
from app.core.vms.observations import DefinitionObservation, StoredDefinition
from app.db import models
from app.db.chunks import chunks
from app.inventory.batch import Batch, table

DEFINITION = TypeAdapter(DefinitionObservation)
MAX_INTEGER = 2**63 - 1

# What a host fills in or changes while a VM runs; between readings of which one is of a running VM,
# a change of these is no change of the definition.
_RUNTIME = {
    "disks": ("capacity_bytes", "allocation_bytes"),
    "nics": ("target",),
    "graphics": ("listen", "port"),
}
# Controllers that libvirt adds by itself, some only while the VM runs, and that it lists in another order then.
_OWN_CONTROLLERS = ("pci ", "virtio-serial ", "sata ", "ide ", "fdc ", "ccid ")
_RUNTIME_WHOLE = frozenset({"memory_bytes", "cpu_mode", "cpu_model"})  # the balloon; host-model spelled out
_CHANNEL_STATE = re.compile(r" \((?:dis)?connected\)$")
_LIVE = re.compile(r"\s*<domain\s[^>]*\bid=['\"]")
_PARTS = {
    N_("Machine"): ("os_type", "arch", "machine", "hypervisor"),
    N_("Firmware"): ("firmware",),
    N_("vCPUs"): ("vcpus", "vcpus_max"),
    N_("CPU model"): ("cpu_mode", "cpu_model"),
    N_("Memory"): ("memory_bytes", "memory_max_bytes"),
    N_("Title"): ("title",),
    N_("Description"): ("description",),
    N_("Operating system"): ("os_id",),
    N_("Disks"): ("disks",),
    N_("Network interfaces"): ("nics",),
    N_("Displays"): ("graphics",),
    N_("Other devices"): ("devices", "has_agent_channel"),
}


class HardwareColumns(TypedDict):
    """Columns of a VM's row that its definition fills."""

    title: str | None
    vcpus: int
    memory_bytes: int
    disk_bytes: int | None
    host_access: list[str] | None


def parsed(definition: DefinitionObservation) -> StoredDefinition:
    """What is stored beside the XML: all that was read from it."""
    return DEFINITION.dump_python(definition, mode="json", exclude={"xml"})  # type: ignore[no-any-return]


def load(stored: Mapping[str, object]) -> DefinitionObservation:
    """The definition as it was stored, without its XML."""
    return DEFINITION.validate_python({**stored, "xml": ""})


def is_live(xml: str) -> bool:
    """Whether the XML is of a running VM; its beginning is enough."""
    return _LIVE.match(xml) is not None


def differences(before: Mapping[str, object], after: Mapping[str, object], *, live: bool) -> list[str]:
    """Titles of the parts of a definition that somebody changed. `live`: one of the two is of a running VM."""
    return [
        title
        for title, names in _PARTS.items()
        if any(
            _lasting(name, before.get(name), live) != _lasting(name, after.get(name), live) for name in names
        )
    ]


def _lasting(name: str, value: Any, live: bool) -> object:
    """A part of a definition without what is not defined but happens."""
    if live and name in _RUNTIME_WHOLE:
        return None
    if name == "devices":
        return _lasting_devices(value or (), live)
    hidden = _RUNTIME.get(name, ()) if live or name == "disks" else ()
    if not hidden:
        return value
    parts = [{key: item for key, item in part.items() if key not in hidden} for part in value or ()]
    if name == "disks":  # an empty drive has a format only in the saved definition
        parts = [part if part["source"] else part | {"format": None} for part in parts]
    return parts


def _lasting_devices(devices: Iterable[Mapping[str, str]], live: bool) -> list[tuple[str, str]]:
    found = [(device["kind"], _CHANNEL_STATE.sub("", device["summary"])) for device in devices]
    if not live:
        return found
    return sorted(
        (kind, summary)
        for kind, summary in found
        if kind != "controller" or not summary.startswith(_OWN_CONTROLLERS)
    )


def hardware_columns(
    definition: DefinitionObservation, volumes: Mapping[str, int], places: Collection[str]
) -> HardwareColumns:
    """Columns of a VM that its definition fills.

    `volumes`: capacities of its host's volumes by path; `places`: see `pool_places`.
    """
    disks = ((disk.device, disk.source, disk.capacity_bytes) for disk in definition.disks)
    return {
        "title": definition.title,
        "vcpus": min(definition.vcpus, 2**31 - 1),
        "memory_bytes": min(definition.memory_bytes, MAX_INTEGER),
        "disk_bytes": disk_bytes(disks, volumes),
        "host_access": host_access_of(definition.reaches, places) or None,
    }


def disk_bytes(disks: Iterable[tuple[str, str | None, int | None]], volumes: Mapping[str, int]) -> int | None:
    """Capacity of all disks (device, source, capacity) whose size is known; None when none is."""
    sizes = [
        size if size is not None else volumes.get(source or "")
        for device, source, size in disks
        if device in ("disk", "lun")
    ]
    known = [size for size in sizes if size is not None]
    return min(sum(known), MAX_INTEGER) if known else None


def volume_sizes(session: Session, host_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Capacities of the volumes of each host, by path and, as disks of type volume name them, by pool/volume."""
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    pool, volume = table(models.Pool).c, table(models.Volume).c
    for some in chunks(host_ids):
        query = sa.select(pool.host_id, pool.name, volume.name, volume.path, volume.capacity_bytes)
        query = query.join_from(table(models.Pool), table(models.Volume)).where(pool.host_id.in_(some))
        for host_id, pool_name, name, path, capacity in session.execute(query):
            sizes[host_id][path] = sizes[host_id][f"{pool_name}/{name}"] = capacity
    return sizes


def pool_places(session: Session, host_ids: Iterable[str]) -> dict[str, set[str]]:
    """Directories of the pools of each host; of pools that lie in a directory with other devices, their volumes."""
    places: dict[str, set[str]] = defaultdict(set)
    pool, volume = table(models.Pool).c, table(models.Volume).c
    for some in chunks(host_ids):
        own = sa.select(pool.host_id, pool.target_path).where(pool.target_path != "")
        own = own.where(pool.host_id.in_(some), pool.kind.not_in(DEVICE_POOLS))
        listed = sa.select(pool.host_id, volume.path).join_from(table(models.Pool), table(models.Volume))
        listed = listed.where(pool.host_id.in_(some), pool.kind.in_(DEVICE_POOLS))
        for host_id, path in [*session.execute(own), *session.execute(listed)]:
            places[host_id].add(path)
    return places


def refresh_disk_bytes(batch: Batch, host_ids: Iterable[str]) -> None:
    """Add up the disks of the VMs of these hosts anew: their volumes have other sizes now."""
    hosts = list(host_ids)
    sizes = volume_sizes(batch.session, hosts)
    vm, definition = table(models.Vm).c, table(models.VmDefinition).c
    joined = table(models.Vm).join(table(models.VmDefinition))
    for some in chunks(hosts, 50):
        query = sa.select(vm.id, vm.host_id, vm.disk_bytes, definition.parsed).select_from(joined)
        for row in batch.session.execute(query.where(vm.host_id.in_(some))).all():
            disks = [(disk["device"], disk["source"], disk["capacity_bytes"]) for disk in row.parsed["disks"]]
            total = disk_bytes(disks, sizes.get(row.host_id, {}))
            if total != row.disk_bytes:
                batch.update(models.Vm, row.id, {"disk_bytes": total})
                batch.topics.add(row.id)


def refresh_host_access(batch: Batch, host_ids: Iterable[str]) -> None:
    """Judge anew what the VMs of these hosts reach: their pools have other directories now."""
    hosts = list(host_ids)
    places = pool_places(batch.session, hosts)
    vm = table(models.Vm).c
    reaches = table(models.VmDefinition).c.parsed["reaches"].label("reaches")
    joined = table(models.Vm).join(table(models.VmDefinition))
    for some in chunks(hosts, 50):
        query = sa.select(vm.id, vm.host_id, vm.host_access, reaches).select_from(joined)
        for row in batch.session.execute(query.where(vm.host_id.in_(some))).all():
            now = host_access_of(row.reaches or (), places.get(row.host_id, ())) or None
            if now != row.host_access:
                batch.update(models.Vm, row.id, {"host_access": now})
                batch.topics.add(row.id)
