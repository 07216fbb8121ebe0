"""What is asked of networks: create, change, start, stop, delete, copy. Each becomes a task on the host."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from app.access import audit, look_alikes
from app.access.context import Ctx
from app.core.errors import Conflict, EditConflict, InvalidInput, NotFound, VigieError
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.networks import (
    OWN_BRIDGE,
    NetworkBatch,
    NetworkCopy,
    NetworkPatch,
    NetworkPlan,
    NetworkRefusal,
    NetworkSpec,
)
from app.core.networks.rules import check, check_neighbours, network_of
from app.core.problems import problem_of
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.core.vms.states import VmState
from app.db.models import Host, Network, Task
from app.hypervisor.xml.networks.networks import read_plan
from app.services.hosts.checks import require_workable
from app.services.networks.network_users import users_of
from app.services.networks.networks import in_use, version_of
from app.tasks import tasks

_ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


def create_network(ctx: Ctx, spec: NetworkSpec) -> TaskRecord:
    """Ask for a new network. Raises InvalidInput naming the field, Conflict (name_taken, …), Busy."""
    ctx.require("network.edit")
    host = ctx.session.scalar(ctx.visible(sa.select(Host).where(Host.id == spec.host_id), "host.view"))
    if host is None:
        raise InvalidInput("host_id", N_("names no host that you can see"))
    plan = NetworkPlan.model_validate(spec.model_dump(include=set(NetworkPlan.model_fields)))
    check(plan)
    return tasks.record_of(ctx, _create(ctx, host, plan, start=spec.start, autostart=spec.autostart))


def copy_network(ctx: Ctx, network_id: str, asked: NetworkCopy) -> NetworkBatch:
    """Ask for the same network on other hosts: a task for each, a reason for each that cannot have it."""
    network = _get(ctx, network_id)
    plan = _plan_of(ctx, network)
    query = sa.select(Host).where(Host.id.in_(asked.host_ids)).order_by(Host.name_key)
    hosts = list(ctx.session.scalars(ctx.visible(query, "host.view")))
    unknown = set(asked.host_ids) - {host.id for host in hosts}
    if unknown:
        raise InvalidInput("host_ids", N_("%(id)s is no host that you can see"), params={"id": min(unknown)})
    batch_id = new_id(ObjectKind.TASK)
    audit.record(ctx, "network.copy", target=Ref(kind=ObjectKind.NETWORK, id=network.id, name=network.name))
    started: list[TaskRecord] = []
    refused: list[NetworkRefusal] = []
    for host in hosts:
        try:
            task = _create(ctx, host, plan, start=asked.start, autostart=network.autostart, batch_id=batch_id)
            started.append(tasks.record_of(ctx, task))
        except VigieError as error:
            target = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
            audit.record(ctx, "network.create", target=target, outcome="refused", code=error.code)
            refused.append(NetworkRefusal(host=target, problem=problem_of(error, ctx.translate)))
    return NetworkBatch(batch_id=batch_id, tasks=started, refused=refused)


def change_network(
    ctx: Ctx, network_id: str, patch: NetworkPatch, expected_version: int | None = None
) -> TaskRecord:
    """Ask for a change. Raises EditConflict when the definition is not the one that was seen, InvalidInput."""
    network = _get(ctx, network_id)
    host = ctx.session.get_one(Host, network.host_id)
    if expected_version is not None and expected_version != version_of(network):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
    require_workable(ctx, host)
    if not network.persistent:
        raise Conflict(
            N_("This cannot be done now."),
            why=N_("The network is transient: the host forgets it when it stops."),
            hint=N_("Define it on its host first, for example with virsh net-define."),
            code="not_persistent",
        )
    params: dict[str, Any] = {"uuid": network.uuid, "autostart": patch.autostart}
    changes = patch.model_dump(exclude_unset=True, exclude={"autostart"})
    if changes:
        before = _plan_of(ctx, network)
        plan = NetworkPlan.model_validate({**before.model_dump(), **_kept(before, changes)})
        check(plan)
        _check_place(ctx, host, plan, but=network.id)
        digest = hashlib.sha256((network.xml or "").encode(errors="surrogatepass")).hexdigest()
        params |= {"plan": plan.model_dump(mode="json"), "digest": digest}
    return _ask(ctx, "network.change", network, host, params)


def start_network(ctx: Ctx, network_id: str) -> TaskRecord:
    """Ask for the start of a network. Raises Conflict when it runs, Busy."""
    network = _get(ctx, network_id)
    host = ctx.session.get_one(Host, network.host_id)
    require_workable(ctx, host)
    if network.active:
        raise _wrong_state(ctx, N_("The network runs."))
    return _ask(ctx, "network.start", network, host, {"uuid": network.uuid})


def stop_network(ctx: Ctx, network_id: str) -> TaskRecord:
    """Ask for the end of a network. Raises Conflict (network_in_use) naming the running VMs that are plugged in."""
    network = _get(ctx, network_id)
    host = ctx.session.get_one(Host, network.host_id)
    require_workable(ctx, host)
    if not network.active:
        raise _wrong_state(ctx, N_("The network is off."))
    _refuse_used(ctx, network, running_only=True)
    return _ask(ctx, "network.stop", network, host, {"uuid": network.uuid})


def delete_network(ctx: Ctx, network_id: str) -> TaskRecord:
    """Ask for the end of a network and its definition. Raises Conflict (network_in_use) naming the VMs."""
    network = _get(ctx, network_id)
    host = ctx.session.get_one(Host, network.host_id)
    require_workable(ctx, host)
    _refuse_used(ctx, network, running_only=False)
    return _ask(ctx, "network.delete", network, host, {"uuid": network.uuid})


def free_subnet(ctx: Ctx) -> str:
    """The first three numbers of a /24 that no network of any host has, to begin a form with."""
    ctx.require("network.edit")
    taken = {
        ipaddress.ip_interface(cidr).network
        for addresses in ctx.session.scalars(sa.select(Network.addresses))
        for cidr in addresses
        if network_of(cidr) is not None and ":" not in cidr
    }
    for third in range(100, 255):
        net = ipaddress.IPv4Network(f"192.168.{third}.0/24")
        if not any(isinstance(each, ipaddress.IPv4Network) and each.overlaps(net) for each in taken):
            return f"192.168.{third}"
    return "10.0.0"


def editable(ctx: Ctx, network_id: str) -> NetworkPlan:
    """What the edit form begins with. Raises NotFound, Conflict (not_editable)."""
    return _plan_of(ctx, _get(ctx, network_id))


def _create(
    ctx: Ctx, host: Host, plan: NetworkPlan, *, start: bool, autostart: bool, batch_id: str | None = None
) -> Task:
    require_workable(ctx, host)
    _check_name(ctx, host, plan.name)
    _check_place(ctx, host, plan)
    params = {
        "uuid": str(uuid4()),
        "plan": plan.model_dump(mode="json"),
        "start": start,
        "autostart": autostart,
    }
    target = Ref(kind=ObjectKind.NETWORK, id=new_id(ObjectKind.NETWORK), name=plan.name)
    place = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
    # One at a time with this name on a host; whatever its length, the lock fits.
    lock = "network " + hashlib.sha256(f"{host.id} {plan.name}".encode()).hexdigest()
    task = tasks.enqueue(
        ctx, "network.create", target=target, host=place, params=params, lock=lock, batch_id=batch_id
    )
    look_alikes.record_warning(ctx, Network, plan.name, target=place, host=place, task_id=task.id)
    return task


def _check_name(ctx: Ctx, host: Host, name: str) -> None:
    query = sa.select(Network.id).where(Network.host_id == host.id, Network.name == name)
    if ctx.session.scalar(query):
        raise Conflict(
            N_("The name is taken."),
            why=N_("Host %(host)s has a network “%(name)s” already."),
            hint=N_("Choose another name."),
            code="name_taken",
            params={"host": host.name, "name": name},
        )


def _check_place(ctx: Ctx, host: Host, plan: NetworkPlan, but: str = "") -> None:
    """The other networks of the host, and those that tasks are making there, leave room for it."""
    query = sa.select(Network.name, Network.bridge, Network.addresses, Network.forward_mode)
    others = list(ctx.session.execute(query.where(Network.host_id == host.id, Network.id != but)))
    waiting = [
        NetworkPlan.model_validate(params["plan"])
        for params in ctx.session.scalars(
            sa.select(Task.params).where(
                Task.kind == "network.create", Task.state.in_(_ACTIVE), Task.host_id == host.id
            )
        )
    ]
    if plan.mode in OWN_BRIDGE and plan.bridge is not None:
        taken = {each.bridge: each.name for each in others} | {each.bridge: each.name for each in waiting}
        if plan.bridge in taken:
            raise InvalidInput(
                "bridge",
                N_("%(bridge)s belongs to the network %(name)s on this host"),
                params={"bridge": plan.bridge, "name": taken[plan.bridge]},
                code="bridge_taken",
            )
    subnets = [(each.name, cidr) for each in others for cidr in each.addresses]
    subnets += [(each.name, subnet.address) for each in waiting for subnet in each.subnets]
    check_neighbours(plan, subnets, host.address)


def _kept(before: NetworkPlan, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes; null stands for the default where there is one that is not null."""
    defaults = {name: about.default for name, about in NetworkPlan.model_fields.items()}
    return {
        name: (defaults[name] if defaults[name] is not None and value is None else value)
        for name, value in changes.items()
        if name in NetworkPlan.model_fields
    }


