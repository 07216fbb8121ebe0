"""Where a host is, as validated fields. A URI that a person pastes is only ever parsed into these.

Libvirt's remote URIs can run commands (`?command=`, `ext://`), pick sockets, keys and netcat programs, and
reach test drivers that read files; none of that has a way in: everything not named here is refused.
URI syntax: https://libvirt.org/uri.html
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from app.core.errors import InvalidInput
from app.core.hosts.states import Transport
from app.core.messages import N_
from app.core.storage.pool_paths import plain_path

DEFAULT_PORTS = {Transport.SSH: 22, Transport.TLS: 16514}
SYSTEM_SOCKET = "/var/run/libvirt/libvirt-sock"

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?", re.IGNORECASE)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_SCHEMES = {
    "qemu+ssh": Transport.SSH,
    "qemu+tls": Transport.TLS,
    "qemu": Transport.TLS,
    "qemu+unix": Transport.LOCAL,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach one host. `socket` is the libvirt socket's path on the host (ssh, local, simulated).

    For a simulated host `address` is the path of its node file, which only the lab may set. `loopback` allows
    addresses of this machine itself, for the lab as well.
    """

    transport: Transport
    address: str = ""
    port: int = 0
    user: str = ""
    socket: str = SYSTEM_SOCKET
    loopback: bool = False

    def __str__(self) -> str:
        if self.transport is Transport.LOCAL:
            return f"local {self.socket}"
        if self.transport is Transport.SIMULATED:
            return f"simulated {self.address}"
        login = f"{self.user}@" if self.user else ""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.transport}://{login}{host}:{self.port}"


def check_address(value: str, field: str = "address") -> str:
    """Return `value` when it is a host name or an IP address; raise InvalidInput otherwise."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    labels = value.rstrip(".").split(".")
    if len(value) > 253 or not value or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidInput(
            field,
            N_("must be a host name or an IP address"),
            hint=N_(
                "Write only the name, such as kvm-01.example.org; port and login have fields of their own."
            ),
        )
    if re.fullmatch(r"[0-9.]+", value):
        raise InvalidInput(field, N_("looks like an IP address but is not a valid one"))
    return value.lower()


def is_dialable(address: str, *, loopback: bool) -> bool:
    """Whether a host may be at an IP address: never at a link-local, multicast, unspecified or reserved one.

    On link-local addresses clouds hand out keys; on the loopback are services that trust this machine. IPv4 addresses
    count the same inside IPv6 ones.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ipaddress.IPv4Address(ip.packed[-4:]) if ip in _NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or inside or ip
    if ip.is_loopback:
        return loopback
    first_block = isinstance(ip, ipaddress.IPv4Address) and ip in _THIS_NETWORK
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or first_block)


def check_dialable(endpoint: Endpoint, field: str = "address") -> Endpoint:
    """Return the endpoint, unless its address is one that is never dialled; raise InvalidInput then.

    What a name leads to is known only when it is dialled; it is checked there again.
    """
    if endpoint.transport not in DEFAULT_PORTS:
        return endpoint
    try:
        allowed = is_dialable(endpoint.address, loopback=endpoint.loopback)
    except ValueError:
        return endpoint
    if not allowed:
        raise InvalidInput(
            field,
            N_("must not be a loopback, link-local, multicast, unspecified or reserved address"),
            hint=N_("Use the host's own address; for the machine that Vigie runs on, use transport local."),
        )
    return endpoint


def check_user(value: str, field: str = "user") -> str:
    """Return `value` when it can be a POSIX account name; raise InvalidInput otherwise."""
    if not _USER.fullmatch(value):
        raise InvalidInput(
            field, N_("must be an account name: a letter or _, then letters, digits, . _ -, up to 32")
        )
    return value


def check_port(value: int, field: str = "port") -> int:
    """Return `value` when it is a TCP port; raise InvalidInput otherwise."""
    if not 1 <= value <= 65535:
        raise InvalidInput(field, N_("must be between 1 and 65535"))
    return value


def check_socket(value: str, field: str = "socket") -> str:
    """Return `value` when it is an absolute, plain path of at most 107 bytes (the kernel's limit for sockets)."""
    if not value.startswith("/") or len(value.encode()) > 107 or re.search(r"[\x00-\x1f\x7f]", value):
        raise InvalidInput(field, N_("must be an absolute path of at most 107 bytes"))
    return value


def require_libvirt_socket(endpoint: Endpoint, allowed: Collection[str], *, anywhere: bool = False) -> None:
    """Raise InvalidInput (socket) unless the socket that would be dialled is one of these.

    `anywhere`: one of these names in any directory will do, as in the lab, whose hosts share a machine.
    """
    if endpoint.transport not in (Transport.LOCAL, Transport.SSH):
        return
    try:
        plain = plain_path(endpoint.socket)
    except ValueError:
        raise InvalidInput("socket", N_("must be an absolute path without ..")) from None
    known = {plain_path(item) for item in allowed}
    if plain in known:
        return
    if anywhere and posixpath.basename(plain) in {posixpath.basename(item) for item in known}:
        return
    raise InvalidInput(
        "socket",
        N_("must lead to one of these sockets of libvirt: %(sockets)s"),
        params={"sockets": ", ".join(sorted(known))},
        hint=N_("Choose one of these, or have VIGIE_LIBVIRT_SOCKETS name another one."),
    )


