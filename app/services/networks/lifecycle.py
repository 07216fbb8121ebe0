"""Start, stop and delete networks."""

from __future__ import annotations

from collections.abc import Callable

from app.access.context import Ctx
from app.access.find import find
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Network
from app.hypervisor import Host
from app.services.networks.operation import (
    NetworkOperation,
    NetworkParameters,
    look,
    network_and_host,
    refuse_connected,
    refuse_needless,
    refuse_used,
    show,
)
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class StartNetwork(NetworkOperation[NetworkParameters]):
    """Start a network."""

    kind = "network.start"
    title = N_("Start the network")
    parameters = NetworkParameters
    explains = frozenset({"network.state"})

    def check(self, ctx: Ctx, parameters: NetworkParameters) -> Plan:
        """Raises Conflict when it runs."""
        plan = super().check(ctx, parameters)
        network, _ = network_and_host(ctx.session, parameters.target_id)
        if network.active:
            refuse_needless(ctx, N_("The network runs."))
        return plan

    def run(self, context: TaskContext, parameters: NetworkParameters) -> Outcome:
        """Start it."""
        already, now = N_("The network ran already."), N_("The network runs.")
        return _switch(context, parameters.uuid, on=True, already=already, now=now)


@declare
class StopNetwork(NetworkOperation[NetworkParameters]):
    """Stop a network that no running VM is connected to."""

    kind = "network.stop"
    title = N_("Stop the network")
    parameters = NetworkParameters
    explains = frozenset({"network.state"})

    def check(self, ctx: Ctx, parameters: NetworkParameters) -> Plan:
        """Raises Conflict: it is off, or running VMs are connected to it (network_in_use)."""
        plan = super().check(ctx, parameters)
        network, _ = network_and_host(ctx.session, parameters.target_id)
        if not network.active:
            refuse_needless(ctx, N_("The network is off."))
        refuse_used(ctx, network, running_only=True)
        return plan

    def run(self, context: TaskContext, parameters: NetworkParameters) -> Outcome:
        """Stop it."""
        already, now = N_("The network was off already."), N_("The network is off.")
        return _switch(context, parameters.uuid, on=False, already=already, now=now)


def _switch(context: TaskContext, uuid: str, *, on: bool, already: str, now: str) -> Outcome:
    seen = look(context, uuid)
    if seen.active is on:
        show(context)
        return Outcome(already)
    if not on:
        refuse_connected(context, uuid)
    act: Callable[[Host], None] = (
        (lambda host: host.networks.start(uuid)) if on else (lambda host: host.networks.stop(uuid))
    )
    context.call(act)
    show(context)
    return Outcome(now)


@declare
class DeleteNetwork(NetworkOperation[NetworkParameters]):
    """Stop a network that no VM uses, and remove its definition."""

    kind = "network.delete"
    title = N_("Delete the network")
    parameters = NetworkParameters
    explains = frozenset({"network.state", "network.vanished"})

    def check(self, ctx: Ctx, parameters: NetworkParameters) -> Plan:
        """Raises Conflict (network_in_use) naming the VMs."""
        plan = super().check(ctx, parameters)
        network, _ = network_and_host(ctx.session, parameters.target_id)
        refuse_used(ctx, network, running_only=False)
        return plan

    def run(self, context: TaskContext, parameters: NetworkParameters) -> Outcome:
        """Stop and remove it."""
        uuid = parameters.uuid
        seen = context.call(lambda host: host.networks.find(uuid))
        if seen is None:
            show(context)
            return Outcome(N_("The network was gone already."))
        if seen.active:
            refuse_connected(context, uuid)
            context.call(lambda host: host.networks.stop(uuid))
        # A transient network is gone with its end.
        context.call(lambda host: host.networks.delete(uuid))
        show(context)
        return Outcome(N_("The network is deleted."))


def start_network(ctx: Ctx, network_id: str) -> TaskRecord:
    """Ask for the start of a network. Raises Conflict when it runs, Busy."""
    return _submit(ctx, StartNetwork, network_id)


def stop_network(ctx: Ctx, network_id: str) -> TaskRecord:
    """Ask for the stop of a network. Raises Conflict (network_in_use) naming the running VMs."""
    return _submit(ctx, StopNetwork, network_id)


def delete_network(ctx: Ctx, network_id: str) -> TaskRecord:
    """Ask for the end of a network and its definition. Raises Conflict (network_in_use) naming the VMs."""
    return _submit(ctx, DeleteNetwork, network_id)


def _submit(ctx: Ctx, operation: type[NetworkOperation[NetworkParameters]], network_id: str) -> TaskRecord:
    network = find(ctx, Network, network_id, "network.edit")
    parameters = NetworkParameters(target_id=network.id, host_id=network.host_id, uuid=network.uuid)
    return tasks.record_of(ctx, submit(ctx, operation, parameters))
