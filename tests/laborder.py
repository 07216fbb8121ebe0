"""Whether a test left the lab as it found it: pools and networks of every host, and no guests.

What is otherwise is put in order, so that only the test that left it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

from app.hypervisor.xml import pools
from app.hypervisor.xml.networks import networks
from app.lab.host import LabHost
from app.lab.lab import Lab


@dataclass(frozen=True)
class Thing:
    """A pool or a network as it is. `saved` is its definition, `mark` what two texts of that have in common."""

    active: bool
    autostart: bool
    saved: str
    mark: str


@dataclass(frozen=True)
class Kind:
    """How libvirt names what is done with pools and with networks."""

    title: str
    listed: Callable[[libvirt.virConnect], list[Any]]
    define: Callable[[libvirt.virConnect, str], Any]
    digest: Callable[[str], str]


KINDS = (
    Kind(
        "pool",
        lambda host: host.listAllStoragePools(0),
        lambda host, xml: host.storagePoolDefineXML(xml, 0),
        pools.digest,
    ),
    Kind(
        "network",
        lambda host: host.listAllNetworks(0),
        lambda host, xml: host.networkDefineXML(xml),
        networks.digest,
    ),
)
_SAVED = libvirt.VIR_STORAGE_XML_INACTIVE  # the same number for networks
Order = dict[str, dict[str, Thing]]  # by kind, then by name


class LabOrder:
    """The order of a lab that was just made, to be kept by every test."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._orders = [_read(host) for host in lab.hosts]

    def put_right(self) -> list[str]:
        """Put every host in order; what was not, in words."""
        found = []
        for host, order in zip(self._lab.hosts, self._orders, strict=True):
            found += [f"{host.name}: {each}" for each in _put_right(host, order)]
        return found


def _open(host: LabHost) -> libvirt.virConnect:
    return libvirt.open(f"qemu+unix:///system?socket={host.socket}")


def _read(host: LabHost) -> Order:
    connection = _open(host)
    try:
        return {
            kind.title: {each.name(): _thing(kind, each) for each in kind.listed(connection)}
            for kind in KINDS
        }
    finally:
        connection.close()


def _thing(kind: Kind, each: Any) -> Thing:
    saved = each.XMLDesc(_SAVED)
    return Thing(bool(each.isActive()), bool(each.autostart()), saved, kind.digest(saved))


def _put_right(host: LabHost, order: Order) -> list[str]:
    connection = _open(host)
    try:
        wrong = [f"guest {each.name()} is left" for each in connection.listAllDomains(0)]
        for kind in KINDS:
            wrong += _put_kind_right(connection, kind, order[kind.title])
        return wrong
    finally:
        connection.close()


def _put_kind_right(connection: libvirt.virConnect, kind: Kind, order: dict[str, Thing]) -> list[str]:
    wrong = []
    there = {each.name(): each for each in kind.listed(connection)}
    for name in there.keys() - order.keys():
        wrong.append(f"{kind.title} {name} is left")
        each = there.pop(name)
        if each.isActive():
            each.destroy()
        if each.isPersistent():
            each.undefine()
    for name, wanted in order.items():
        seen = _thing(kind, there[name]) if name in there else None
        if seen is None or seen.mark != wanted.mark:
            wrong.append(f"{kind.title} {name} is {'defined otherwise' if seen else 'gone'}")
            there[name] = kind.define(connection, wanted.saved)
        each = there[name]
        if bool(each.isActive()) != wanted.active:
            wrong.append(f"{kind.title} {name} is {'off' if wanted.active else 'on'}")
            if wanted.active:
                each.create(0) if kind.title == "pool" else each.create()
            else:
                each.destroy()
        if bool(each.autostart()) != wanted.autostart:
            wrong.append(f"{kind.title} {name} has another autostart")
            each.setAutostart(int(wanted.autostart))
    return wrong
