"""Hosts: registering them after a probe, and what people set of them. The engine does the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection

import sqlalchemy as sa

from app.access import audit
from app.access.context import Actor, Ctx, Services
from app.access.find import find, look_up, ref, unrestricted, visible
from app.access.names.unique_names import check_free, save_named
from app.access.paging import Order, contains, page
from app.access.row_versions import check_version
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.hosts.records import HostCheck, HostDetail, HostRecord
from app.core.hosts.refusals import HOST_DISABLED
from app.core.hosts.specs import HostPatch, HostQuery, HostSpec, HostTarget, IdentitySpec
from app.core.hosts.states import AdminState, HostConnection, Transport
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import HOSTS, TREE
from app.core.records import Page, Ref
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.db.events import record_event
from app.db.models import Datacenter, Host, Tag, Task, Vm
from app.hypervisor import HostProbe
from app.inventory.hosts import checks_columns, facts_columns, host_search_text, machine_uuid
from app.services.hosts.endpoints import credential_for, endpoint_of, where_columns
from app.services.hosts.probe import probe_host
from app.services.hosts.records import check_records, detail_of, records_of, select_hosts, select_listed

SORT_KEYS = Order(
    {
        "name": Host.name_key,
        "connection": Host.connection,
        "admin_state": Host.admin_state,
        "datacenter": Datacenter.name_key,
        "address": Host.address,
        "cpu": Host.cpu_percent,
        "memory": Host.memory_bytes,
        "memory_used": Host.memory_used_bytes,
        "vm_count": Host.vm_count,
        "observed_at": Host.observed_at,
    },
    default="name",
    unique=Host.id,
)
_ADMIN_EVENTS: dict[AdminState, tuple[str, str]] = {
    AdminState.ENABLED: ("host.enabled", N_("Host %(name)s was enabled.")),
    AdminState.MAINTENANCE: ("host.maintenance", N_("Host %(name)s was put into maintenance.")),
    AdminState.DISABLED: ("host.disabled", N_("Host %(name)s was disabled.")),
}
# A change of one of these makes the engine connect anew.
WHERE_FIELDS = frozenset({"address", "port", "user", "socket", "credential_id"})
Translate = Callable[[str], str]


def list_hosts(ctx: Ctx, params: HostQuery) -> Page[HostRecord]:
    """The hosts that pass the filters."""
    query = visible(ctx, select_listed(), Host, "host.view")
    if params.connection:
        query = query.where(Host.connection.in_([item.value for item in params.connection]))
    if params.admin_state:
        query = query.where(Host.admin_state.in_([item.value for item in params.admin_state]))
    if params.datacenter:
        query = query.where(Host.datacenter_id == params.datacenter)
    if params.mode:
        query = query.where(Host.mode == params.mode.value)
    if params.tag:
        query = query.where(Host.id.in_(sa.select(Tag.object_id).where(Tag.name == params.tag)))
    if params.q:
        query = query.where(contains(Host.search_text, params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: records_of(ctx, rows))


def hosts_by_id(ctx: Ctx, ids: Collection[str]) -> list[HostRecord]:
    """These hosts, in no order, without those that are gone; for live updates of lists."""
    query = visible(ctx, select_listed().where(Host.id.in_(ids)), Host, "host.view")
    return records_of(ctx, [(row[0], row[1]) for row in ctx.session.execute(query)])


def show_host(ctx: Ctx, host_id: str) -> HostDetail:
    """One host with all that is known. Raises NotFound."""
    row = ctx.session.execute(
        visible(ctx, select_hosts().where(Host.id == host_id), Host, "host.view")
    ).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such host."))
    return detail_of(ctx, row[0], row[1])


def check_host(services: Services, actor: Actor, translate: Translate, target: HostTarget) -> HostCheck:
    """Probe a host without adding it: identity, hardware, compatibility.

    It talks to the host, so it opens its own short transactions around that. Raises IdentityUnconfirmed with
    the fingerprint when the target names none, and HostError and its kinds.
    """
    probe = probe_host(services, actor, translate, target)
    with services.database.read() as session:
        ctx = Ctx(services, session, actor, translate)
        return HostCheck(
            fingerprint=probe.fingerprint,
            hostname=probe.facts.hostname,
            libvirt_uuid=_machine(probe),
            libvirt_version=probe.facts.libvirt_version,
            hypervisor_version=probe.facts.hypervisor_version,
            cpus=probe.facts.cpus,
            memory_bytes=probe.facts.memory_bytes,
            vm_count=probe.vm_count,
            checks=check_records(ctx, probe.checks),
            already_host=_same_machine(ctx, _machine(probe)),
        )


def add_host(services: Services, actor: Actor, translate: Translate, spec: HostSpec) -> HostDetail:
    """Register a host after a probe of it. Raises what `check_host` does, and Conflict (duplicate_host, name_taken)."""
    with services.database.read() as session:
        _check_place(Ctx(services, session, actor, translate), spec)
    probe = probe_host(services, actor, translate, spec)
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        ctx.require("host.add")
        known = _same_machine(ctx, _machine(probe))
        if known is not None:
            raise Conflict(
                N_("This machine is registered already."),
                why=N_("Host %(name)s has the same libvirt host UUID."),
                hint=N_("If it is another machine, give it a host_uuid of its own in its libvirtd.conf."),
                code="duplicate_host",
                params={"name": known.name},
            )
        host = _new_row(ctx, spec, probe)
        save_named(ctx, host, spec.name)
        _set_tags(ctx, host, spec.tags)
        audit.record(ctx, "host.add", target=ref(host), address=str(probe.endpoint), mode=host.mode)
        ctx.notify(HOSTS, TREE, host.id)
        return show_host(ctx, host.id)


def _check_place(ctx: Ctx, spec: HostSpec) -> None:
    """Refuse what needs no probe of the host: rights, name, datacenter."""
    ctx.require("host.add")
    check_free(ctx, Host, spec.name)
    if spec.datacenter_id and look_up(ctx, Datacenter, spec.datacenter_id) is None:
        raise InvalidInput("datacenter_id", N_("names no datacenter"))


def _new_row(ctx: Ctx, spec: HostSpec, probe: HostProbe) -> Host:
    transport, address = probe.endpoint.transport.value, probe.endpoint.address
    return Host(
        id=new_id(ObjectKind.HOST),
        datacenter_id=spec.datacenter_id or _first_datacenter(ctx),
        **where_columns(probe.endpoint),
        credential_id=credential_for(ctx, probe.endpoint, spec.credential_id),
        mode=spec.mode.value,
        admin_state=AdminState.ENABLED.value,
        fingerprint=probe.fingerprint,
        config_version=1,
        connection=HostConnection.CONNECTING.value,
        connection_params={},
        connection_since=ctx.now,
        **facts_columns(transport, address, probe.facts),
        **checks_columns(probe.checks, ctx.now),
        vm_count=0,
        vm_running=0,
        tags=[],
        notes=spec.notes,
        search_text=host_search_text(spec.name, address, probe.facts.hostname, spec.tags),
        created_at=ctx.now,
        version=1,
    )


def _first_datacenter(ctx: Ctx) -> str:
    """The oldest datacenter; one is made when there is none."""
    query = sa.select(Datacenter.id).order_by(Datacenter.created_at, Datacenter.id).limit(1)
    first = ctx.session.scalar(visible(ctx, query, Datacenter, "datacenter.view"))
    if first is not None:
        return first
    row = Datacenter(id=new_id(ObjectKind.DATACENTER), created_at=ctx.now, version=1)
    save_named(ctx, row, ctx.translate(N_("Datacenter")))
    return row.id


def _machine(probe: HostProbe) -> str:
    return machine_uuid(probe.endpoint.transport.value, probe.endpoint.address, probe.facts.libvirt_uuid)


def _same_machine(ctx: Ctx, uuid: str) -> Ref | None:
    found = ctx.session.scalar(unrestricted(sa.select(Host).where(Host.libvirt_uuid == uuid)))
    return ref(found) if found else None


def update_host(ctx: Ctx, host_id: str, patch: HostPatch, expected_version: int | None = None) -> HostDetail:
    """Change a host. Another address or credential makes the engine connect anew."""
    host = find(ctx, Host, host_id, "host.edit", lock=True)
    check_version(host, expected_version)
    fields = patch.model_fields_set
    if fields & WHERE_FIELDS:
        _move(ctx, host, patch)
    if patch.datacenter_id is not None:
        if look_up(ctx, Datacenter, patch.datacenter_id) is None:
            raise InvalidInput("datacenter_id", N_("names no datacenter"))
        host.datacenter_id = patch.datacenter_id
    if patch.mode is not None:
        host.mode = patch.mode.value
    changed = _set_admin_state(ctx, host, patch.admin_state)
    before = _allowed(host)
    if patch.allowed_bridges is not None:
        host.allowed_bridges = list(dict.fromkeys(patch.allowed_bridges))
    if patch.allowed_interfaces is not None:
        host.allowed_interfaces = list(dict.fromkeys(patch.allowed_interfaces))
    host.notes = host.notes if patch.notes is None else patch.notes
    if patch.name is not None:
        save_named(ctx, host, patch.name)
    if patch.tags is not None:
        _set_tags(ctx, host, patch.tags)
    host.search_text = host_search_text(host.name, host.address, host.hostname, host.tags)
    host.version += 1
    ctx.session.flush()
    if before != _allowed(host):
        changed |= {"allowed_before": before, "allowed": _allowed(host)}
    audit.record(ctx, "host.update", target=ref(host), fields=", ".join(sorted(fields)), **changed)
    ctx.notify(HOSTS, TREE, host.id)
    return show_host(ctx, host.id)


def _allowed(host: Host) -> str:
    """The bridges and interfaces that VMs may be plugged into, as the audit shows them."""
    return ", ".join((*(host.allowed_bridges or ()), *(host.allowed_interfaces or ()))) or "–"


def _move(ctx: Ctx, host: Host, patch: HostPatch) -> None:
    """Another address, account or credential. Another address means another identity to confirm."""
    requested = {
        "transport": host.transport,
        "address": host.address if patch.address is None else patch.address,
        "port": host.port if patch.port is None else patch.port,
        "user": host.user if patch.user is None else patch.user,
        "socket": host.socket if patch.socket is None else patch.socket,
        "credential_id": patch.credential_id or host.credential_id,
    }
    if host.transport in (Transport.LOCAL, Transport.SIMULATED):
        requested |= {"port": None, "user": None}
    if host.transport == Transport.TLS:
        requested |= {"user": None, "socket": None}
    target = HostTarget.model_validate(requested)
    endpoint = endpoint_of(ctx.services, target)
    wanted = where_columns(endpoint) | {"credential_id": target.credential_id}
    if all(getattr(host, name) == value for name, value in wanted.items()):
        return  # a form sends all its fields: the connection stays when none of these differs
    wanted["credential_id"] = credential_for(ctx, endpoint, target.credential_id)
    for name, value in wanted.items():
        setattr(host, name, value)
    host.config_version += 1


def _set_admin_state(ctx: Ctx, host: Host, wanted: AdminState | None) -> dict[str, str]:
    """Set the administrative state, and return what the audit says of the change; nothing when there is none.

    The engine closes the connection to a disabled host and leaves it alone, so it counts as not answering.
    """
    before = AdminState(host.admin_state)
    if wanted is None or wanted is before:
        return {}
    host.admin_state = wanted.value
    if AdminState.DISABLED in (wanted, before):
        host.config_version += 1
        if wanted is AdminState.DISABLED:
            _set_connection(ctx, host, HostConnection.NOT_ANSWERING, HOST_DISABLED.reason)
            ctx.notify(*ctx.session.scalars(unrestricted(sa.select(Vm.id).where(Vm.host_id == host.id))))
        else:
            _set_connection(ctx, host, HostConnection.CONNECTING)
    kind, message = _ADMIN_EVENTS[wanted]
    target = ref(host)
    record_event(
        ctx.session,
        ctx.services.hub,
        kind,
        message,
        {"name": host.name},
        target=target,
        host=target,
        actor=ctx.actor.name,
    )
    return {"admin_state_before": before.value, "admin_state": wanted.value}


def _set_connection(ctx: Ctx, host: Host, connection: HostConnection, reason: str | None = None) -> None:
    host.connection, host.connection_since = connection.value, ctx.now
    host.connection_reason, host.connection_params = reason, {}


def remove_host(ctx: Ctx, host_id: str) -> None:
    """Forget a host with its VMs, pools and networks; the host itself is not touched."""
    host = find(ctx, Host, host_id, "host.remove", lock=True)
    active = sa.select(sa.func.count()).where(
        Task.host_id == host.id, Task.state.in_([state.value for state in ACTIVE_TASK_STATES])
    )
    count = ctx.session.scalar(unrestricted(active)) or 0
    if count:
        raise Conflict(
            N_("The host has tasks that have not ended."),
            why=N_("%(count)d tasks run or wait on it."),
            hint=N_("Wait for their end, or cancel them."),
            code="host_busy",
            params={"count": count},
        )
    owned = sa.select(Vm.id).where(Vm.host_id == host.id)
    ctx.session.execute(sa.delete(Tag).where(sa.or_(Tag.object_id == host.id, Tag.object_id.in_(owned))))
    ctx.session.execute(sa.delete(Host).where(Host.id == host.id))
    audit.record(ctx, "host.remove", target=ref(host), address=host.address)
    ctx.notify(HOSTS, TREE, host.id)


def confirm_identity(ctx: Ctx, host_id: str, spec: IdentitySpec) -> HostDetail:
    """Take the identity that the host shows now as its own. Raises Conflict when it is not the one shown."""
    host = find(ctx, Host, host_id, "host.trust", lock=True)
    if spec.fingerprint not in (host.fingerprint_seen, host.fingerprint):
        raise Conflict(
            N_("The host shows another identity than the one that you confirm."),
            why=N_("It shows %(seen)s."),
            hint=N_("Compare it again with what the host itself says."),
            code="identity_mismatch",
            params={"seen": host.fingerprint_seen or host.fingerprint or "-"},
        )
    before = host.fingerprint
    host.fingerprint, host.fingerprint_seen = spec.fingerprint, None
    host.config_version += 1
    host.version += 1
    if host.admin_state != AdminState.DISABLED:
        _set_connection(ctx, host, HostConnection.CONNECTING)
    ctx.session.flush()
    audit.record(ctx, "host.trust", target=ref(host), before=before, fingerprint=spec.fingerprint)
    ctx.notify(HOSTS, host.id)
    return show_host(ctx, host.id)


def reconnect(ctx: Ctx, host_id: str) -> HostDetail:
    """Have the engine make a new connection now. Raises Conflict for a disabled host."""
    host = find(ctx, Host, host_id, "host.edit", lock=True)
    if host.admin_state == AdminState.DISABLED:
        raise Conflict(
            N_("The host is disabled."),
            hint=N_("Enable it; it is connected to then."),
            code=HOST_DISABLED.code,
        )
    host.config_version += 1
    ctx.session.flush()
    audit.record(ctx, "host.reconnect", target=ref(host))
    ctx.notify(HOSTS, host.id)
    return show_host(ctx, host.id)


def _set_tags(ctx: Ctx, host: Host, tags: Collection[str]) -> None:
    host.tags = list(dict.fromkeys(tags))
    ctx.session.execute(sa.delete(Tag).where(Tag.object_id == host.id))
    ctx.session.add_all(Tag(object_id=host.id, name=name) for name in host.tags)
