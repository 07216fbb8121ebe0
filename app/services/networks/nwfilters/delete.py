"""Delete a network filter that nothing uses."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import Conflict, HypervisorRefused
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Nwfilter
from app.services.networks.networks import in_use
from app.services.networks.nwfilters.nwfilters import referrers_of, users_of
from app.services.networks.nwfilters.operation import (
    NwfilterOperation,
    NwfilterParameters,
    nwfilter_and_host,
    show,
)
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class DeleteNwfilter(NwfilterOperation[NwfilterParameters]):
    """Remove a filter; the host refuses one that an interface uses."""

    kind = "nwfilter.delete"
    title = N_("Delete the network filter")
    parameters = NwfilterParameters
    explains = frozenset({"nwfilter.vanished"})

    def check(self, ctx: Ctx, parameters: NwfilterParameters) -> Plan:
        """Raises Conflict (filter_in_use) naming the VMs or filters that use it."""
        plan = super().check(ctx, parameters)
        _refuse_used(ctx, nwfilter_and_host(ctx.session, parameters.target_id)[0])
        return plan

    def run(self, context: TaskContext, parameters: NwfilterParameters) -> Outcome:
        """Remove it."""
        try:
            context.call(lambda host: host.nwfilters.delete(parameters.uuid))
        except HypervisorRefused as error:
            if error.code != "wrong_state":
                raise
            raise TaskFailed(
                "filter_in_use",
                N_("The network filter is in use."),
                why=N_("The host says that an interface of a VM uses it."),
                hint=N_("Give the VMs another filter, or none, first."),
            ) from None
        show(context)
        return Outcome(N_("The network filter is deleted."))


def delete_nwfilter(ctx: Ctx, nwfilter_id: str) -> TaskRecord:
    """Ask for the end of a filter. Raises Conflict (filter_in_use) naming the VMs or filters that use it."""
    found = find(ctx, Nwfilter, nwfilter_id, "network.edit")
    parameters = NwfilterParameters(target_id=found.id, host_id=found.host_id, uuid=found.uuid)
    return tasks.record_of(ctx, submit(ctx, DeleteNwfilter, parameters))


def _refuse_used(ctx: Ctx, found: Nwfilter) -> None:
    users, referrers = users_of(ctx, found), referrers_of(ctx, found)
    if not users and not referrers:
        return
    names = ", ".join(referrer.name for referrer in referrers[:5])
    raise Conflict(
        N_("The network filter is in use."),
        why=in_use(ctx, [user.name for user in users])
        if users
        else N_("Other filters count it in: %(names)s."),
        hint=N_("Give them another filter, or none, first."),
        code="filter_in_use",
        params={"names": names},
    )
