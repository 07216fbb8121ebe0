"""Consoles of VMs: tickets to open one, who has one open, and whether they still may.

A ticket is used once and soon, by whom it was given: the same login or token, from the same origin. The web
redeems it, opens the console with `connect`, asks `still_allowed` while it is open, and tells when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.access import audit
from app.access.context import Actor, Ctx, Services
from app.access.find import find, known, ref
from app.access.host_connections import connected_host
from app.access.secrets import new_secret, secret_digest
from app.core.errors import Conflict, NotAllowed, VigieError
from app.core.hosts.refusals import HOST_OBSERVED
from app.core.hosts.states import HostMode
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.vms.consoles import ConsoleKind, ConsoleList, ConsoleRecord, ConsoleSpec, ConsoleTicket
from app.core.vms.states import VmState
from app.db import models
from app.db.models import Host, Vm
from app.hypervisor import Line
from app.services.hosts.manageable import require_connected

TICKET_S = 30
MAX_CONSOLES_OF_USER = 50
MAX_CONSOLES = 500


@dataclass(frozen=True, slots=True)
class Grant:
    """A redeemed ticket: what its holder may open."""

    actor: Actor
    vm_id: str
    vm_uuid: str
    host_id: str
    kind: ConsoleKind
    view_only: bool
    force: bool


def open_console(ctx: Ctx, vm_id: str, spec: ConsoleSpec, origin: str | None, url: str) -> ConsoleTicket:
    """Give a ticket for a console. `origin` is the one of the page that asks, None for a program.

    Raises NotFound, Conflict (vm_not_running, host_observed, host_not_connected, too_many_consoles).
    """
    vm = find(ctx, Vm, vm_id, "vm.console")
    host = known(ctx, Host, vm.host_id)
    _require_openable(ctx, vm, host, view_only=spec.view_only)
    _require_room(ctx)
    secret = new_secret()
    ticket = models.ConsoleTicket(
        secret_sha256=secret_digest(secret),
        vm_id=vm.id,
        kind=spec.kind,
        view_only=spec.view_only,
        force=spec.force,
        user_id=ctx.actor.user_id,
        login_id=ctx.actor.login_id,
        token_id=ctx.actor.token_id,
        origin=origin,
        expires_at=ctx.now + timedelta(seconds=TICKET_S),
    )
    ctx.session.add(ticket)
    audit.record(ctx, "vm.console", target=ref(vm), kind=spec.kind, view_only=spec.view_only)
    return ConsoleTicket(
        ticket=secret, url=url, kind=spec.kind, view_only=spec.view_only, expires_at=ticket.expires_at
    )


def spice_file(ctx: Ctx, vm_id: str) -> str:
    """A file with which remote-viewer opens the VM's SPICE display, without its password.

    Raises NotFound, Conflict (vm_not_running, host_not_connected, host_observed, no_display, spice_out_of_reach).
    """
    vm = find(ctx, Vm, vm_id, "vm.console")
    host = known(ctx, Host, vm.host_id)
    _require_openable(ctx, vm, host, view_only=False)
    parsed = ctx.session.scalar(
        sa.select(models.VmDefinition.parsed).where(models.VmDefinition.vm_id == vm.id)
    )
    displays = [item for item in (parsed or {}).get("graphics", ()) if item.get("kind") == "spice"]
    if not displays:
        raise Conflict(N_("This VM has no SPICE display."), code="no_display")
    port, listens_on = displays[0].get("port"), displays[0].get("listen") or ""
    if not port or not host.address or _is_loopback(listens_on):
        raise Conflict(
            N_("Your computer cannot reach this VM's SPICE display."),
            why=N_(
                "It listens on the host's loopback only, and Vigie does not tunnel SPICE: a session is several connections."
            ),
            hint=N_(
                "Let it listen on the host's address, or give the VM a VNC display; either counts after the next power-off."
            ),
            code="spice_out_of_reach",
        )
    # A name may hold anything; in this file a line break would begin another setting.
    title = "".join(item if item.isprintable() else "?" for item in vm.name)
    lines = ["[virt-viewer]", "type=spice", f"host={host.address}", f"port={int(port)}", f"title={title}"]
    return "\n".join([*lines, "delete-this-file=1", ""])


def list_consoles(ctx: Ctx, vm_id: str) -> ConsoleList:
    """Who has the VM's consoles open. Raises NotFound."""
    find(ctx, Vm, vm_id, "vm.view")
    query = sa.select(models.Console).where(models.Console.vm_id == vm_id).order_by(models.Console.opened_at)
    return ConsoleList(items=tuple(_record(row) for row in ctx.session.scalars(query)))


def redeem(services: Services, actor: Actor, secret: str, origin: str | None) -> Grant:
    """Use a ticket up. Raises NotAllowed (ticket_invalid) for one that is unknown, used, too old or another's."""
    with services.database.begin() as session:
        ticket = session.get(models.ConsoleTicket, secret_digest(secret), with_for_update=True)
        if ticket is None:
            raise _invalid()
        session.delete(ticket)
    given_to = (ticket.user_id, ticket.login_id, ticket.token_id, ticket.origin)
    is_theirs = given_to == (actor.user_id, actor.login_id, actor.token_id, origin)
    with services.database.read() as session:
        ctx = Ctx(services, session, actor)
        if is_theirs and ctx.now < ticket.expires_at:
            vm = find(ctx, Vm, ticket.vm_id, "vm.console")
            host = known(ctx, Host, vm.host_id)
            _require_openable(ctx, vm, host, view_only=ticket.view_only)
            return _grant(actor, vm, ticket)
    refused = _invalid()
    audit.record_refusal(services, actor, "vm.console", refused, ticket.vm_id)
    raise refused


