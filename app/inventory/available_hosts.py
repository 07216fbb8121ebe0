"""Which hosts can be given work that nobody has asked of them by name."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.hosts.states import AdminState, HostConnection, HostMode
from app.db.models import Host


def is_available() -> sa.ColumnElement[bool]:
    """Whether Vigie may give a host work by itself: it is connected, enabled and managed."""
    return sa.and_(
        Host.connection == HostConnection.CONNECTED.value,
        Host.admin_state == AdminState.ENABLED.value,
        Host.mode == HostMode.MANAGED.value,
    )
