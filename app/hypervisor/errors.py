"""From what libvirt, SSH and TLS say to Vigie's errors. libvirt's own words go to `detail` only.

Codes of libvirt: https://libvirt.org/html/libvirt-virterror.html
"""

from __future__ import annotations

import libvirt

from app.core.errors import (
    DaemonGone,
    HostAuthFailed,
    HostError,
    HostIdentityChanged,
    HostNotAnswering,
    HostUnreachable,
    HypervisorRefused,
    VigieError,
    VmGone,
)
from app.core.hosts.states import HOST_STATUS_HINTS, HostStatus
from app.core.messages import N_

MAX_DETAIL = 2000

# Refusals that have a sentence of their own: libvirt code -> (our code, title, hint).
_REFUSALS: dict[int, tuple[str, str, str | None]] = {
    libvirt.VIR_ERR_OPERATION_INVALID: (
        "wrong_state",
        N_("The VM's state does not allow this."),
        N_("Look at its present state and choose an action that it allows."),
    ),
    libvirt.VIR_ERR_NO_SUPPORT: ("not_supported", N_("This host does not support that."), None),
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: ("not_supported", N_("This host does not support that."), None),
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: ("not_supported", N_("This host does not support that."), None),
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: ("not_supported", N_("This host does not support that."), None),
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: (
        "agent_unresponsive",
        N_("The guest agent does not answer."),
        N_("Install and start qemu-guest-agent in the guest, or use the ACPI power button."),
    ),
    libvirt.VIR_ERR_AGENT_UNSYNCED: (
        "agent_unresponsive",
        N_("The guest agent does not answer."),
        N_("Install and start qemu-guest-agent in the guest, or use the ACPI power button."),
    ),
    libvirt.VIR_ERR_OPERATION_TIMEOUT: (
        "vm_busy",
        N_("The host is still busy with another operation on this VM."),
        N_("Wait for the other operation to end, or abort it, and try again."),
    ),
    libvirt.VIR_ERR_RESOURCE_BUSY: (
        "vm_busy",
        N_("The host is still busy with another operation on this VM."),
        N_("Wait for the other operation to end, or abort it, and try again."),
    ),
    libvirt.VIR_ERR_INVALID_ARG: (
        "invalid_argument",
        N_("The host does not accept the request's values."),
        None,
    ),
    libvirt.VIR_ERR_OPERATION_ABORTED: ("aborted", N_("The operation was aborted."), None),
    libvirt.VIR_ERR_ACCESS_DENIED: (
        "access_denied",
        N_("The host's access rules forbid this to Vigie's account."),
        N_("Allow it in the host's polkit rules."),
    ),
    libvirt.VIR_ERR_OPERATION_DENIED: (
        "access_denied",
        N_("The host's access rules forbid this to Vigie's account."),
        N_("Allow it in the host's polkit rules."),
    ),
    libvirt.VIR_ERR_NO_STORAGE_POOL: ("no_such_pool", N_("The host has no such storage pool."), None),
    libvirt.VIR_ERR_STORAGE_VOL_EXIST: (
        "volume_exists",
        N_("The pool has a volume of this name already."),
        N_("Choose another name for the volume, or another pool."),
    ),
    libvirt.VIR_ERR_NO_STORAGE_VOL: ("no_such_volume", N_("The host has no such volume."), None),
    libvirt.VIR_ERR_NO_NETWORK: ("no_such_network", N_("The host has no such network."), None),
    libvirt.VIR_ERR_NO_NWFILTER: ("no_such_filter", N_("The host has no such network filter."), None),
    libvirt.VIR_ERR_HOOK_SCRIPT_FAILED: (
        "hook_failed",
        N_("A hook script on the host refused this."),
        N_("Look at the scripts in /etc/libvirt/hooks on the host."),
    ),
    libvirt.VIR_ERR_NO_MEMORY: ("no_memory", N_("The host is out of memory."), None),
}
_AUTH = frozenset(
    {libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_AUTH_CANCELLED, libvirt.VIR_ERR_AUTH_UNAVAILABLE}
)
# Errors of the client's side of the connection: the daemon closed it, or talks something else.
_BROKEN = frozenset({libvirt.VIR_ERR_RPC, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_NO_CONNECT})


