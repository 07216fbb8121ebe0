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

    @property
    def is_managed(self) -> bool:
        """True when Vigie may change things on the host."""
        return self is HostMode.MANAGED


class Transport(StrEnum):
    """How Vigie reaches the host's libvirt socket."""

    SSH = "ssh"
    TLS = "tls"
    LOCAL = "local"
    SIMULATED = "simulated"  # libvirt's test driver; refused unless the settings say lab

    @property
    def is_ssh(self) -> bool:
        """True when it goes by SSH, with an account of the host."""
        return self is Transport.SSH

    @property
    def is_tls(self) -> bool:
        """True when it goes by TLS, to libvirtd itself and not to a socket."""
        return self is Transport.TLS

    @property
    def is_remote(self) -> bool:
        """True when it goes over the network, with an address and a credential."""
        return self in (Transport.SSH, Transport.TLS)


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