def _refuse_used(ctx: Ctx, network: Network, *, running_only: bool) -> None:
    users = users_of(ctx, [network]).get(network.id, [])
    names = [
        each.vm.name
        for each in users
        if not running_only or (VmState(each.state).is_active and not each.after_power_off)
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


def _wrong_state(ctx: Ctx, why: str) -> Conflict:
    return Conflict(
        N_("This cannot be done now."),
        why=why,
        hint=N_("Nothing needs to be done."),
        code="already_so",
    )


def _plan_of(ctx: Ctx, network: Network) -> NetworkPlan:
    plan = read_plan(network.xml) if network.xml else None
    if plan is None:
        raise Conflict(
            N_("Vigie cannot edit this network."),
            why=N_("Its definition holds values that Vigie would not write."),
            hint=N_("Edit it on its host with virsh net-edit."),
            code="not_editable",
        )
    return plan


def _ask(ctx: Ctx, kind: str, network: Network, host: Host, params: dict[str, Any]) -> TaskRecord:
    target = Ref(kind=ObjectKind.NETWORK, id=network.id, name=network.name)
    place = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
    return tasks.record_of(ctx, tasks.enqueue(ctx, kind, target=target, host=place, params=params))


def _get(ctx: Ctx, network_id: str) -> Network:
    ctx.require("network.edit")
    query = sa.select(Network).where(Network.id == network_id).options(undefer(Network.xml))
    network: Network | None = ctx.session.scalar(ctx.visible(query, "network.view"))
    if network is None:
        raise NotFound(N_("There is no such network."))
    ctx.require("network.edit", network)
    return network
