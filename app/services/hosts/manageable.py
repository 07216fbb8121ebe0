"""Require that a host can be managed now: in managed mode, enabled and connected."""

from __future__ import annotations

from app.access.context import Ctx
from app.core.errors import Conflict
from app.core.hosts.refusals import HOST_DISABLED, HOST_IN_MAINTENANCE, HOST_OBSERVED, Refusal
from app.core.hosts.states import HOST_CONNECTION_TITLES, AdminState, HostConnection, HostMode
from app.core.messages import N_
from app.db.models import Host


def require_manageable(ctx: Ctx, host: Host) -> None:
    """Raise Conflict (host_observed, host_disabled, host_not_connected) when nothing may be changed on the host now."""
    if host.mode == HostMode.OBSERVE.value:
        raise _refused(HOST_OBSERVED)
    require_connected(ctx, host)


def require_open_to_new_vms(ctx: Ctx, host: Host) -> None:
    """Raise what `require_manageable` raises, and Conflict (host_maintenance); a task that begins goes on."""
    require_manageable(ctx, host)
    if host.admin_state == AdminState.MAINTENANCE and not ctx.begins:
        raise _refused(HOST_IN_MAINTENANCE)


def require_connected(ctx: Ctx, host: Host) -> None:
    """Raise Conflict (host_disabled, host_not_connected) when the host cannot be reached now.

    A task that begins waits for a host that is not connected; whether it is disabled was looked at before.
    """
    if ctx.begins:
        return
    if host.admin_state == AdminState.DISABLED:
        raise _refused(HOST_DISABLED)
    connection = HostConnection(host.connection)
    if not connection.is_usable:
        raise Conflict(
            N_("This cannot be done now."),
            why=N_("The host is not connected (%(state)s)."),
            hint=N_("Wait until the host answers again, or look at the host's page for the reason."),
            code="host_not_connected",
            params={"state": [HOST_CONNECTION_TITLES[connection]]},
        )


def _refused(refusal: Refusal) -> Conflict:
    return Conflict(N_("This cannot be done now."), why=refusal.reason, hint=refusal.hint, code=refusal.code)