def translate(error: libvirt.libvirtError) -> VigieError:
    """Vigie's error for what libvirt raised."""
    code, detail = error.get_error_code(), clean(error.get_error_message())
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return VmGone(N_("The host does not have this VM any more."), detail=detail)
    if code in _AUTH:
        return not_permitted(detail)
    if code in _BROKEN or (
        code == libvirt.VIR_ERR_INTERNAL_ERROR and error.get_error_domain() == libvirt.VIR_FROM_RPC
    ):
        return connection_ended(detail)
    if code in _REFUSALS:
        ours, title, hint = _REFUSALS[code]
        return HypervisorRefused(title, code=ours, hint=hint, detail=detail)
    return HypervisorRefused(
        N_("The host's hypervisor refused this."),
        hint=N_("Look at what it said, and at the VM's log on the host."),
        detail=detail,
    )


def is_agent_command_killed(error: libvirt.libvirtError) -> bool:
    """Whether the guest agent ran the command, and something in the guest killed it. The text is the agent's own.

    https://gitlab.com/qemu-project/qemu/-/blob/master/qga/commands-posix.c
    """
    return "child process has terminated abnormally" in (error.get_error_message() or "")


def clean(text: object) -> str:
    """Text from a host, cut to a sane length and without control characters."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in str(text)[:MAX_DETAIL])


def unreadable(error: ValueError) -> HypervisorRefused:
    """The host's answer is no text, or makes no sense."""
    detail = clean(error)
    if isinstance(error, UnicodeDecodeError):
        near = error.object[max(0, error.start - 60) : error.end + 20]
        detail += "\n" + clean(near.decode(errors="backslashreplace"))
        return HypervisorRefused(
            N_("The host's answer cannot be read."),
            why=N_("The host's answer holds a name that is not UTF-8 text."),
            hint=N_("Look on the host for a file or object with such a name, and rename it."),
            code="unreadable_answer",
            detail=detail,
        )
    return HypervisorRefused(N_("The host's answer cannot be read."), code="unreadable_answer", detail=detail)


def is_unreadable(error: HypervisorRefused) -> bool:
    """Whether it says that an answer cannot be read, so that what comes without it may be used."""
    return error.code == "unreadable_answer"


def connection_ended(detail: str | None = None) -> HostError:
    """The connection to libvirt ended by itself."""
    return HostNotAnswering(
        N_("The connection to the host ended."),
        why=N_("The host, its libvirt daemon or the network closed it."),
        hint=N_("Vigie connects again by itself; look whether the libvirt daemon runs on the host."),
        code="connection_ended",
        detail=detail,
    )


def deadline_passed(seconds: float) -> HostError:
    """A call, or a step of connecting, took too long."""
    return HostNotAnswering(
        N_("The host does not answer."),
        why=N_("It accepted the connection, but a call passed its deadline."),
        hint=N_(
            "Look whether the libvirt daemon on the host hangs, and whether its disks and storage answer."
        ),
        detail=f"deadline {seconds:g} s",
    )


def closed() -> HostError:
    """A call on a host that Vigie itself closed."""
    return HostNotAnswering(N_("The connection to the host is closed."), code="connection_closed")


def unreachable(why: str, detail: str | None = None) -> HostError:
    """No connection to the address and port."""
    return HostUnreachable(
        N_("The host cannot be reached."),
        why=why,
        hint=N_("Check address and port, that the host is up, and that no firewall stands in between."),
        detail=detail,
    )


def name_unknown(detail: str) -> HostError:
    """No name server knows the host's name."""
    return HostUnreachable(
        N_("The host cannot be reached."),
        why=N_("Its name does not resolve."),
        hint=N_("Check the name, or write the host's IP address."),
        code="name_unknown",
        detail=detail,
    )


def not_dialable() -> HostError:
    """The name of the host leads to addresses where no host may be."""
    return HostUnreachable(
        N_("The host cannot be reached."),
        why=N_(
            "Its name leads to a loopback, link-local, multicast, unspecified or reserved address, which Vigie never dials."
        ),
        hint=N_("Use the host's own address; for the machine that Vigie runs on, use transport local."),
        code="address_not_allowed",
    )


