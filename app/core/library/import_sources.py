"""From where images may be imported: what a URL must look like, which servers are allowed, and which addresses.

The rules keep a person who may import images from reaching what only the server can reach (server-side request
forgery, https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html).
They are applied to the URL, to each redirect, and to the address that is really connected to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from app.core.messages import N_, filled

MAX_URL = 2000
_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(
    r"^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$"
)


class SourceRefused(Exception):
    """A URL from which nothing is imported. `rule` is a message id with `params`."""

    def __init__(self, rule: str, **params: str) -> None:
        super().__init__(filled(str, rule, params))
        self.rule = rule
        self.params = params


@dataclass(frozen=True, slots=True)
class Source:
    """A URL that may be asked. `host` is a name in small letters or an address."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        """The URL without its query: that may be a key."""
        return self.url.partition("?")[0]

    @property
    def netloc(self) -> str:
        """What a request names as its host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def file_name(self) -> str:
        """The last part of the path; empty when it ends with a slash."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


def read_source(url: str, allowed: Collection[str], *, plain: bool) -> Source:
    """The URL, checked. `plain`: http is good enough, because the sum of the file is known. Raises SourceRefused."""
    if len(url) > MAX_URL:
        raise SourceRefused(N_("must have at most 2,000 characters"))
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise SourceRefused(
            N_("must be plain ASCII: write other characters percent-encoded, and names as xn--…")
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SourceRefused(N_("must be a URL")) from None
    scheme, host = parts.scheme, (parts.hostname or "").lower().rstrip(".")
    if scheme not in _PORTS:
        raise SourceRefused(N_("must begin with https://"))
    if parts.username is not None or parts.password is not None:
        raise SourceRefused(N_("must not contain a name or a password"))
    if not _is_host(host):
        raise SourceRefused(N_("must name a server"))
    if scheme == "http" and not plain:
        raise SourceRefused(N_("must begin with https://, or the SHA-256 of the file must be given"))
    source = Source(url.partition("#")[0], scheme, host, port or _PORTS[scheme])
    if not is_allowed(source, allowed):
        raise SourceRefused(
            N_("names server %(server)s, from which nothing may be imported"), server=source.netloc
        )
    return source


def redirected(source: Source, location: str, allowed: Collection[str], *, plain: bool) -> Source:
    """Where a redirect leads, checked as the first URL was; never from https to http. Raises SourceRefused."""
    target = read_source(urljoin(source.url, location), allowed, plain=plain)
    if source.scheme == "https" and target.scheme == "http":
        raise SourceRefused(N_("must not lead from https to http"))
    return target


def is_allowed(source: Source, allowed: Collection[str]) -> bool:
    """Whether an entry of the list names the server: `name`, `*.name` (all below it), each with `:port` or without.

    Without a port, only the usual one of the scheme is meant.
    """
    return any(_matches(source, entry) for entry in allowed)


def refuse_address(address: str, *, private: bool) -> None:
    """Raise SourceRefused for an address that is not of the public internet.

    `private` allows those of private networks and of this machine; link-local addresses, where clouds hand out
    keys, multicast and reserved ones never.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    inside = ip.is_private or ip.is_loopback
    barred = (
        ip.is_link_local or ip.is_multicast or ip.is_unspecified or (ip.is_reserved and not ip.is_loopback)
    )
    if barred or (inside and not private) or not (inside or ip.is_global):
        raise SourceRefused(N_("leads to %(address)s, which is no public address"), address=address)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A name that ends with a number would be read as an address by some libraries, in ways of their own.
        return _NAME.match(host) is not None and not host.rpartition(".")[2].isdecimal()
    return True


def _matches(source: Source, entry: str) -> bool:
    host, separator, port = entry.rpartition(":")
    if not separator or not port.isdecimal():
        host, port = entry, str(_PORTS[source.scheme])
    wanted = host.strip("[]")
    named = source.host.endswith(wanted[1:]) if wanted.startswith("*.") else source.host == wanted
    return named and source.port == int(port)
