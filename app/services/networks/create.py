"""Create a network on a host, also as a copy of another host's."""

from __future__ import annotations

import hashlib
import ipaddress
from uuid import uuid4

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, known, look_up, ref, unrestricted, visible
from app.access.names import look_alikes
from app.core.errors import Conflict, HostError, InvalidInput, VigieError
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.records import NetworkBatch, NetworkRefusal
from app.core.networks.rules import check, check_neighbours, network_of
from app.core.networks.specs import OWN_BRIDGE, NetworkCopy, NetworkPlan, NetworkSpec
from app.core.problems import problem_of
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.db.models import Host, Network, Task
from app.services.hosts.manageable import require_manageable
from app.services.networks.operation import plan_of, show
from app.services.networks.undo import NETWORK
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import IdentityClaim, Locks, Operation, Outcome, Parameters, Plan, Touch
from app.tasks.submit import submit

_ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


class CreateNetworkParameters(Parameters):
    """The network to be, and the UUID that it gets."""

    uuid: str
    plan: NetworkPlan
    start: bool = False
    autostart: bool | None = None


@declare
class CreateNetwork(Operation[CreateNetworkParameters]):
    """Define a network, and start it when that was asked for; removed again when it does not start."""

    kind = "network.create"
    title = N_("Create the network")
    parameters = CreateNetworkParameters
    creates = True
    explains = frozenset({"network.appeared", "network.state"})

    def touches(self, parameters: CreateNetworkParameters) -> tuple[Touch, ...]:
        """The host."""
        return (Touch(Host, parameters.host_id, "network.edit"),)

    def check(self, ctx: Ctx, parameters: CreateNetworkParameters) -> Plan:
        """Name, bridge and subnets must be free on the host. Raises Conflict, InvalidInput naming the field."""
        host = known(ctx, Host, parameters.host_id)
        require_manageable(ctx, host)
        _check_name(ctx, host, parameters.plan.name)
        check_place(ctx, host, parameters.plan)
        target = Ref(kind=ObjectKind.NETWORK, id=parameters.target_id, name=parameters.plan.name)
        return Plan(
            target,
            ref(host),
            Locks(holds={_name_lock(host.id, parameters.plan.name)}),
            claims=(IdentityClaim(host.id, parameters.uuid, parameters.target_id),),
        )

    def run(self, context: TaskContext, parameters: CreateNetworkParameters) -> Outcome:
        """Define it, and start it."""
        uuid, plan = parameters.uuid, parameters.plan
        if context.note_creating(kind=NETWORK, uuid=uuid) and context.call(
            lambda host: host.networks.find_named(plan.name)
        ):
            raise _name_taken(plan.name)
        if context.call(lambda host: host.networks.find(uuid)) is None:
            context.call(lambda host: host.networks.define(plan, uuid))
        try:
            if parameters.start:
                context.say(50, N_("Starting the network."))
                context.call(lambda host: host.networks.start(uuid))
            if parameters.autostart:
                context.call(lambda host: host.networks.set_autostart(uuid, True))
        except (HostError, TaskFailed):
            context.roll_back()
            if (
                not context.created_resources
            ):  # else the host does not answer, and the rest is done on its return
                show(context)
            raise
        show(context)
        message = N_("The network runs.") if parameters.start else N_("The network is defined.")
        return Outcome(message, result={"uuid": uuid, "network_id": parameters.target_id})


def create_network(ctx: Ctx, spec: NetworkSpec) -> TaskRecord:
    """Ask for a new network. Raises InvalidInput naming the field, Conflict (name_taken, …), Busy."""
    ctx.require("network.edit")
    host = look_up(ctx, Host, spec.host_id)
    if host is None:
        raise InvalidInput("host_id", N_("names no host that you can see"))
    plan = NetworkPlan.model_validate(spec.model_dump(include=set(NetworkPlan.model_fields)))
    check(plan)
    return tasks.record_of(ctx, _create(ctx, host, plan, start=spec.start, autostart=spec.autostart))


