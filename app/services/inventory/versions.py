"""Earlier definitions of storage pools and networks: listed, compared, brought back. Those of VMs: `definitions`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from app.access.context import Ctx
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.pool_paths import check_pool_path, check_source
from app.core.tasks.records import TaskRecord
from app.core.vms.devices import DiffLine, DiffRecord, Redefinition, VersionList, VersionRecord
from app.db.models import History, Host, Network, Pool
from app.hypervisor.xml import pools
from app.hypervisor.xml.compare import compared
from app.hypervisor.xml.domains.read import UnreadableXml
from app.inventory.batch import digest_of
from app.services.hosts.checks import require_workable
from app.tasks import tasks

MOST = 500


@dataclass(frozen=True, slots=True)
class _Kind:
    model: type[Pool] | type[Network]
    view: str
    edit: str
    work: str
    unknown: str


_KINDS = {
    ObjectKind.POOL: _Kind(
        Pool, "pool.view", "pool.edit", "pool.define", N_("There is no such storage pool.")
    ),
    ObjectKind.NETWORK: _Kind(
        Network, "network.view", "network.edit", "network.define", N_("There is no such network.")
    ),
}


def list_versions(ctx: Ctx, kind: ObjectKind, object_id: str) -> VersionList:
    """Versions of the lasting definition, the latest first. Raises NotFound."""
    _find(ctx, kind, object_id)
    return versions_of(ctx, object_id)


def show_version(ctx: Ctx, kind: ObjectKind, object_id: str, number: int) -> str:
    """The XML of a version; 0 is the present one. Raises NotFound."""
    found = _find(ctx, kind, object_id)
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
    ctx.require(how.edit)
    found = _find(ctx, kind, object_id)
    ctx.require(how.edit, found)
    host = ctx.session.get_one(Host, found.host_id)
    require_workable(ctx, host)
    if isinstance(found, Pool) and found.state != "inactive":
        raise Conflict(
            N_("This cannot be done now."),
            why=N_("The storage pool runs."),
            hint=N_("Stop it first: libvirt changes only the definition of a pool that is off."),
            code="wrong_state",
        )
    if not found.persistent:
        raise Conflict(
            N_("This cannot be done now."),
            why=N_("Its host forgets it when it stops."),
            hint=N_("Define it on its host first."),
            code="not_persistent",
        )
    now = found.xml or ""
    xml = saved_version(ctx, object_id, number).xml
    if isinstance(found, Pool):
        _check_places(ctx, now, xml)
    params = Redefinition(
        uuid=found.uuid,
        xml=xml,
        digest=pools.digest(now) if isinstance(found, Pool) and now else digest_of(now),
    )
    task = tasks.enqueue(
        ctx,
        how.work,
        target=Ref(kind=kind, id=found.id, name=found.name),
        host=Ref(kind=ObjectKind.HOST, id=host.id, name=host.name),
        params=params.model_dump(),
    )
    return tasks.record_of(ctx, task)


def _check_places(ctx: Ctx, before: str, after: str) -> None:
    """Raise Conflict (place_refused) when the version would put a pool where a new one may not be."""
    try:
        wanted = pools.read_places(after)
        if before and pools.read_places(before) == wanted:
            return  # where it lies is as it was found on its host
        check_source(wanted.kind, wanted.source_device, wanted.source_name)
        if wanted.target_path is not None:
            roots = ctx.services.settings.pool_roots
            check_pool_path(wanted.kind, wanted.target_path, roots, source_name=wanted.source_name)
    except UnreadableXml as error:
        why: str = str(error)[:300]
    except InvalidInput as error:
        why = f"{error.field}: {ctx.say(error.rule, dict(error.params or {}))}"
    else:
        return
    raise Conflict(
        N_("This version cannot be restored: a storage pool may not lie where it says."),
        why=why,
        hint=N_("Define the pool on its host if it has to be there, for example with virsh."),
        code="place_refused",
    )


def versions_of(ctx: Ctx, object_id: str) -> VersionList:
    """What is kept of an object that the asker may see."""
    query = sa.select(History).where(History.object_id == object_id).order_by(History.id.desc()).limit(MOST)
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


def _find(ctx: Ctx, kind: ObjectKind, object_id: str) -> Pool | Network:
    how = _KINDS[kind]
    query = sa.select(how.model).where(how.model.id == object_id).options(undefer(how.model.xml))
    found = ctx.session.scalar(ctx.visible(query, how.view))
    if not isinstance(found, Pool | Network):
        raise NotFound(how.unknown)
    return found
