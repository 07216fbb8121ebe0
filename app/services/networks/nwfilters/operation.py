"""What operations on network filters have in common."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import ref
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.networks.nwfilters import BUILT_IN
from app.db.models import Host, Nwfilter
from app.inventory.collectors.nwfilters import NWFILTERS
from app.services.hosts.manageable import require_manageable
from app.tasks.context import TaskContext
from app.tasks.operation import Operation, P, Parameters, Plan, Touch


class NwfilterParameters(Parameters):
    """The filter, by libvirt's UUID on its host."""

    uuid: str


class NwfilterOperation(Operation[P]):
    """An operation on a network filter of the inventory."""

    def touches(self, parameters: P) -> tuple[Touch, ...]:
        """The filter."""
        return (Touch(Nwfilter, parameters.target_id, "network.edit"),)

    def check(self, ctx: Ctx, parameters: P) -> Plan:
        """The filter on its host, held alone. Raises Conflict (built_in), or when nothing may be changed on the host."""
        found, host = nwfilter_and_host(ctx.session, parameters.target_id)
        require_manageable(ctx, host)
        refuse_built_in(found)
        return Plan(ref(found), ref(host))


def nwfilter_and_host(session: Session, nwfilter_id: str) -> tuple[Nwfilter, Host]:
    """The rows of a filter that was found, and of its host."""
    found = session.get_one(Nwfilter, nwfilter_id)
    return found, session.get_one(Host, found.host_id)


def refuse_built_in(found: Nwfilter) -> None:
    """Raise Conflict (built_in) for a filter that comes with libvirt."""
    if found.name in BUILT_IN:
        raise Conflict(
            N_("This filter comes with libvirt."),
            why=N_("Other filters and hosts' own tools rely on it being as it is."),
            hint=N_("Make a filter of your own that refers to it."),
            code="built_in",
        )


def show(context: TaskContext) -> None:
    """Have the filters of the host read and written, so that pages are right when the task ends."""
    nwfilters = context.call(lambda host: host.nwfilters.read())
    if nwfilters is not None:
        context.report(NWFILTERS.part(nwfilters))
