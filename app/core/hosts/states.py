"""States and modes of a host, how Vigie reaches it, and their titles."""

from __future__ import annotations

from enum import StrEnum

from app.core.messages import N_


class HostState(StrEnum):
    """State of the connection to a host, as its coordinator last saw it."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    NOT_ANSWERING = "not_answering"
    AUTH_FAILED = "auth_failed"
    IDENTITY_CHANGED = "identity_changed"
    MAINTENANCE = "maintenance"
    DISABLED = "disabled"

    @property
    def is_usable(self) -> bool:
        """True when work may be sent to the host."""
        return self in (HostState.CONNECTED, HostState.MAINTENANCE)


class HostMode(StrEnum):
    """`observe` never changes anything on the host; `managed` allows every action."""

    OBSERVE = "observe"
    MANAGED = "managed"


class Transport(StrEnum):
    """How Vigie reaches the host's libvirt socket."""

    SSH = "ssh"
    TLS = "tls"
    LOCAL = "local"
    SIMULATED = "simulated"  # libvirt's test driver; refused unless the settings say lab


class Verdict(StrEnum):
    """Outcome of one compatibility check."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


HOST_STATE_TITLES: dict[HostState, str] = {
    HostState.CONNECTING: N_("Connecting"),
    HostState.CONNECTED: N_("Connected"),
    HostState.NOT_ANSWERING: N_("Not answering"),
    HostState.AUTH_FAILED: N_("Sign-in refused"),
    HostState.IDENTITY_CHANGED: N_("Identity changed"),
    HostState.MAINTENANCE: N_("Maintenance"),
    HostState.DISABLED: N_("Disabled"),
}
