"""What tasks do with networks. Each looks at the network on its host first, and again when it has acted."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from app.core.errors import HostError
from app.core.inventory.reports import HostSnapshot
from app.core.messages import N_
from app.core.networks.networks import NetworkPlan
from app.core.vms.devices import Redefinition
from app.engine import leftovers
from app.engine.operations import operation
from app.engine.run import Outcome, Run, TaskFailed, changed_meanwhile
from app.hypervisor import Host
from app.hypervisor.networks.networks import Seen


class Asked(BaseModel):
    """What every task of a network carries. `digest` is that of the definition which the asker saw."""

    model_config = ConfigDict(frozen=True)

    uuid: str
    plan: NetworkPlan | None = None
    digest: str | None = None
    autostart: bool | None = None
    start: bool = False


@operation("network.create")
def create(run: Run) -> Outcome:
    """Define a network, and start it when that was asked for; taken back when it does not start."""
    asked = run.asked(Asked)
    plan = _plan(asked)
    if run.make(kind=leftovers.NETWORK, uuid=asked.uuid) and run.call(
        lambda host: host.networks.find_named(plan.name)
    ):
        raise _name_taken(plan.name)
    if run.call(lambda host: host.networks.find(asked.uuid)) is None:
        run.call(lambda host: host.networks.define(plan, asked.uuid))
    try:
        if asked.start:
            run.say(50, N_("Starting the network."))
            run.call(lambda host: host.networks.start(asked.uuid))
        if asked.autostart:
            run.call(lambda host: host.networks.set_autostart(asked.uuid, True))
    except (HostError, TaskFailed):
        run.take_back()
        if not run.made:  # else the host does not answer, and the rest is done on its return
            _show(run)
        raise
    _show(run)
    message = N_("The network runs.") if asked.start else N_("The network is defined.")
    return Outcome(message, result={"uuid": asked.uuid, "network_id": run.job.target_id})


@operation("network.start")
def start(run: Run) -> Outcome:
    """Start a network."""
    return _switch(run, on=True, already=N_("The network ran already."), now=N_("The network runs."))


@operation("network.stop")
def stop(run: Run) -> Outcome:
    """Stop a network that nobody is plugged into."""
    return _switch(run, on=False, already=N_("The network was off already."), now=N_("The network is off."))


def _switch(run: Run, *, on: bool, already: str, now: str) -> Outcome:
    uuid = run.asked(Asked).uuid
    seen = _look(run, uuid)
    if seen.active is on:
        _show(run)
        return Outcome(already)
    if not on:
        _refuse_plugged(run, uuid)
    act: Callable[[Host], None] = (
        (lambda host: host.networks.start(uuid)) if on else (lambda host: host.networks.stop(uuid))
    )
    run.call(act)
    _show(run)
    return Outcome(now)


@operation("network.delete")
def delete(run: Run) -> Outcome:
    """Stop a network that nobody is plugged into, and remove its definition."""
    uuid = run.asked(Asked).uuid
    seen = run.call(lambda host: host.networks.find(uuid))
    if seen is None:
        _show(run)
        return Outcome(N_("The network was gone already."))
    if seen.active:
        _refuse_plugged(run, uuid)
        run.call(lambda host: host.networks.stop(uuid))
    # A transient network is gone with its end.
    run.call(lambda host: host.networks.delete(uuid))
    _show(run)
    return Outcome(N_("The network is deleted."))


@operation("network.change")
def change(run: Run) -> Outcome:
    """Change the lasting definition, what runs as far as libvirt can, and the start with the host."""
    asked = run.asked(Asked)
    seen = _look(run, asked.uuid)
    if asked.plan is not None and not run.made:
        _refuse_changed(seen, asked)
    run.make(kind="change", uuid=asked.uuid)
    plan = asked.plan
    if plan is not None:
        run.call(lambda host: host.networks.change(asked.uuid, plan))
    on = asked.autostart
    if on is not None and on is not seen.autostart:
        run.call(lambda host: host.networks.set_autostart(asked.uuid, on))
    networks = _show(run)
    found = next((each for each in networks.networks or () if each.uuid == asked.uuid), None)
    if found is not None and found.live_xml is not None:
        return Outcome(
            N_("The definition is changed; a part of it counts after the network restarts."),
            result={"after_restart": True},
        )
    return Outcome(N_("The network is changed."), result={"after_restart": False})


@operation("network.define")
def define(run: Run) -> Outcome:
    """Have an earlier definition count again; what runs stays until the network restarts."""
    asked = run.asked(Redefinition)
    seen = _look(run, asked.uuid)
    if not run.made and asked.digest != seen.digest:
        raise changed_meanwhile()
    run.make(kind="change", uuid=asked.uuid)
    run.call(lambda host: host.networks.redefine(asked.xml))
    _show(run)
    if seen.active:
        return Outcome(N_("The definition counts again after the network restarts."))
    return Outcome(N_("The definition counts again."))


def _plan(asked: Asked) -> NetworkPlan:
    assert asked.plan is not None, "services give tasks of this kind a plan"
    return asked.plan


def _look(run: Run, uuid: str) -> Seen:
    seen = run.call(lambda host: host.networks.find(uuid))
    if seen is None:
        _show(run)
        raise TaskFailed(
            "no_such_network",
            N_("The host has no such network."),
            hint=N_("Look whether it was removed outside Vigie."),
        )
    return seen


def _refuse_changed(seen: Seen, asked: Asked) -> None:
    if asked.digest is not None and seen.digest != asked.digest:
        raise changed_meanwhile()


def _refuse_plugged(run: Run, uuid: str) -> None:
    """Refuse to cut running VMs off, also those that were plugged in after the question."""
    owners = run.call(lambda host: host.networks.plugged(uuid))
    if owners:
        raise TaskFailed(
            "network_in_use",
            N_("Running VMs are plugged into the network."),
            why=N_("%(count)d VMs would lose their connection: %(uuids)s."),
            hint=N_("Move them to another network, or shut them down, first."),
            params={"count": len(owners), "uuids": ", ".join(owners[:5])},
        )


def _name_taken(name: str) -> TaskFailed:
    return TaskFailed(
        "name_taken",
        N_("The name is taken."),
        why=N_("The host has a network “%(name)s” already."),
        hint=N_("Choose another name."),
        params={"name": name},
    )


def _show(run: Run) -> HostSnapshot:
    """Have the networks of the host read and written, so that pages are right when the task ends."""
    snapshot = HostSnapshot(networks=run.call(lambda host: host.networks.read()))
    run.report(snapshot=snapshot)
    return snapshot
