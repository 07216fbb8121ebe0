"""The only ways to an object: found by its id, or selected by a query that is limited to what the actor may see.

All grants are global today. Grants on the inventory tree are to be put into `granted` and `Ctx.can`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, TypeVar, TypeVarTuple

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.access.context import Ctx
from app.core.errors import NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.db.chunks import chunks
from app.db.models import (
    Credential,
    Datacenter,
    DeletedVm,
    Host,
    Image,
    Login,
    Network,
    Nwfilter,
    Pool,
    Task,
    Token,
    Upload,
    User,
    Vm,
    VmPreset,
    Volume,
)
from app.db.models.base import Base

M = TypeVar("M", bound=Base)
Ts = TypeVarTuple("Ts")


class Findable(NamedTuple):
    """What a model is: the kind of its objects, the privilege to see them, and the message when one is missing.

    `owner` is the column of the user who may see a row without that privilege; `name`, the attribute that names it.
    """

    kind: ObjectKind
    view: str
    missing: str
    owner: sa.SQLColumnExpression[str] | None = None
    name: str = "name"


FINDABLE: dict[type[Base], Findable] = {
    Vm: Findable(ObjectKind.VM, "vm.view", N_("There is no such VM.")),
    DeletedVm: Findable(ObjectKind.VM, "vm.delete", N_("There is no such VM.")),
    Host: Findable(ObjectKind.HOST, "host.view", N_("There is no such host.")),
    Datacenter: Findable(ObjectKind.DATACENTER, "datacenter.view", N_("There is no such datacenter.")),
    Pool: Findable(ObjectKind.POOL, "pool.view", N_("There is no such storage pool.")),
    Volume: Findable(ObjectKind.VOLUME, "pool.view", N_("There is no such volume.")),
    Network: Findable(ObjectKind.NETWORK, "network.view", N_("There is no such network.")),
    Nwfilter: Findable(ObjectKind.NWFILTER, "network.view", N_("There is no such network filter.")),
    Image: Findable(ObjectKind.IMAGE, "image.view", N_("There is no such image.")),
    VmPreset: Findable(ObjectKind.PRESET, "vm.create", N_("There is no such VM preset.")),
    Task: Findable(ObjectKind.TASK, "task.view", N_("There is no such task."), name="kind"),
    Upload: Findable(
        ObjectKind.TASK,
        "pool.view",
        N_("There is no such upload: it has ended, or was given up."),
        name="volume_name",
    ),
    Credential: Findable(ObjectKind.CREDENTIAL, "credential.view", N_("There is no such credential.")),
    User: Findable(ObjectKind.USER, "user.view", N_("There is no such user."), User.id),
    Token: Findable(ObjectKind.TOKEN, "token.edit-any", N_("There is no such token."), Token.user_id),
    Login: Findable(ObjectKind.LOGIN, "user.edit", N_("There is no such session."), Login.user_id, "id"),
}


def visible(ctx: Ctx, query: sa.Select[*Ts], model: type[Base], privilege: str) -> sa.Select[*Ts]:
    """The query, limited in SQL to the rows of `model` on which the actor holds the privilege.

    `model` is one that the query selects from. Rows of the actor's own (tokens, logins) stay where it is only to see.
    """
    condition = granted(ctx, model, privilege)
    return query if condition is None else query.where(condition)


def granted(ctx: Ctx, model: type[Base], privilege: str) -> sa.ColumnElement[bool] | None:
    """On which rows of the model the actor holds the privilege, in SQL; None for all."""
    if ctx.can(privilege):
        return None
    owner = _owner(model, privilege)
    return sa.false() if owner is None else owner == ctx.actor.user_id


def unrestricted(query: sa.Select[*Ts]) -> sa.Select[*Ts]:
    """The query as it is, for rules that hold whatever the actor may see: a name is taken, a disk is in use."""
    return query


def visible_part(ctx: Ctx, count: InstrumentedAttribute[int], privilege: str) -> sa.ColumnElement[int]:
    """A count that rows keep of what is below them, as far as the actor holds the privilege on that."""
    return count * (1 if ctx.can(privilege) else 0)


def find(ctx: Ctx, model: type[M], object_id: str, privilege: str, *, lock: bool = False) -> M:
    """The object, if the actor may see it and holds the privilege on it.

    `lock` keeps others from changing its row until this transaction ends. Raises NotFound, NotAllowed.
    """
    about = FINDABLE[model]
    may_own = _owner(model, privilege) is not None
    if not may_own:
        ctx.require(privilege)
    seen = ctx.visible_rows.get(object_id)
    row = seen if isinstance(seen, model) and not lock else look_up(ctx, model, object_id, lock=lock)
    if row is None:
        raise NotFound(about.missing)
    if not may_own:
        ctx.require(privilege, row)
    return row


def look_up(ctx: Ctx, model: type[M], object_id: str, *, lock: bool = False) -> M | None:
    """The object, if there is one and the actor may see it; for those who say themselves what is wrong otherwise."""
    query = visible(ctx, sa.select(model).where(_id_of(model) == object_id), model, FINDABLE[model].view)
    return ctx.session.scalar(query.with_for_update() if lock else query)


def preload(ctx: Ctx, model: type[M], object_ids: Collection[str]) -> list[M]:
    """Those of these objects that the actor may see, in no order; until the transaction ends, `find` has them at hand."""
    found: list[M] = []
    for ids in chunks(sorted(set(object_ids))):
        query = sa.select(model).where(_id_of(model).in_(ids))
        found += ctx.session.scalars(visible(ctx, query, model, FINDABLE[model].view))
    ctx.visible_rows |= {row.__mapper__.primary_key_from_instance(row)[0]: row for row in found}
    return found


def known(ctx: Ctx, model: type[M], object_id: str) -> M:
    """An object to which a found one belongs, or which an operation touches and `submit` has found."""
    return ctx.session.get_one(model, object_id)


def ref(row: Base) -> Ref:
    """A pointer to an object, for records, tasks, events and the audit."""
    about = FINDABLE[type(row)]
    identity = row.__mapper__.primary_key_from_instance(row)[0]
    return Ref(kind=about.kind, id=identity, name=getattr(row, about.name))


def ref_of(kind: str | None, object_id: str | None, name: str | None) -> Ref | None:
    """A pointer that a task, an event or the audit keeps in columns; the object itself may be gone."""
    if kind is None or object_id is None:
        return None
    return Ref(kind=ObjectKind(kind), id=object_id, name=name or object_id)


def name_of(session: Session, kind: ObjectKind, object_id: str) -> str | None:
    """What an object is called now, whoever asks: for what is kept about it. None when it is not there."""
    for model, about in FINDABLE.items():
        if about.kind is kind:
            name = session.scalar(sa.select(model.__table__.c[about.name]).where(_id_of(model) == object_id))
            if name is not None:
                return str(name)
    return None


def _owner(model: type[Base], privilege: str) -> sa.SQLColumnExpression[str] | None:
    """The column of the user who needs no such privilege on a row of their own, if the model has one."""
    about = FINDABLE.get(model)
    return about.owner if about is not None and privilege == about.view else None


def _id_of(model: type[Base]) -> sa.ColumnElement[str]:
    return model.__table__.c.id
