"""Change a network filter."""

from __future__ import annotations

import hashlib

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import Conflict, EditConflict
from app.core.messages import N_
from app.core.networks.nwfilters import NwfilterPatch, NwfilterPlan
from app.core.tasks.records import TaskRecord
from app.db.models import Nwfilter
from app.hypervisor.xml.nwfilters import read_plan
from app.services.networks.change import CHANGE
from app.services.networks.nwfilters.create import check_references
from app.services.networks.nwfilters.nwfilters import version_of
from app.services.networks.nwfilters.operation import (
    NwfilterOperation,
    NwfilterParameters,
    nwfilter_and_host,
    refuse_built_in,
    show,
)
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed, changed_meanwhile
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


class ChangeNwfilterParameters(NwfilterParameters):
    """The filter as it is to be. `digest` is that of the definition which the submitter saw."""

    plan: NwfilterPlan
    digest: str | None = None


@declare
class ChangeNwfilter(NwfilterOperation[ChangeNwfilterParameters]):
    """Define a filter anew; interfaces that use it follow at once."""

    kind = "nwfilter.change"
    title = N_("Change the network filter")
    parameters = ChangeNwfilterParameters
    redefines = True
    explains = frozenset({"nwfilter.changed"})

    def check(self, ctx: Ctx, parameters: ChangeNwfilterParameters) -> Plan:
        """What it refers to must be there. Raises Conflict, InvalidInput naming the field."""
        plan = super().check(ctx, parameters)
        check_references(ctx.session, plan.host.id, parameters.plan)
        return plan

    def run(self, context: TaskContext, parameters: ChangeNwfilterParameters) -> Outcome:
        """Change it, unless it is not what the submitter saw any more."""
        uuid = parameters.uuid
        seen = context.call(lambda host: host.nwfilters.find(uuid))
        if seen is None:
            show(context)
            raise TaskFailed(
                "no_such_filter",
                N_("The host has no such network filter."),
                hint=N_("Look whether it was removed outside Vigie."),
            )
        if not context.created_resources and _digest(seen.xml) != parameters.digest:
            show(context)
            raise changed_meanwhile()
        context.note_creating(kind=CHANGE, uuid=uuid)
        context.call(lambda host: host.nwfilters.change(uuid, parameters.plan))
        show(context)
        return Outcome(N_("The network filter is changed."))


def change_nwfilter(
    ctx: Ctx, nwfilter_id: str, patch: NwfilterPatch, expected_version: int | None = None
) -> TaskRecord:
    """Ask for a change. Raises EditConflict when the definition is not the one that was seen, Conflict, InvalidInput."""
    find(ctx, Nwfilter, nwfilter_id, "network.edit")
    found, host = nwfilter_and_host(ctx.session, nwfilter_id)
    refuse_built_in(found)
    if expected_version is not None and expected_version != version_of(found):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
    parameters = ChangeNwfilterParameters(
        target_id=found.id,
        host_id=host.id,
        uuid=found.uuid,
        plan=_changed(found, patch),
        digest=_digest(found.xml),
    )
    return tasks.record_of(ctx, submit(ctx, ChangeNwfilter, parameters))


def _changed(found: Nwfilter, patch: NwfilterPatch) -> NwfilterPlan:
    before, _ = read_plan(found.xml)
    if before is None:
        raise Conflict(
            N_("Vigie cannot edit this network filter."),
            why=N_("Its definition holds values that Vigie would not write."),
            hint=N_("Edit it on its host with virsh nwfilter-edit."),
            code="not_editable",
        )
    changes = patch.model_dump(exclude_none=True)
    for name in ("default_in", "default_out"):
        if changes.get(name) == "none":
            changes[name] = None
    return NwfilterPlan.model_validate(before.model_dump() | changes)


def _digest(xml: str) -> str:
    return hashlib.sha256(xml.encode(errors="surrogatepass")).hexdigest()
