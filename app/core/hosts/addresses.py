"""Addresses as callers have them: whose they are, and which of them are one caller's."""

from __future__ import annotations

import ipaddress

# What one customer of IPv6 gets at least: a single machine has all of its addresses.
PREFIX_V6 = 64


def address_in(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is, without its zone, of an IPv4 one the plain form; None for any other text."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_of(text: str | None, prefix_v6: int = PREFIX_V6) -> str:
    """An IPv4 address, or the IPv6 network that holds the address; what is no address stands for itself."""
    address = address_in(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, prefix_v6), strict=False))
    return text or "" if address is None else str(address)
