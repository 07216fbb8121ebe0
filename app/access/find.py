"""The one way to an object: found by its id, if the actor may see it and holds the privilege on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from app.access.context import Ctx
from app.core.errors import NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.db.models import Datacenter, Filter, Host, Image, Network, Pool, Vm, Volume
from app.db.models.base import Base

M = TypeVar("M", bound=Base)


class Found(NamedTuple):
    """What a model is: the kind of its objects, the privilege to see them, and the message when one is missing."""

    kind: ObjectKind
    view: str
    missing: str


FINDABLE: dict[type[Base], Found] = {
    Vm: Found(ObjectKind.VM, "vm.view", N_("There is no such VM.")),
    Host: Found(ObjectKind.HOST, "host.view", N_("There is no such host.")),
    Datacenter: Found(ObjectKind.DATACENTER, "datacenter.view", N_("There is no such datacenter.")),
    Pool: Found(ObjectKind.POOL, "pool.view", N_("There is no such storage pool.")),
    Volume: Found(ObjectKind.VOLUME, "pool.view", N_("There is no such volume.")),
    Network: Found(ObjectKind.NETWORK, "network.view", N_("There is no such network.")),
    Filter: Found(ObjectKind.FILTER, "network.view", N_("There is no such traffic filter.")),
    Image: Found(ObjectKind.IMAGE, "image.view", N_("There is no such image.")),
}


def find(ctx: Ctx, model: type[M], object_id: str, privilege: str, *, lock: bool = False) -> M:
    """The object, if the actor may see it and holds the privilege on it.

    `lock` keeps others from changing its row until this transaction ends. Raises NotFound, NotAllowed.
    """
    ctx.require(privilege)
    about = FINDABLE[model]
    known = ctx.visible_rows.get(object_id)
    if isinstance(known, model) and not lock:
        ctx.require(privilege, known)
        return known
    query: Any = ctx.visible(sa.select(model).where(_id_of(model) == object_id), about.view)
    row: M | None = ctx.session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(about.missing)
    ctx.require(privilege, row)
    return row


def preload(ctx: Ctx, model: type[M], object_ids: Collection[str]) -> list[M]:
    """Those of these objects that the actor may see, in no order; until the transaction ends, `find` has them at hand."""
    found: list[M] = []
    ids = sorted(set(object_ids))
    for start in range(0, len(ids), 500):
        query: Any = sa.select(model).where(_id_of(model).in_(ids[start : start + 500]))
        found += ctx.session.scalars(ctx.visible(query, FINDABLE[model].view))
    ctx.visible_rows |= {row.__mapper__.primary_key_from_instance(row)[0]: row for row in found}
    return found


def ref(row: Any) -> Ref:
    """A pointer to an object of the inventory."""
    return Ref(kind=FINDABLE[type(row)].kind, id=row.id, name=row.name)


def _id_of(model: type[Base]) -> Any:
    return model.__table__.c.id
