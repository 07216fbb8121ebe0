"""Names of volumes that VMs get: free in their pool, in what is planned, and in what tasks under way make."""

from __future__ import annotations

import itertools
from collections.abc import Collection

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import unrestricted
from app.core.casefold import fold
from app.db.models import Pool, TaskLock, Volume
from app.services.storage.pools.same_storage import same_storage
from app.services.storage.volumes.locks import name_lock


def free_name(ctx: Ctx, pool: Pool, stem: str, suffix: str, given: Collection[str] = ()) -> str:
    """A name for a new volume: that no volume of the pool has, no task under way makes, and is not `given` away."""
    making = _names_under_way(ctx, pool)
    for number in itertools.count(1):
        name = f"{stem}.{suffix}" if number == 1 else f"{stem}-{number}.{suffix}"
        if name not in given and fold(name) not in making and not is_there(ctx, pool, name):
            return name
    raise AssertionError("numbers do not end")


def is_there(ctx: Ctx, pool: Pool, name: str) -> bool:
    """Whether the pool was last seen with a volume of this name, through whichever host."""
    pools = [item.id for item in same_storage(ctx.session, pool)]
    query = sa.select(Volume.id).where(Volume.pool_id.in_(pools), Volume.name == name)
    return ctx.session.scalar(unrestricted(query.limit(1))) is not None


def _names_under_way(ctx: Ctx, pool: Pool) -> set[str]:
    """Folded names of the volumes of the pool that tasks hold: those that they make are among them."""
    prefix = name_lock(pool, "")
    query = sa.select(TaskLock.name).where(TaskLock.name.startswith(prefix, autoescape=True))
    return {name.removeprefix(prefix) for name in ctx.session.scalars(query)}
