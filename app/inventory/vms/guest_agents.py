"""What guests say of themselves. It is hostile: only short, clean text of it is kept."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from app.core.vms.observations import GuestInfo
from app.core.vms.states import VmState
from app.db import models
from app.db.chunks import chunks
from app.inventory.batch import Batch, Row, table
from app.inventory.merged_report import Reading
from app.inventory.vms.readings import VmReading
from app.inventory.vms.rows import VmRow, VmRows
from app.inventory.vms.search_text import refresh_search

MAX_TEXT = 255
MAX_ADDRESSES = 64
SILENT: Row = {"agent_connected": False, "addresses": []}  # what is known of a guest that does not run


def observe_guests(batch: Batch, readings: Iterable[Reading[Mapping[str, GuestInfo]]]) -> None:
    """Write what guests said, by the UUID of the VM. An answer that comes after its VM has stopped is too late."""
    reported = {reading.host_id: reading.value for reading in readings}
    wanted = {
        vm_row.id: _columns(info)
        for host_id, rows in batch.shared(VmRows).of(reported).items()
        for uuid, info in reported[host_id].items()
        if (vm_row := rows.get(uuid)) is not None and runs(vm_row)
    }
    changed: set[str] = set()
    vm = table(models.Vm).c
    for some in chunks(wanted):
        query = sa.select(vm.id, vm.agent_connected, vm.guest_hostname, vm.os_name, vm.addresses)
        before = {row.id: dict(row._mapping) for row in batch.session.execute(query.where(vm.id.in_(some)))}
        for vm_id in some:
            if before.get(vm_id) != {"id": vm_id, **wanted[vm_id]}:
                batch.update(models.Vm, vm_id, wanted[vm_id])
                changed.add(vm_id)
    batch.topics |= changed
    batch.write()
    refresh_search(batch, changed)


def runs(vm_row: VmRow) -> bool:
    """Whether there is a guest that can say something."""
    return not vm_row.gone and VmState(vm_row.state).is_active


def silence_stopped(batch: Batch, readings: Iterable[VmReading]) -> set[str]:
    """Forget addresses that VMs which do not run still have, on hosts that were read completely; return their ids.

    Who stops is silenced at once; this is for rows that an older version or a lost moment left. It reads the rows as
    they are written so far.
    """
    vm = table(models.Vm).c
    active = [state.value for state in VmState if state.is_active]
    kept = sa.cast(vm.addresses, sa.Text) != "[]"
    silenced: set[str] = set()
    for some in chunks(reading.host_id for reading in readings if reading.value.has_definitions):
        query = sa.select(vm.id).where(vm.host_id.in_(some), vm.state.not_in(active), kept)
        silenced.update(row.id for row in batch.session.execute(query))
    for vm_id in silenced:
        batch.update(models.Vm, vm_id, SILENT)
    batch.topics |= silenced
    return silenced


def _columns(info: GuestInfo) -> Row:
    return {
        "agent_connected": info.agent_connected,
        "guest_hostname": _clean(info.hostname),
        "os_name": _clean(info.os_name),
        "addresses": [[mac[:17], ip] for mac, ip in info.addresses[:MAX_ADDRESSES] if _is_address(ip)],
    }


def _clean(text: str | None) -> str | None:
    """Printable text of bounded length; databases refuse NUL and lone surrogates."""
    if text is None:
        return None
    return "".join(character for character in text if character.isprintable())[:MAX_TEXT].strip() or None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
