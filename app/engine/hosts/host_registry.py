"""Which hosts there are and how to reach them, read from the database often and cheaply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from app.access.context import Services
from app.access.host_secrets import secret_of
from app.core.hosts.endpoints import Endpoint
from app.core.hosts.states import AdminState, HostConnection, Transport
from app.db.models import Host as HostRow
from app.hypervisor import Target

_TABLE = HostRow.__table__.c


@dataclass(frozen=True, slots=True)
class RegisteredHost:
    """A host to watch. A change of `config_version` asks for a new connection."""

    id: str
    name: str
    config_version: int
    endpoint: Endpoint
    credential_id: str | None
    fingerprint: str | None
    connection: HostConnection


class TargetOf(Protocol):
    """Turns an entry into something to connect to."""

    def __call__(self, entry: RegisteredHost) -> Target: ...


class HostRegistry:
    """Reads the hosts that are not disabled."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def mark(self) -> tuple[object, ...]:
        """A value that changes when any host is added, removed, disabled, enabled again or configured anew."""
        disabled = sa.case((_TABLE.admin_state == AdminState.DISABLED, 1), else_=0)
        query = sa.select(
            sa.func.count(),
            sa.func.sum(_TABLE.config_version),
            sa.func.sum(disabled),
            sa.func.max(_TABLE.created_at),
        )
        with self._services.database.read() as session:
            return tuple(session.execute(query).one())

    def entries(self) -> dict[str, RegisteredHost]:
        """All hosts that are not disabled, by id."""
        names = ["id", "name", "config_version", "transport", "address", "port", "user", "socket"]
        names += ["credential_id", "fingerprint", "connection"]
        query = sa.select(*(_TABLE[name] for name in names)).where(_TABLE.admin_state != AdminState.DISABLED)
        with self._services.database.read() as session:
            rows = session.execute(query).all()
        lab = self._services.settings.lab
        return {
            row.id: RegisteredHost(
                id=row.id,
                name=row.name,
                config_version=row.config_version,
                endpoint=Endpoint(Transport(row.transport), row.address, row.port, row.user, row.socket, lab),
                credential_id=row.credential_id,
                fingerprint=row.fingerprint,
                connection=HostConnection(row.connection),
            )
            for row in rows
        }

    def target(self, entry: RegisteredHost) -> Target:
        """The entry with its secret, which is read only to be used at once. Raises Unavailable."""
        if entry.credential_id is None:
            return Target(entry.endpoint, None, entry.fingerprint)
        with self._services.database.read() as session:
            secret = secret_of(session, self._services.vault, entry.credential_id)
        return Target(entry.endpoint, secret, entry.fingerprint)
