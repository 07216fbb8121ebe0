"""Virtual networks, as hosts last showed them. What changes them is in `create`, `change` and `lifecycle`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from app.access.context import Ctx
from app.access.find import visible
from app.access.paging import Order, mentions, page
from app.core.errors import Conflict, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.records import LeaseRecord, NetworkDetail, NetworkRecord, NetworkUser
from app.core.networks.specs import NetworkPlan, NetworkQuery
from app.core.notices import LEASES
from app.core.records import Page, Ref
from app.core.vms.records import VerbRecord
from app.core.vms.states import VmState
from app.db.models import Host, Network, Vm, VmDefinition
from app.hypervisor.xml.networks.networks import read_plan
from app.inventory.staleness import HOST_IN_LISTS, is_stale
from app.services.hosts.manageable import require_manageable
from app.services.networks.network_users import counts_of, users_of

SORT_KEYS = Order(
    {"name": Network.name, "host": Host.name_key, "mode": Network.forward_mode},
    default="name",
    unique=Network.id,
)


def list_networks(ctx: Ctx, params: NetworkQuery) -> Page[NetworkRecord]:
    """The networks of all hosts, or of one."""
    query = sa.select(Network, Host).join(Host, Host.id == Network.host_id).options(HOST_IN_LISTS)
    query = visible(ctx, query, Network, "network.view")
    for column, value in (
        (Network.host_id, params.host),
        (Network.name, params.name),
        (Network.forward_mode, params.mode),
        (Network.active, params.active),
    ):
        if value is not None:
            query = query.where(column == value)
    if params.q:
        query = query.where(mentions((Network.name, Network.bridge), params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: _records(ctx, rows))


def show_network(ctx: Ctx, network_id: str) -> NetworkDetail:
    """One network with all that is known. Raises NotFound. Asking for it makes the engine read its leases."""
    whole = (undefer(Network.xml), undefer(Network.live_xml), undefer(Network.leases))
    query = sa.select(Network, Host).join(Host, Host.id == Network.host_id).options(*whole)
    row = ctx.session.execute(
        visible(ctx, query.where(Network.id == network_id), Network, "network.view")
    ).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such network."))
    network, host = row
    if network.active:
        ctx.services.hub.publish([LEASES + network.id])
    users = users_of(ctx, [network]).get(network.id, [])
    plan = read_plan(network.xml) if network.xml else None
    shown = _record(ctx, network, host, len({user.vm.id for user in users}))
    return NetworkDetail(
        **shown.model_dump(),
        plan=plan,
        pending=network.live_xml is not None,
        leases=_leases(ctx, network, plan),
        leases_read_at=network.leases_read_at,
        users=users,
        actions=_actions(ctx, network, host, users),
        version=version_of(network),
    )


def xml_of(ctx: Ctx, network_id: str, *, live: bool = False) -> str:
    """The lasting definition as last read, or what runs. Raises NotFound."""
    query = sa.select(Network.xml, Network.live_xml).where(Network.id == network_id)
    row = ctx.session.execute(visible(ctx, query, Network, "network.view")).one_or_none()
    xml = None if row is None else row.live_xml or row.xml if live else row.xml
    if xml is None:
        raise NotFound(N_("There is no such network."))
    return str(xml)


def version_of(network: Network) -> int:
    """A number that changes with what people edit of the network."""
    text = f"{network.autostart}{network.xml}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:6])


def _records(ctx: Ctx, rows: Sequence[tuple[Network, Host]]) -> list[NetworkRecord]:
    counts = counts_of(ctx, [network for network, _ in rows]) if rows else {}
    return [_record(ctx, network, host, counts.get(network.id, 0)) for network, host in rows]


def _record(ctx: Ctx, network: Network, host: Host, vm_count: int) -> NetworkRecord:
    own = ("host_name", "stale", "observed_at", "vm_count")
    copied = {name: getattr(network, name) for name in NetworkRecord.model_fields if name not in own}
    return NetworkRecord(
        **copied,
        host_name=host.name,
        stale=is_stale(ctx, host.connection, host.observed_at),
        observed_at=host.observed_at,
        vm_count=vm_count,
    )


def _leases(ctx: Ctx, network: Network, plan: NetworkPlan | None) -> list[LeaseRecord] | None:
    if network.leases is None:
        return None
    vms = _vms_by_mac(ctx, network.host_id) if network.leases else {}
    reserved = {
        reservation.address
        for subnet in (plan.subnets if plan else ())
        for reservation in subnet.reservations
    }
    found = []
    for lease in network.leases:
        ends = lease["expires_at"]
        found.append(
            LeaseRecord(
                address=lease["address"],
                prefix=lease["prefix"],
                mac=lease["mac"],
                hostname=lease["hostname"],
                expires_at=datetime.fromisoformat(ends) if ends else None,
                reserved=lease["address"] in reserved,
                vm=vms.get(lease["mac"] or ""),
            )
        )
    return sorted(found, key=lambda item: _natural(item.address))


def _natural(address: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"([0-9]+)", address[:45])
    ]


def _vms_by_mac(ctx: Ctx, host_id: str) -> dict[str, Ref]:
    query = sa.select(Vm.id, Vm.name, VmDefinition.parsed).join(VmDefinition, VmDefinition.vm_id == Vm.id)
    found: dict[str, Ref] = {}
    for id_, name, parsed in ctx.session.execute(
        visible(ctx, query.where(Vm.host_id == host_id), Vm, "vm.view")
    ):
        for nic in (parsed or {}).get("nics", ()):
            found.setdefault(nic.get("mac", "").lower(), Ref(kind=ObjectKind.VM, id=id_, name=name))
    found.pop("", None)
    return found


def _actions(ctx: Ctx, network: Network, host: Host, users: Sequence[NetworkUser]) -> list[VerbRecord]:
    """What can be done now, and why the rest cannot."""
    if not ctx.can("network.edit", network):
        return []
    error = _unmanageable(ctx, host)
    texts = error.texts(ctx.translate) if error else None
    active = [user for user in users if VmState(user.state).is_active and not user.after_power_off]
    running = list(dict.fromkeys(item.vm.name for item in active))
    used = list(dict.fromkeys(user.vm.name for user in users))
    reasons: dict[str, str | None] = {
        "start": ctx.translate(N_("The network runs.")) if network.active else None,
        "stop": _why_not_stop(ctx, network, running),
        "change": None if network.persistent else ctx.translate(N_("The network is transient.")),
        "delete": in_use(ctx, used) if used else None,
    }
    titles = {
        "start": N_("Start"),
        "stop": N_("Stop"),
        "change": N_("Edit"),
        "delete": N_("Delete"),
    }
    return [
        VerbRecord(
            verb=verb,
            title=ctx.translate(titles[verb]),
            allowed=error is None and why is None,
            confirm=verb in ("stop", "delete"),
            code=error.code
            if error
            else "network_in_use"
            if why and used
            else "wrong_state"
            if why
            else None,
            why=(texts.why or texts.title) if texts else why,
            hint=texts.hint if texts else None,
        )
        for verb, why in reasons.items()
    ]


def _unmanageable(ctx: Ctx, host: Host) -> Conflict | None:
    try:
        require_manageable(ctx, host)
    except Conflict as error:
        return error
    return None


def _why_not_stop(ctx: Ctx, network: Network, running: Sequence[str]) -> str | None:
    if not network.active:
        return ctx.translate(N_("The network is off."))
    return in_use(ctx, running) if running else None


def in_use(ctx: Ctx, names: Sequence[str]) -> str:
    """Who uses it: the first names, and how many more."""
    shown = ", ".join(names[:5])
    if len(names) > 5:
        return ctx.say(
            N_("VMs are connected to it: %(names)s and %(more)d more."),
            {"names": shown, "more": len(names) - 5},
        )
    return ctx.say(N_("VMs are connected to it: %(names)s."), {"names": shown})
