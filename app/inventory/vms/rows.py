"""VM rows as the mirror compares them: few columns, no ORM."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.hosts.states import HostState
from app.core.vms.observations import VmObservation
from app.db import models
from app.inventory.batch import chunks, table
from app.inventory.usage import COLUMNS as USAGE

# What each listing says of a VM, in this order in `Copy.seen`.
SEEN = ("name", "state", "state_reason", "domain_id", "persistent", "autostart", "has_managed_save")


@dataclass(slots=True)
class Copy:
    """A VM's row on a host. `gone`: its host does not list it. `new`, `moved`: this batch inserts or moves it."""

    id: str
    host_id: str
    host_name: str
    uuid: str
    seen: tuple[Any, ...]
    duplicate: bool
    gone: bool
    usage: tuple[float | int | None, ...]
    state_since: datetime | None = None
    new: bool = False
    moved: bool = False
    host_is_usable: bool = True

    @property
    def name(self) -> str:
        """Its name as last seen."""
        return str(self.seen[0])

    @property
    def state(self) -> str:
        """Its state as last seen."""
        return str(self.seen[1])

    @property
    def state_reason(self) -> str | None:
        """Why it is in this state, in libvirt's word."""
        return self.seen[2]  # type: ignore[no-any-return]

    @property
    def domain_id(self) -> int | None:
        """Number of its run on the host."""
        return self.seen[3]  # type: ignore[no-any-return]

    @property
    def persistent(self) -> bool:
        """Whether the host keeps its definition."""
        return bool(self.seen[4])

    @property
    def autostart(self) -> bool:
        """Whether it starts with the host."""
        return bool(self.seen[5])

    def as_seen(self, vm: VmObservation) -> Copy:
        """The copy with what a listing says of it."""
        return replace(self, seen=observed(vm))


def observed(vm: VmObservation) -> tuple[Any, ...]:
    """What a listing says, as the columns SEEN."""
    return (
        vm.name,
        vm.state.value,
        vm.state_reason,
        vm.domain_id,
        vm.persistent,
        vm.autostart,
        vm.has_managed_save,
    )


def _columns() -> list[sa.Column[Any]]:
    vm = table(models.Vm).c
    return [
        vm.id,
        vm.host_id,
        vm.uuid,
        *(vm[name] for name in SEEN),
        vm.duplicate,
        *(vm[name] for name in USAGE),
    ]


def _copy(row: sa.Row[*tuple[Any, ...]]) -> Copy:
    seen_end = 3 + len(SEEN)
    usage_end = seen_end + 1 + len(USAGE)
    return Copy(
        row[0],
        row[1],
        row[-2],
        row[2],
        row[3:seen_end],
        row[seen_end],
        row[usage_end],
        row[seen_end + 1 : usage_end],
        state_since=row[usage_end + 1],
        host_is_usable=HostState(row[-1]).is_usable,
    )


def load_copies(session: Session, host_ids: Iterable[str]) -> dict[str, dict[str, Copy]]:
    """The VM rows of these hosts: by host, then by UUID."""
    found: dict[str, dict[str, Copy]] = {host_id: {} for host_id in host_ids}
    vm, host = table(models.Vm), table(models.Host)
    query: sa.Select[Any] = sa.select(
        *_columns(), vm.c.seen_at.is_not(None), vm.c.state_since, host.c.name, host.c.state
    )
    for some in chunks(found):
        for row in session.execute(query.join_from(vm, host).where(vm.c.host_id.in_(some))):
            found[row[1]][row[2]] = _copy(row)
    return found


def load_twins(
    session: Session, uuids: Iterable[str], here: dict[str, dict[str, Copy]]
) -> dict[str, list[Copy]]:
    """All rows with these UUIDs; those of the hosts in `here` are the same objects as there."""
    found: dict[str, list[Copy]] = defaultdict(list)
    vm, host = table(models.Vm), table(models.Host)
    query: sa.Select[Any] = sa.select(
        *_columns(), vm.c.seen_at.is_not(None), vm.c.state_since, host.c.name, host.c.state
    )
    for some in chunks(uuids):
        for row in session.execute(query.join_from(vm, host).where(vm.c.uuid.in_(some))):
            found[row[2]].append(here.get(row[1], {}).get(row[2]) or _copy(row))
    return found
