"""Earlier definitions of storage pools and networks: listed, compared, restored. Those of VMs: `definitions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import NotFound
from app.core.inventory.versions import DiffLine, DiffRecord, VersionList, VersionRecord
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import History, Network, Pool
from app.hypervisor.xml.compare import compared
from app.services.networks.change import restore_network
from app.services.storage.pools.change import restore_pool

MAX_LISTED = 500


@dataclass(frozen=True, slots=True)
class _Kind:
    """How definitions of a kind of object are kept: `restore` has one count again."""

    model: type[Pool] | type[Network]
    view: str
    edit: str
    restore: Callable[[Ctx, str, str], TaskRecord]


_KINDS = {
    ObjectKind.POOL: _Kind(Pool, "pool.view", "pool.edit", restore_pool),
    ObjectKind.NETWORK: _Kind(Network, "network.view", "network.edit", restore_network),
}


def list_versions(ctx: Ctx, kind: ObjectKind, object_id: str) -> VersionList:
    """Versions of the lasting definition, the latest first. Raises NotFound."""
    find(ctx, _KINDS[kind].model, object_id, _KINDS[kind].view)
    return versions_of(ctx, object_id)


def show_version(ctx: Ctx, kind: ObjectKind, object_id: str, number: int) -> str:
    """The XML of a version; 0 is the present one. Raises NotFound."""
    found = find(ctx, _KINDS[kind].model, object_id, _KINDS[kind].view)
    return saved_version(ctx, object_id, number).xml if number else found.xml or ""


def diff_versions(ctx: Ctx, kind: ObjectKind, object_id: str, before: int, after: int) -> DiffRecord:
    """Two versions compared; 0 is the present one. Raises NotFound."""
    texts = [show_version(ctx, kind, object_id, number) for number in (before, after)]
    lines = compared(*texts)
    return DiffRecord(
        parts=(), lines=tuple(DiffLine.model_validate({"kind": sort, "text": text}) for sort, text in lines)
    )


def restore_version(ctx: Ctx, kind: ObjectKind, object_id: str, number: int) -> TaskRecord:
    """Ask that a version counts again. A pool must be off for it, and lie where a new one may.

    Raises NotFound, Conflict (wrong_state, not_persistent, place_refused), Busy.
    """
    how = _KINDS[kind]
    find(ctx, how.model, object_id, how.edit)
    return how.restore(ctx, object_id, saved_version(ctx, object_id, number).xml)


def versions_of(ctx: Ctx, object_id: str) -> VersionList:
    """What is kept of an object that the asker may see."""
    query = (
        sa.select(History).where(History.object_id == object_id).order_by(History.id.desc()).limit(MAX_LISTED)
    )
    rows = list(ctx.session.scalars(query))
    if not rows:
        return VersionList(items=(VersionRecord(id=0, current=True),))
    return VersionList(
        items=tuple(
            VersionRecord(
                id=row.id, since=row.since, actor=row.actor_name, task_id=row.task_id, current=row is rows[0]
            )
            for row in rows
        )
    )


def saved_version(ctx: Ctx, object_id: str, number: int) -> History:
    """A version of an object. Raises NotFound for one of another object as well."""
    row = ctx.session.get(History, number)
    if row is None or row.object_id != object_id:
        raise NotFound(N_("There is no such version."))
    return row
