"""Names of VMs that are to be on a host: refused when taken, and held by tasks."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import unrestricted
from app.core.casefold import fold
from app.core.errors import Conflict
from app.core.messages import N_
from app.db.models import Host, Vm


def vm_name_lock(host_id: str, name: str) -> str:
    """The name by which tasks hold the name of a VM that is to be on a host."""
    return f"{host_id}/vm/{fold(name)}"


def refuse_taken_name(ctx: Ctx, host: Host, name: str) -> None:
    """Raise Conflict (name_taken) when the host has a VM of this name."""
    taken = sa.select(Vm.id).where(Vm.host_id == host.id, Vm.name == name)
    if ctx.session.scalar(unrestricted(taken)):
        raise Conflict(
            N_("The name is taken."),
            why=N_("There is a VM “%(name)s” on host %(host)s already."),
            hint=N_("Choose another name."),
            code="name_taken",
            params={"name": name, "host": host.name},
        )