def connect(services: Services, grant: Grant) -> Line:
    """Open the console on its host; `close` of what is returned ends it. May wait for the host.

    Raises HostError and its kinds, Conflict (no_display, no_serial, serial_busy, vm_not_running).
    """
    held = ExitStack()
    try:
        host = held.enter_context(connected_host(services, grant.host_id))
        if grant.kind == "serial":
            line = host.consoles.open_serial(grant.vm_uuid, force=grant.force)
        else:
            line = host.consoles.open_display(grant.vm_uuid)
        held.callback(line.close)
    except BaseException:
        held.close()
        raise
    return Line(line.socket, held.close, line.password)


def opened(services: Services, grant: Grant) -> Callable[[], None]:
    """Write down that the console is open; call what is returned once it is not."""
    console_id = new_id(ObjectKind.CONSOLE)
    with services.database.begin() as session:
        ctx = Ctx(services, session, grant.actor)
        row = models.Console(
            id=console_id,
            vm_id=grant.vm_id,
            kind=grant.kind,
            view_only=grant.view_only,
            user_id=grant.actor.user_id,
            user_name=grant.actor.name,
            remote=grant.actor.remote,
            replica_id=services.replicas.own_id,
            opened_at=ctx.now,
        )
        session.add(row)
        ctx.notify(grant.vm_id)

    def closed() -> None:
        with services.database.begin() as session:
            session.execute(sa.delete(models.Console).where(models.Console.id == console_id))
            Ctx(services, session, grant.actor).notify(grant.vm_id)

    return closed


def still_allowed(services: Services, actor: Actor, grant: Grant) -> None:
    """Raise NotAllowed or NotFound once the actor, as known now, may not have the console any more.

    Raises Conflict (vm_moved) when the VM is on another host now.
    """
    with services.database.read() as session:
        ctx = Ctx(services, session, actor)
        vm = find(ctx, Vm, grant.vm_id, "vm.console")
        host = known(ctx, Host, vm.host_id)
        if host.mode == HostMode.OBSERVE and not grant.view_only:
            raise _observed(ctx)
        if vm.host_id != grant.host_id:
            raise Conflict(
                N_("The VM is on another host now."), hint=N_("Open the console again."), code="vm_moved"
            )


def remove_orphaned(services: Services) -> None:
    """Remove the rows of consoles that no living replica serves, and tickets that nobody can use any more.

    For the start of a replica, before it opens any console: rows of its own are left over from the time before.
    """
    replicas, console, ticket = services.replicas, models.Console, models.ConsoleTicket
    served = replicas.living_ids() - {replicas.own_id}
    with services.database.begin() as session:
        session.execute(sa.delete(console).where(console.replica_id.not_in(served)))
        session.execute(sa.delete(ticket).where(ticket.expires_at < datetime.now(UTC)))


def _require_openable(ctx: Ctx, vm: Vm, host: Host, *, view_only: bool) -> None:
    require_connected(ctx, host)
    if host.mode == HostMode.OBSERVE and not view_only:
        raise _observed(ctx)
    if not VmState(vm.state).is_active:
        raise Conflict(
            N_("The VM is not running."),
            hint=N_("Start it; then its console opens by itself."),
            code="vm_not_running",
        )


def _observed(ctx: Ctx) -> VigieError:
    return Conflict(
        N_("This cannot be done now."),
        why=HOST_OBSERVED.reason,
        hint=N_("Open the console in view-only mode, or let Vigie manage the host."),
        code=HOST_OBSERVED.code,
    )


def _require_room(ctx: Ctx) -> None:
    """Forget old tickets, and refuse more than one can use, or this server can carry."""
    tickets, consoles = models.ConsoleTicket, models.Console
    ctx.session.execute(sa.delete(tickets).where(tickets.expires_at < ctx.now))
    count = sa.func.count
    own = ctx.actor.user_id
    mine = ctx.session.scalar(sa.select(count()).select_from(consoles).where(consoles.user_id == own)) or 0
    mine += ctx.session.scalar(sa.select(count()).select_from(tickets).where(tickets.user_id == own)) or 0
    if (
        mine >= MAX_CONSOLES_OF_USER
        or (ctx.session.scalar(sa.select(count()).select_from(consoles)) or 0) >= MAX_CONSOLES
    ):
        raise Conflict(
            N_("Too many consoles are open."),
            why=N_("A user may have %(own)d open, and all together %(all)d."),
            hint=N_("Close some of them first."),
            code="too_many_consoles",
            params={"own": MAX_CONSOLES_OF_USER, "all": MAX_CONSOLES},
        )


def _is_loopback(listens_on: str) -> bool:
    """Whether a display that listens there is reached from its host alone; a path is a unix socket."""
    return listens_on in ("", "::1", "localhost") or listens_on.startswith(("127.", "/"))


def _grant(actor: Actor, vm: Vm, ticket: models.ConsoleTicket) -> Grant:
    kind: ConsoleKind = "serial" if ticket.kind == "serial" else "vnc"
    return Grant(actor, vm.id, vm.uuid, vm.host_id, kind, ticket.view_only, ticket.force)


def _invalid() -> VigieError:
    return NotAllowed(
        N_("The ticket for the console is not valid."),
        why=N_("It was used before, is older than 30 seconds, or was given to another login, token or page."),
        hint=N_("Ask for a new one."),
        code="ticket_invalid",
    )


def _record(row: models.Console) -> ConsoleRecord:
    return ConsoleRecord(
        id=row.id,
        kind="serial" if row.kind == "serial" else "vnc",
        view_only=row.view_only,
        user_id=row.user_id,
        user_name=row.user_name,
        remote=row.remote,
        opened_at=row.opened_at,
    )
