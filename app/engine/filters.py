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
from app.engine.run import Outcome, Run, TaskFailed


class Asked(BaseModel):
    """What every task of a filter carries. `digest` is that of the definition which the asker saw."""

    model_config = ConfigDict(frozen=True)

    uuid: str
    plan: FilterPlan | None = None
    digest: str | None = None


@operation("filter.create")
def create(run: Run) -> Outcome:
    """Define a filter."""
    asked = run.asked(Asked)
    plan = asked.plan
    assert plan is not None, "services give tasks of this kind a plan"
    if run.make(kind=leftovers.FILTER, uuid=asked.uuid) and run.call(
        lambda host: host.filters.find(plan.name)
    ):
        raise TaskFailed(
            "name_taken",
            N_("The name is taken."),
            why=N_("The host has a traffic filter “%(name)s” already."),
            hint=N_("Choose another name."),
            params={"name": plan.name},
        )
    if run.call(lambda host: host.filters.find(asked.uuid)) is None:
        run.call(lambda host: host.filters.create(plan, asked.uuid))
    _show(run)
    return Outcome(
        N_("The traffic filter is made."), result={"uuid": asked.uuid, "filter_id": run.job.target_id}
    )


@operation("filter.change")
def change(run: Run) -> Outcome:
    """Define a filter anew."""
    asked = run.asked(Asked)
    plan = asked.plan
    assert plan is not None, "services give tasks of this kind a plan"
    seen = run.call(lambda host: host.filters.find(asked.uuid))
    if seen is None:
        _show(run)
        raise TaskFailed(
            "no_such_filter",
            N_("The host has no such traffic filter."),
            hint=N_("Look whether it was removed outside Vigie."),
        )
    digest = hashlib.sha256(seen.xml.encode(errors="surrogatepass")).hexdigest()
    if not run.made and digest != asked.digest:
        _show(run)
        raise TaskFailed(
            "changed_meanwhile",
            N_("Somebody changed the definition in between."),
            why=N_("On its host it is not what you saw when you asked."),
            hint=N_("Load it again and repeat your change."),
        )
    run.make(kind="change", uuid=asked.uuid)
    run.call(lambda host: host.filters.change(asked.uuid, plan))
    _show(run)
    return Outcome(N_("The traffic filter is changed."))


@operation("filter.delete")
def delete(run: Run) -> Outcome:
    """Remove a filter; the host refuses one that an interface uses."""
    uuid = run.asked(Asked).uuid
    try:
        run.call(lambda host: host.filters.delete(uuid))
    except HypervisorRefused as error:
        if error.code != "wrong_state":
            raise
        raise TaskFailed(
            "filter_in_use",
            N_("The traffic filter is in use."),
            why=N_("The host says that an interface of a VM uses it."),
            hint=N_("Give the VMs another filter, or none, first."),
        ) from None
    _show(run)
    return Outcome(N_("The traffic filter is deleted."))


def _show(run: Run) -> None:
    """Have the filters of the host read and written, so that pages are right when the task ends."""
    run.report(snapshot=HostSnapshot(filters=run.call(lambda host: host.filters.read())))
