"""How old what is shown is: a value is stale when its host is not connected, or was last heard too long ago."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import load_only

from app.access.context import Ctx
from app.core.hosts.states import HostConnection
from app.db.models import Host

USABLE = tuple(connection.value for connection in HostConnection if connection.is_usable)

# What lists of things on hosts show of them; facts and checks are long.
HOST_IN_LISTS = load_only(Host.name, Host.connection, Host.observed_at, Host.transport)


def patience(ctx: Ctx) -> timedelta:
    """How long a connected host may stay unheard before its values are stale."""
    return timedelta(seconds=3 * ctx.services.settings.refresh_s + 10)


def is_stale(ctx: Ctx, connection: str, heard_at: datetime | None) -> bool:
    """Whether values of a host with this connection, last heard then, are stale."""
    return connection not in USABLE or heard_at is None or ctx.now - heard_at > patience(ctx)


def stale_hosts(ctx: Ctx) -> sa.ColumnElement[bool]:
    """The same as a condition on the table of hosts."""
    return sa.or_(
        Host.connection.not_in(USABLE), Host.observed_at.is_(None), Host.observed_at < ctx.now - patience(ctx)
    )