def make_endpoint(
    transport: Transport,
    *,
    address: str = "",
    port: int | None = None,
    user: str | None = None,
    socket: str | None = None,
) -> Endpoint:
    """Check each field for the transport and return the endpoint. Raises InvalidInput naming the field."""
    if transport is Transport.LOCAL:
        if address:
            raise InvalidInput("address", N_("must be empty for a local host"))
        return Endpoint(transport, socket=check_socket(socket or SYSTEM_SOCKET))
    if transport is Transport.SIMULATED:
        return Endpoint(
            transport, address=check_socket(address, "address"), socket=check_socket(socket or "", "socket")
        )
    checked = check_address(address)
    number = check_port(DEFAULT_PORTS[transport] if port is None else port)
    if transport is Transport.TLS:
        if user:
            raise InvalidInput("user", N_("is not used with TLS: the client certificate says who Vigie is"))
        return Endpoint(transport, checked, number)
    return Endpoint(
        transport,
        checked,
        number,
        check_user(user or "root"),
        check_socket(socket) if socket else SYSTEM_SOCKET,
    )


def parse_uri(text: str) -> Endpoint:
    """Parse a pasted libvirt URI into fields.

    Accepted: qemu+ssh://[user@]host[:port]/system, qemu+tls://host[:port]/system, qemu:///system and
    qemu+unix:///system, the unix and ssh forms with `?socket=PATH` at most. Raises InvalidInput("uri", ...)
    with the reason for anything else.
    """
    parts = _split(text)
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES:
        raise InvalidInput(
            "uri",
            N_("scheme %(scheme)s is not supported"),
            params={"scheme": _quote(scheme)},
            hint=N_("Use qemu+ssh://user@host/system or qemu+tls://host/system."),
        )
    if parts.path != "/system":
        raise InvalidInput("uri", N_("must end in /system: Vigie manages the system instance of libvirt"))
    if parts.fragment:
        raise InvalidInput("uri", N_("must not have a fragment (#...)"))
    transport = _SCHEMES[scheme]
    address, port, user = _authority(parts.netloc)
    if not address and scheme in ("qemu", "qemu+unix"):
        transport = Transport.LOCAL
    elif transport is Transport.LOCAL:
        raise InvalidInput("uri", N_("qemu+unix does not take a host name"))
    socket = _only_socket(parts.query, transport)
    try:
        return make_endpoint(transport, address=address, port=port, user=user, socket=socket)
    except InvalidInput as error:
        rule = {"field": error.field, "rule": [error.rule]}
        raise InvalidInput("uri", N_("%(field)s %(rule)s"), params=rule, hint=error.hint) from None


class _Split:
    """The five parts of a URI."""

    def __init__(self, text: str) -> None:
        parts = urlsplit(text)
        self.scheme, self.netloc, self.path = parts.scheme, parts.netloc, parts.path
        self.query, self.fragment = parts.query, parts.fragment


def _split(text: str) -> _Split:
    if len(text) > 500 or re.search(r"[\x00-\x20\x7f\\]", text.strip()):
        raise InvalidInput("uri", N_("must be one URI without spaces or control characters"))
    try:
        return _Split(text.strip())
    except ValueError:
        raise InvalidInput("uri", N_("is not a URI")) from None


def _authority(netloc: str) -> tuple[str, int | None, str | None]:
    """Split `[user@]host[:port]`, with IPv6 in brackets."""
    user, at, rest = netloc.rpartition("@")
    if at and ":" in user:
        raise InvalidInput(
            "uri",
            N_("must not hold a password"),
            hint=N_("Store it as a credential and choose it in the form."),
        )
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::([0-9]{1,5}))?", rest)
    if not match:
        raise InvalidInput("uri", N_("has a malformed host or port"))
    address = match[1].removeprefix("[").removesuffix("]")
    return unquote(address), int(match[2]) if match[2] else None, unquote(user) if at else None


def _only_socket(query: str, transport: Transport) -> str | None:
    if not query:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        raise InvalidInput("uri", N_("has a malformed query")) from None
    for key, _ in pairs:
        if key != "socket" or transport is Transport.TLS:
            raise InvalidInput(
                "uri",
                N_("parameter %(name)s is not supported"),
                params={"name": _quote(key)},
                hint=N_("Remove it: keys, programs and sockets are set in Vigie, never by a URI."),
            )
    if len(pairs) > 1:
        raise InvalidInput("uri", N_("names socket more than once"))
    return pairs[0][1]


def _quote(text: str) -> str:
    return "“" + re.sub(r"[^A-Za-z0-9_.+-]", "?", text)[:40] + "”"
