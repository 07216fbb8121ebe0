"""Names that are unique whatever their case."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.access.context import Ctx
from app.access.find import ref, unrestricted
from app.access.names import look_alikes
from app.core.casefold import fold
from app.core.errors import Conflict
from app.core.messages import N_
from app.db.models import Credential, Datacenter, Host, Image, User, VmPreset

Named = User | Credential | Datacenter | Host | Image | VmPreset


def save_named(ctx: Ctx, row: Named, name: str) -> None:
    """Give the row its name and write it. Raises Conflict (name_taken) when another row has the same name."""
    is_new = row.name != name
    row.name, row.name_key = name, fold(name)
    with ctx.session.no_autoflush:
        check_free(ctx, type(row), name, but=row.id)
    try:
        ctx.session.add(row)
        ctx.session.flush()
    except IntegrityError as error:
        # PostgreSQL: somebody else was quicker. Any other broken rule is a fault of ours.
        if "name_key" not in str(error.orig):
            raise
        raise _taken(ctx, name) from None
    if is_new and isinstance(row, (Host, Datacenter, Image)):
        look_alikes.record_warning(ctx, type(row), name, target=ref(row))


def check_free(ctx: Ctx, model: type[Named], name: str, *, but: str = "") -> None:
    """Raise Conflict (name_taken) when a row, other than `but`, has this name."""
    taken = sa.select(model.id).where(model.name_key == fold(name), model.id != but)
    if ctx.session.scalar(unrestricted(taken)):
        raise _taken(ctx, name)


def _taken(ctx: Ctx, name: str) -> Conflict:
    return Conflict(
        N_("The name is taken."),
        why=N_("There is a “%(name)s” already; case makes no difference."),
        hint=N_("Choose another name."),
        code="name_taken",
        params={"name": name},
    )
