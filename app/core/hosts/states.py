"""Connection, administrative state and mode of a host, how Vigie reaches it; their titles and what to do about them."""

from __future__ import annotations

from enum import StrEnum

from app.core.messages import N_


class HostConnection(StrEnum):
    """State of the connection to a host, as its coordinator last saw it; of a disabled host, not_answering."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    NOT_ANSWERING = "not_answering"
    AUTH_FAILED = "auth_failed"
    IDENTITY_CHANGED = "identity_changed"

    @property
    def is_usable(self) -> bool:
        """True when work may be sent to the host."""
        return self is HostConnection.CONNECTED


class AdminState(StrEnum):
    """What administrators want of a host: normal work, no new VMs, or no connection at all."""

    ENABLED = "enabled"
    MAINTENANCE = "maintenance"
    DISABLED = "disabled"


class HostStatus(StrEnum):
    """What people are shown of a host in one word, derived from its connection and its administrative state."""

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
        return self in (HostStatus.CONNECTED, HostStatus.MAINTENANCE)


def status_of(connection: str, admin_state: str) -> HostStatus:
    """Derive the status of a host. What is wrong with its connection comes before its maintenance."""
    if admin_state == AdminState.DISABLED:
        return HostStatus.DISABLED
    if admin_state == AdminState.MAINTENANCE and connection == HostConnection.CONNECTED:
        return HostStatus.MAINTENANCE
    return HostStatus(connection)


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


HOST_CONNECTION_TITLES: dict[HostConnection, str] = {
    HostConnection.CONNECTING: N_("Connecting"),
    HostConnection.CONNECTED: N_("Connected"),
    HostConnection.NOT_ANSWERING: N_("Not answering"),
    HostConnection.AUTH_FAILED: N_("Sign-in refused"),
    HostConnection.IDENTITY_CHANGED: N_("Identity changed"),
}
ADMIN_STATE_TITLES: dict[AdminState, str] = {
    AdminState.ENABLED: N_("Enabled"),
    AdminState.MAINTENANCE: N_("Maintenance"),
    AdminState.DISABLED: N_("Disabled"),
}
HOST_STATUS_TITLES: dict[HostStatus, str] = {
    **{HostStatus(connection.value): title for connection, title in HOST_CONNECTION_TITLES.items()},
    HostStatus.MAINTENANCE: ADMIN_STATE_TITLES[AdminState.MAINTENANCE],
    HostStatus.DISABLED: ADMIN_STATE_TITLES[AdminState.DISABLED],
}
# What to do about a host in this state, on every page. The reason is the error's: app/hypervisor/errors.py.
HOST_STATUS_HINTS: dict[HostStatus, str] = {
    HostStatus.NOT_ANSWERING: N_(
        "Check that the machine is on, that its network works, and that libvirtd runs. Vigie keeps trying, and reads everything again when it is back."
    ),
    HostStatus.AUTH_FAILED: N_(
        "Check the account and its key on the host, and that the account may use libvirt (group libvirt)."
    ),
    HostStatus.IDENTITY_CHANGED: N_(
        "Compare the fingerprint with the one on the host itself, and confirm it only if they agree."
    ),
}
