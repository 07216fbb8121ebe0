"""Hosts as the web process uses them: for consoles, and for files on their way to or from a volume.

The engine has connections of its own; bytes for a person do not go through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.access.context import Services
from app.access.host_secrets import target_of
from app.core.errors import Conflict, NotFound
from app.core.hosts.refusals import HOST_DISABLED
from app.core.hosts.states import AdminState, HostConnection
from app.core.messages import N_
from app.db.models import Host as HostRow
from app.hypervisor import Host, Target


@contextmanager
def connected_host(services: Services, host_id: str) -> Iterator[Host]:
    """An open host, for as long as the block lasts. Must not be in a transaction: it may wait for the host.

    Raises NotFound, Conflict (host_disabled, host_not_connected) for a host that the engine cannot use either, and what
    `Host.open` raises.
    """
    config_version, target = _target(services, host_id)
    with services.host_connections.use(host_id, config_version, target) as host:
        yield host


def _target(services: Services, host_id: str) -> tuple[int, Target]:
    with services.database.read() as session:
        row = session.get(HostRow, host_id)
        if row is None:
            raise NotFound(N_("There is no such host."))
        if row.admin_state == AdminState.DISABLED:
            raise Conflict(
                N_("The host is not connected."),
                why=HOST_DISABLED.reason,
                hint=HOST_DISABLED.hint,
                code=HOST_DISABLED.code,
            )
        if not HostConnection(row.connection).is_usable:
            raise Conflict(
                N_("The host is not connected."),
                why=row.connection_reason,
                hint=N_("Wait until the host answers again, or look at the host's page for the reason."),
                code="host_not_connected",
            )
        target = target_of(session, services.vault, row, loopback=services.settings.lab)
        return row.config_version, target