def wrong_protocol(why: str, detail: str | None = None) -> HostError:
    """Something listens there that is not what was expected."""
    return HostUnreachable(
        N_("The host answers, but not as expected."),
        why=why,
        hint=N_("Check that the port belongs to the host's SSH server, or to libvirt's TLS listener."),
        code="wrong_protocol",
        detail=detail,
    )


def identity_changed(fingerprint: str) -> HostError:
    """The host shows another key or certificate than the confirmed one."""
    return HostIdentityChanged(
        N_("The host's identity is not the confirmed one."),
        fingerprint=fingerprint,
        why=N_("Its key or certificate has changed, or another machine answers at its address."),
        hint=HOST_STATUS_HINTS[HostStatus.IDENTITY_CHANGED],
    )


def credential_refused(why: str, detail: str | None = None) -> HostError:
    """The host did not let Vigie in."""
    return HostAuthFailed(
        N_("The host refused the credential."),
        why=why,
        hint=N_("Check account and credential, and that the host accepts this kind of login."),
        detail=detail,
    )


def certificate_untrusted(detail: str | None = None) -> HostError:
    """The host's certificate was not signed by the credential's authority."""
    return HostAuthFailed(
        N_("The host's certificate is not trusted."),
        why=N_("The authority of this credential did not sign it, or it has expired."),
        hint=N_(
            "Store the authority that signed the hosts' certificates in the credential, or give the host a new certificate."
        ),
        code="certificate_untrusted",
        detail=detail,
    )


def credential_unreadable(why: str, detail: str | None = None) -> HostError:
    """The stored credential cannot be used at all."""
    return HostAuthFailed(
        N_("The credential cannot be used."),
        why=why,
        hint=N_("Store the credential again, or choose another one for this host."),
        code="credential_unreadable",
        detail=detail,
    )


def not_permitted(detail: str | None = None) -> HostError:
    """The account is known, but libvirt does not talk to it."""
    return HostAuthFailed(
        N_("The host's libvirt does not accept Vigie's account."),
        why=N_("The login worked, but the account may not use libvirt's socket."),
        hint=N_("Add the account to the group libvirt on the host, or use root."),
        code="libvirt_not_permitted",
        detail=detail,
    )


def no_socket(detail: str | None = None) -> DaemonGone:
    """The login worked, but there is no libvirt socket to talk to, or no right to."""
    return DaemonGone(
        N_("The host's libvirt socket cannot be opened."),
        why=N_("The libvirt daemon does not run, the socket is elsewhere, or the account may not open it."),
        hint=N_(
            "Start libvirtd (or virtqemud) on the host, check the socket's path, and add the account to the group libvirt."
        ),
        detail=detail,
    )


def no_forwarding(detail: str | None = None) -> HostError:
    """The SSH server forbids what the link needs."""
    return HostAuthFailed(
        N_("The host's SSH server does not let Vigie reach libvirt."),
        why=N_("It forbids the forwarding of unix sockets to this account."),
        hint=N_(
            "Set AllowStreamLocalForwarding yes in the host's sshd_config, and remove restrict from the key's line."
        ),
        code="ssh_forwarding_forbidden",
        detail=detail,
    )


def display_out_of_reach(why: str) -> HostError:
    """The link to the host cannot reach the VM's display."""
    return HostError(
        N_("Vigie cannot reach this VM's display."),
        why=why,
        hint=N_(
            "Register the host with an SSH link, or let the display listen on the host's management address."
        ),
        code="display_out_of_reach",
    )


def place_closed(detail: str | None = None) -> HostError:
    """Nobody listens where the display should be, or the account may not connect there."""
    return HostError(
        N_("The VM's display does not answer."),
        why=N_("Nothing accepts connections where the VM's definition says that its display listens."),
        hint=N_(
            "Try again in a moment; for a display on a unix socket, look whether Vigie's account may open it and sshd allows stream forwarding."
        ),
        code="display_closed",
        detail=detail,
    )


def no_display_forwarding(detail: str | None = None) -> HostError:
    """The SSH server forbids the tunnel."""
    return HostError(
        N_("The host's SSH server does not let Vigie reach displays."),
        why=N_("It forbids TCP forwarding to this account."),
        hint=N_(
            "Set AllowTcpForwarding yes (or local) in the host's sshd_config, and permit ports of 127.0.0.1 where PermitOpen limits them."
        ),
        code="display_forwarding_forbidden",
        detail=detail,
    )
