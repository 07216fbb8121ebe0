"""What operations on networks have in common."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import ref
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.networks.observations import NetworkObservation
from app.core.networks.specs import NetworkPlan
from app.core.vms.states import VmState
from app.db.models import Host, Network
from app.hypervisor.networks.networks import Seen
from app.hypervisor.xml.networks.networks import read_plan
from app.inventory.collectors.networks import NETWORKS
from app.services.hosts.manageable import require_manageable
from app.services.networks.network_users import users_of
from app.services.networks.networks import in_use
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Operation, P, Parameters, Plan, Touch


class NetworkParameters(Parameters):
    """The network, by libvirt's UUID on its host."""

    uuid: str


class NetworkOperation(Operation[P]):
    """An operation on a network of the inventory."""

    def touches(self, parameters: P) -> tuple[Touch, ...]:
        """The network."""
        return (Touch(Network, parameters.target_id, "network.edit"),)

    def check(self, ctx: Ctx, parameters: P) -> Plan:
        """The network on its host, held alone. Raises Conflict when nothing may be changed on the host."""
        network, host = network_and_host(ctx.session, parameters.target_id)
        require_manageable(ctx, host)
        return Plan(ref(network), ref(host))


def network_and_host(session: Session, network_id: str) -> tuple[Network, Host]:
    """The rows of a network that was found, and of its host."""
    network = session.get_one(Network, network_id)
    return network, session.get_one(Host, network.host_id)


def refuse_needless(ctx: Ctx, why: str) -> None:
    """Raise Conflict (already_so); when the task begins the host itself is looked at."""
    if not ctx.begins:
        raise Conflict(
            N_("This cannot be done now."),
            why=why,
            hint=N_("Nothing needs to be done."),
            code="already_so",
        )


def refuse_used(ctx: Ctx, network: Network, *, running_only: bool) -> None:
    """Raise Conflict (network_in_use) naming the VMs that use it, or of these the running ones."""
    users = users_of(ctx, [network]).get(network.id, [])
    names = [
        user.vm.name
        for user in users
        if not running_only or (VmState(user.state).is_active and not user.after_power_off)
    ]
    if names:
        raise Conflict(
            N_("The network is in use."),
            why=in_use(ctx, list(dict.fromkeys(names))),
            hint=N_("Move them to another network, or shut them down, first.")
            if running_only
            else N_("Move them to another network first."),
            code="network_in_use",
        )


def plan_of(network: Network) -> NetworkPlan:
    """The network as a form shows it. Raises Conflict (not_editable)."""
    plan = read_plan(network.xml) if network.xml else None
    if plan is None:
        raise Conflict(
            N_("Vigie cannot edit this network."),
            why=N_("Its definition holds values that Vigie would not write."),
            hint=N_("Edit it on its host with virsh net-edit."),
            code="not_editable",
        )
    return plan


def look(context: TaskContext, uuid: str) -> Seen:
    """The network as its host has it now. Raises TaskFailed (no_such_network)."""
    seen = context.call(lambda host: host.networks.find(uuid))
    if seen is None:
        show(context)
        raise TaskFailed(
            "no_such_network",
            N_("The host has no such network."),
            hint=N_("Look whether it was removed outside Vigie."),
        )
    return seen


def refuse_connected(context: TaskContext, uuid: str) -> None:
    """Refuse to cut running VMs off, also those that were plugged in after the question."""
    owners = context.call(lambda host: host.networks.plugged(uuid))
    if owners:
        raise TaskFailed(
            "network_in_use",
            N_("Running VMs are connected to the network."),
            why=N_("%(count)d VMs would lose their connection: %(uuids)s."),
            hint=N_("Move them to another network, or shut them down, first."),
            params={"count": len(owners), "uuids": ", ".join(owners[:5])},
        )


def show(context: TaskContext) -> tuple[NetworkObservation, ...]:
    """Have the networks of the host read and written, so that pages are right when the task ends."""
    networks = context.call(lambda host: host.networks.read())
    context.report(NETWORKS.part(networks))
    return networks
