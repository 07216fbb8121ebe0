"""Network filters: what is asked for and what is shown. https://libvirt.org/formatnwfilter.html

Directions are the guest's: `in` is what it receives. Rules of lower priority numbers are looked at first; the
first that matches decides.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.core.messages import N_
from app.core.records import Record, Ref
from app.core.specs import ListQuery, ObjectId, Spec

NwfilterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Protocol = Literal["all", "tcp", "udp", "sctp", "icmp", "esp", "ah"]
WITH_PORTS = ("tcp", "udp", "sctp")

BUILT_IN = frozenset(
    {
        "allow-arp",
        "allow-dhcp",
        "allow-dhcp-server",
        "allow-dhcpv6",
        "allow-dhcpv6-server",
        "allow-incoming-ipv4",
        "allow-incoming-ipv6",
        "allow-ipv4",
        "allow-ipv6",
        "clean-traffic",
        "clean-traffic-gateway",
        "no-arp-ip-spoofing",
        "no-arp-mac-spoofing",
        "no-arp-spoofing",
        "no-ip-multicast",
        "no-ip-spoofing",
        "no-ipv6-multicast",
        "no-ipv6-spoofing",
        "no-mac-broadcast",
        "no-mac-spoofing",
        "no-other-l2-traffic",
        "no-other-rarp-traffic",
        "qemu-announce-self",
        "qemu-announce-self-rarp",
    }
)
"""Filters that come with libvirt; others build on them."""


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network of an address or CIDR. Raises ValueError with a sentence for people."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(N_("must be an address or a network, such as 192.0.2.0/24")) from None


def _normal(text: str) -> str:
    return str(network_of(text))


Network = Annotated[
    str,
    StringConstraints(min_length=2, max_length=49, pattern=r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"),
    AfterValidator(_normal),
]


class NwfilterRule(Spec):
    """What shall happen to one kind of traffic. Ports are those of the destination."""

    action: Literal["accept", "drop", "reject"]
    direction: Literal["in", "out", "inout"] = "in"
    family: Literal["ipv4", "ipv6"] = "ipv4"
    protocol: Protocol = "all"
    port_start: Port | None = None
    port_end: Port | None = None
    source: Network | None = Field(None, examples=["192.0.2.0/24"])
    destination: Network | None = None
    priority: int = Field(500, ge=-1000, le=999)
    comment: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.port_start is not None and self.protocol not in WITH_PORTS:
            raise ValueError(N_("only tcp, udp and sctp have ports"))
        if self.port_end is not None and (self.port_start is None or self.port_end < self.port_start):
            raise ValueError(N_("the last port must not lie before the first"))
        for item in (self.source, self.destination):
            if item is not None and network_of(item).version != (4 if self.family == "ipv4" else 6):
                raise ValueError(N_("the addresses must be of the rule's family (ipv4 or ipv6)"))
        return self


class NwfilterPlan(Spec):
    """A network filter as far as Vigie can change it. The defaults decide what no rule names; unset: nothing does."""

    name: NwfilterName
    default_in: Literal["accept", "drop"] | None = None
    default_out: Literal["accept", "drop"] | None = None
    rules: list[NwfilterRule] = Field([], max_length=500)
    references: list[NwfilterName] = Field([], max_length=50, description="Other filters that count too.")


class NwfilterSpec(NwfilterPlan):
    """A network filter to create."""

    host_id: ObjectId


class NwfilterPatch(Spec):
    """Changes of a network filter; what is left out stays. A list replaces the whole list."""

    default_in: Literal["accept", "drop", "none"] | None = None
    default_out: Literal["accept", "drop", "none"] | None = None
    rules: list[NwfilterRule] | None = Field(None, max_length=500)
    references: list[NwfilterName] | None = Field(None, max_length=50)


class NwfilterQuery(ListQuery):
    """Filters of the list of network filters."""

    host: ObjectId | None = None
    name: str | None = Field(None, max_length=300, description="The exact name.")
    built_in: bool | None = None


class NwfilterRecord(Record):
    """A network filter of a host."""

    id: str
    uuid: str
    name: str
    host_id: str
    host_name: str
    built_in: bool = Field(description="Comes with libvirt; shown only.")
    stale: bool
    observed_at: datetime | None


class NwfilterDetail(NwfilterRecord):
    """A network filter with its rules and users."""

    plan: NwfilterPlan | None = Field(None, description="null: Vigie cannot change it.")
    kept_rules: int = Field(0, description="Rules of kinds that Vigie does not know; a change leaves them.")
    users: list[Ref] = Field([], description="VMs with an interface that names it.")
    referenced_by: list[Ref] = Field([], description="Filters that count it in.")
    version: int
