"""What tasks do with traffic filters. Each looks at the filter on its host first, and again when it has acted."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict

from app.core.errors import HypervisorRefused
from app.core.inventory.reports import HostSnapshot
from app.core.messages import N_
from app.core.networks.nwfilters import FilterPlan
from app.engine import leftovers
from app.engine.operations import operation
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome


class Asked(BaseModel):
    """What every task of a filter carries. `digest` is that of the definition which the asker saw."""

    model_config = ConfigDict(frozen=True)

    uuid: str
    plan: FilterPlan | None = None
    digest: str | None = None


@operation("filter.create")
def create(context: TaskContext) -> Outcome:
    """Define a filter."""
    asked = context.asked(Asked)
    plan = asked.plan
    assert plan is not None, "services give tasks of this kind a plan"
    if context.make(kind=leftovers.FILTER, uuid=asked.uuid) and context.call(
        lambda host: host.filters.find(plan.name)
    ):
        raise TaskFailed(
            "name_taken",
            N_("The name is taken."),
            why=N_("The host has a traffic filter “%(name)s” already."),
            hint=N_("Choose another name."),
            params={"name": plan.name},
        )
    if context.call(lambda host: host.filters.find(asked.uuid)) is None:
        context.call(lambda host: host.filters.create(plan, asked.uuid))
    _show(context)
    return Outcome(
        N_("The traffic filter is made."), result={"uuid": asked.uuid, "filter_id": context.job.target_id}
    )


@operation("filter.change")
def change(context: TaskContext) -> Outcome:
    """Define a filter anew."""
    asked = context.asked(Asked)
    plan = asked.plan
    assert plan is not None, "services give tasks of this kind a plan"
    seen = context.call(lambda host: host.filters.find(asked.uuid))
    if seen is None:
        _show(context)
        raise TaskFailed(
            "no_such_filter",
            N_("The host has no such traffic filter."),
            hint=N_("Look whether it was removed outside Vigie."),
        )
    digest = hashlib.sha256(seen.xml.encode(errors="surrogatepass")).hexdigest()
    if not context.made and digest != asked.digest:
        _show(context)
        raise TaskFailed(
            "changed_meanwhile",
            N_("Somebody changed the definition in between."),
            why=N_("On its host it is not what you saw when you asked."),
            hint=N_("Load it again and repeat your change."),
        )
    context.make(kind="change", uuid=asked.uuid)
    context.call(lambda host: host.filters.change(asked.uuid, plan))
    _show(context)
    return Outcome(N_("The traffic filter is changed."))


@operation("filter.delete")
def delete(context: TaskContext) -> Outcome:
    """Remove a filter; the host refuses one that an interface uses."""
    uuid = context.asked(Asked).uuid
    try:
        context.call(lambda host: host.filters.delete(uuid))
    except HypervisorRefused as error:
        if error.code != "wrong_state":
            raise
        raise TaskFailed(
            "filter_in_use",
            N_("The traffic filter is in use."),
            why=N_("The host says that an interface of a VM uses it."),
            hint=N_("Give the VMs another filter, or none, first."),
        ) from None
    _show(context)
    return Outcome(N_("The traffic filter is deleted."))


def _show(context: TaskContext) -> None:
    """Have the filters of the host read and written, so that pages are right when the task ends."""
    context.report(snapshot=HostSnapshot(filters=context.call(lambda host: host.filters.read())))