def copy_network(ctx: Ctx, network_id: str, copy: NetworkCopy) -> NetworkBatch:
    """Ask for the same network on other hosts: a task for each, a reason for each that cannot have it."""
    network = find(ctx, Network, network_id, "network.edit")
    plan = plan_of(network)
    query = sa.select(Host).where(Host.id.in_(copy.host_ids)).order_by(Host.name_key)
    hosts = list(ctx.session.scalars(visible(ctx, query, Host, "host.view")))
    unknown = set(copy.host_ids) - {host.id for host in hosts}
    if unknown:
        raise InvalidInput("host_ids", N_("%(id)s is no host that you can see"), params={"id": min(unknown)})
    batch_id = new_id(ObjectKind.TASK)
    audit.record(ctx, "network.copy", target=ref(network))
    started: list[TaskRecord] = []
    refused: list[NetworkRefusal] = []
    for host in hosts:
        try:
            task = _create(ctx, host, plan, start=copy.start, autostart=network.autostart, batch_id=batch_id)
            started.append(tasks.record_of(ctx, task))
        except VigieError as error:
            target = ref(host)
            audit.record(ctx, CreateNetwork.kind, target=target, outcome="refused", code=error.code)
            refused.append(NetworkRefusal(host=target, problem=problem_of(error, ctx.translate)))
    return NetworkBatch(batch_id=batch_id, tasks=started, refused=refused)


def free_subnet(ctx: Ctx) -> str:
    """The first three numbers of a /24 that no network of any host has, to begin a form with."""
    ctx.require("network.edit")
    taken = {
        ipaddress.ip_interface(cidr).network
        for addresses in ctx.session.scalars(unrestricted(sa.select(Network.addresses)))
        for cidr in addresses
        if network_of(cidr) is not None and ":" not in cidr
    }
    for third in range(100, 255):
        net = ipaddress.IPv4Network(f"192.168.{third}.0/24")
        if not any(isinstance(item, ipaddress.IPv4Network) and item.overlaps(net) for item in taken):
            return f"192.168.{third}"
    return "10.0.0"


def _create(
    ctx: Ctx, host: Host, plan: NetworkPlan, *, start: bool, autostart: bool, batch_id: str | None = None
) -> Task:
    parameters = CreateNetworkParameters(
        target_id=new_id(ObjectKind.NETWORK),
        host_id=host.id,
        uuid=str(uuid4()),
        plan=plan,
        start=start,
        autostart=autostart,
    )
    task = submit(ctx, CreateNetwork, parameters, batch_id=batch_id)
    look_alikes.record_warning(ctx, Network, plan.name, target=ref(host), host=ref(host), task_id=task.id)
    return task


def _name_lock(host_id: str, name: str) -> str:
    """One at a time with this name on a host; whatever its length, the lock fits."""
    return "network " + hashlib.sha256(f"{host_id} {name}".encode()).hexdigest()


def _check_name(ctx: Ctx, host: Host, name: str) -> None:
    query = sa.select(Network.id).where(Network.host_id == host.id, Network.name == name)
    if ctx.session.scalar(unrestricted(query)):
        raise Conflict(
            N_("The name is taken."),
            why=N_("Host %(host)s has a network “%(name)s” already."),
            hint=N_("Choose another name."),
            code="name_taken",
            params={"host": host.name, "name": name},
        )


def check_place(ctx: Ctx, host: Host, plan: NetworkPlan, but: str = "") -> None:
    """The other networks of the host, and those that tasks are creating there, leave room for it. Raises InvalidInput."""
    query = sa.select(Network.name, Network.bridge, Network.addresses, Network.forward_mode)
    query = query.where(Network.host_id == host.id, Network.id != but)
    others = list(ctx.session.execute(unrestricted(query)))
    requested = sa.select(Task.params).where(
        Task.kind == CreateNetwork.kind,
        Task.state.in_(_ACTIVE),
        Task.host_id == host.id,
        Task.id != (ctx.task_id or ""),
    )
    waiting = [
        NetworkPlan.model_validate(params["plan"]) for params in ctx.session.scalars(unrestricted(requested))
    ]
    if plan.mode in OWN_BRIDGE and plan.bridge is not None:
        taken = {other.bridge: other.name for other in others} | {item.bridge: item.name for item in waiting}
        if plan.bridge in taken:
            raise InvalidInput(
                "bridge",
                N_("%(bridge)s belongs to the network %(name)s on this host"),
                params={"bridge": plan.bridge, "name": taken[plan.bridge]},
                code="bridge_taken",
            )
    subnets = [(other.name, cidr) for other in others for cidr in other.addresses]
    subnets += [(item.name, subnet.address) for item in waiting for subnet in item.subnets]
    check_neighbours(plan, subnets, host.address)


def _name_taken(name: str) -> TaskFailed:
    return TaskFailed(
        "name_taken",
        N_("The name is taken."),
        why=N_("The host has a network “%(name)s” already."),
        hint=N_("Choose another name."),
        params={"name": name},
    )
