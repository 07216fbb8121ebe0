"""VM rows as the mirror compares them: few columns, no ORM."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.vms.observations import VmObservation
from app.db import models
from app.db.chunks import chunks
from app.inventory.batch import table
from app.inventory.staleness import USABLE
from app.inventory.usage import COLUMNS as USAGE


class Seen(NamedTuple):
    """What each listing says of a VM: columns of its row."""

    name: str
    state: str
    state_reason: str | None
    domain_id: int | None
    persistent: bool
    autostart: bool
    has_managed_save: bool


SEEN = Seen._fields


@dataclass(slots=True)
class VmRow:
    """A VM's row on a host. `gone`: its host does not list it. `new`, `moved`: this batch inserts or moves it."""

    id: str
    host_id: str
    host_name: str
    uuid: str
    seen: Seen
    duplicate: bool
    gone: bool
    usage: tuple[object, ...]
    state_since: datetime | None = None
    new: bool = False
    moved: bool = False
    host_is_usable: bool = True

    @property
    def name(self) -> str:
        """Its name as last seen."""
        return self.seen.name

    @property
    def state(self) -> str:
        """Its state as last seen."""
        return self.seen.state

    @property
    def state_reason(self) -> str | None:
        """Why it is in this state, in libvirt's word."""
        return self.seen.state_reason

    @property
    def domain_id(self) -> int | None:
        """Number of its run on the host."""
        return self.seen.domain_id

    @property
    def persistent(self) -> bool:
        """Whether the host keeps its definition."""
        return self.seen.persistent

    @property
    def autostart(self) -> bool:
        """Whether it starts with the host."""
        return self.seen.autostart

    def as_seen(self, vm: VmObservation) -> VmRow:
        """The row with what a listing says of it."""
        return replace(self, seen=observed(vm))


def observed(vm: VmObservation) -> Seen:
    """What a listing says, as the columns SEEN."""
    return Seen(
        vm.name,
        vm.state.value,
        vm.state_reason,
        vm.domain_id,
        vm.persistent,
        vm.autostart,
        vm.has_managed_save,
    )


def _columns() -> list[sa.Column[object]]:
    vm = table(models.Vm).c
    return [
        vm.id,
        vm.host_id,
        vm.uuid,
        *(vm[name] for name in SEEN),
        vm.duplicate,
        *(vm[name] for name in USAGE),
    ]


def _vm_row(row: Sequence[Any]) -> VmRow:
    """A row of `_query`, read by place: a look-up by name costs as much as all the rest."""
    vm_id, host_id, uuid, *others = row
    gone, state_since, host_name, connection = others[-4:]
    return VmRow(
        vm_id,
        host_id,
        host_name,
        uuid,
        Seen._make(others[: len(SEEN)]),
        others[len(SEEN)],
        gone,
        tuple(others[len(SEEN) + 1 : -4]),
        state_since=state_since,
        host_is_usable=connection in USABLE,
    )


def _query() -> sa.Select[*tuple[object, ...]]:
    vm, host = table(models.Vm), table(models.Host)
    found = sa.select(
        *_columns(),
        vm.c.missing_since.is_not(None).label("gone"),
        vm.c.state_since,
        host.c.name.label("host_name"),
        host.c.connection,
    )
    return found.join_from(vm, host)


class VmRows:
    """The VM rows of the hosts of a batch, each read once. Whoever changes a row changes it here, too."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, dict[str, VmRow]] = {}

    def of(self, host_ids: Iterable[str]) -> dict[str, dict[str, VmRow]]:
        """Those of these hosts: by host, then by UUID."""
        wanted = list(host_ids)
        new = [host_id for host_id in wanted if host_id not in self._known]
        self._known |= {host_id: {} for host_id in new}
        host = table(models.Vm).c.host_id
        for some in chunks(new):
            for vm_row in map(_vm_row, self._session.execute(_query().where(host.in_(some)))):
                self._known[vm_row.host_id][vm_row.uuid] = vm_row
        return {host_id: self._known[host_id] for host_id in wanted}

    def with_uuids(self, uuids: Iterable[str]) -> dict[str, list[VmRow]]:
        """Those of any host with these UUIDs; rows that are known already are the same objects."""
        found: dict[str, list[VmRow]] = defaultdict(list)
        uuid = table(models.Vm).c.uuid
        for some in chunks(uuids):
            for vm_row in map(_vm_row, self._session.execute(_query().where(uuid.in_(some)))):
                known = self._known.get(vm_row.host_id, {}).get(vm_row.uuid)
                found[vm_row.uuid].append(known or vm_row)
        return found
