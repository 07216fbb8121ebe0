"""Names of volumes that VMs get: free in their pool, in what is planned, and in what tasks under way make."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from app.core.folding import fold
from app.db.models import Pool, Task, Volume
from app.services import tasks
from app.services.context import Ctx

GIVING = ("vm.create", "vm.change")  # kinds of tasks whose parameters hold plans of disks


def free_name(ctx: Ctx, pool: Pool, stem: str, suffix: str, given: Collection[str] = ()) -> str:
    """A name for a new volume: that no volume of the pool has, no task under way makes, and is not `given` away."""
    making = _names_under_way(ctx, pool)
    for number in itertools.count(1):
        name = f"{stem}.{suffix}" if number == 1 else f"{stem}-{number}.{suffix}"
        if name not in given and fold(name) not in making and not is_there(ctx, pool, name):
            return name
    raise AssertionError("numbers do not end")


def is_there(ctx: Ctx, pool: Pool, name: str) -> bool:
    """Whether the pool was last seen with a volume of this name."""
    query = sa.select(Volume.id).where(Volume.pool_id == pool.id, Volume.name == name)
    return ctx.session.scalar(query.limit(1)) is not None


def _names_under_way(ctx: Ctx, pool: Pool) -> set[str]:
    """Folded names of the volumes that tasks under way make in the pool."""
    query = sa.select(Task.kind, Task.lock, Task.params).where(
        Task.state.in_(tasks.ACTIVE), Task.host_id == pool.host_id
    )
    found: set[str] = set()
    held = f"{pool.id}/volume/"
    for kind, lock, params in ctx.session.execute(query):
        if str(lock).startswith(held):
            found.add(str(lock).removeprefix(held))
        if kind in GIVING:
            plans = [disk["new"] for disk in disks_of(params) if disk.get("new")]
            found |= {fold(plan["name"]) for plan in plans if plan["pool"] == pool.uuid}
    return found


def disks_of(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Plans of disks in the parameters of a task of a kind in GIVING."""
    if "blueprint" in params:
        return list(params["blueprint"]["disks"])
    return [step["disk"] for step in params["steps"] if step["disk"]]
