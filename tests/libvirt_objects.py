"""Domains, storage pools, networks and network filters of a host: as they are, and put back as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

from app.hypervisor.xml import pools
from app.hypervisor.xml.networks import networks

_WITH_ALL_ITS_STATE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


@dataclass(frozen=True)
class Found:
    """An object as it is. `saved` is its definition, `mark` what two texts of that have in common."""

    active: bool
    autostart: bool
    saved: str
    mark: str


@dataclass(frozen=True)
class Kind:
    """How libvirt names what is done with objects of a kind."""

    title: str
    listed: Callable[[libvirt.virConnect], list[Any]]
    saved_flags: int  # for the saved definition
    define: Callable[[libvirt.virConnect, str], Any]
    undefine: Callable[[Any], Any]
    create: Callable[[Any], Any] | None = None
    digest: Callable[[str], str] = str


DOMAINS = Kind(
    "guest",
    lambda host: host.listAllDomains(0),
    libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE,
    lambda host, xml: host.defineXML(xml),
    lambda domain: domain.undefineFlags(_WITH_ALL_ITS_STATE),
    lambda domain: domain.create(),
)
# Domains first: what they use cannot go before them.
KINDS = (
    DOMAINS,
    Kind(
        "pool",
        lambda host: host.listAllStoragePools(0),
        libvirt.VIR_STORAGE_XML_INACTIVE,
        lambda host, xml: host.storagePoolDefineXML(xml, 0),
        lambda pool: pool.undefine(),
        lambda pool: pool.create(0),
        pools.digest,
    ),
    Kind(
        "network",
        lambda host: host.listAllNetworks(0),
        libvirt.VIR_NETWORK_XML_INACTIVE,
        lambda host, xml: host.networkDefineXML(xml),
        lambda network: network.undefine(),
        lambda network: network.create(),
        networks.digest,
    ),
    Kind(
        "network filter",
        lambda host: host.listAllNWFilters(0),
        0,
        lambda host, xml: host.nwfilterDefineXML(xml),
        lambda nwfilter: nwfilter.undefine(),
    ),
)
Objects = dict[str, dict[str, Found]]  # by kind, then by name


def read_objects(connection: libvirt.virConnect) -> Objects:
    """All objects of a host. Raises libvirtError."""
    return {
        kind.title: {item.name(): _found(kind, item) for item in kind.listed(connection)} for kind in KINDS
    }


def read_volumes(connection: libvirt.virConnect) -> frozenset[str]:
    """Volumes of the host's active pools, as `pool/volume`. Raises libvirtError."""
    active = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
    return frozenset(
        f"{pool.name()}/{name}"
        for pool in connection.listAllStoragePools(active)
        for name in pool.listVolumes()
    )


def put_back(connection: libvirt.virConnect, before: Objects, *, guests_may_be_left: bool) -> list[str]:
    """Put all objects of a host back as they were; return what was otherwise. Raises libvirtError."""
    wrong = []
    for kind in KINDS:
        there = {item.name(): item for item in kind.listed(connection)}
        for name in there.keys() - before[kind.title].keys():
            if kind is not DOMAINS or not guests_may_be_left:
                wrong.append(f"{kind.title} {name} is left")
            _remove(kind, there[name])
        for name, wanted in before[kind.title].items():
            wrong += [
                f"{kind.title} {name} {what}"
                for what in _put_one_back(connection, kind, there.get(name), wanted)
            ]
    return wrong


def _found(kind: Kind, handle: Any) -> Found:
    saved = handle.XMLDesc(kind.saved_flags)
    if kind.create is None:
        return Found(True, False, saved, kind.digest(saved))
    return Found(bool(handle.isActive()), bool(handle.autostart()), saved, kind.digest(saved))


def _remove(kind: Kind, handle: Any) -> None:
    if kind.create is None:
        kind.undefine(handle)
        return
    is_persistent = handle.isPersistent()
    if handle.isActive():
        handle.destroy()
    if is_persistent:
        kind.undefine(handle)


def _put_one_back(connection: libvirt.virConnect, kind: Kind, handle: Any | None, wanted: Found) -> list[str]:
    wrong = []
    seen = None if handle is None else _found(kind, handle)
    if seen is None or seen.mark != wanted.mark:
        wrong.append("is defined otherwise" if seen else "is gone")
        handle = kind.define(connection, wanted.saved)
    if kind.create is None or handle is None:
        return wrong
    if bool(handle.isActive()) != wanted.active:
        wrong.append(f"is {'off' if wanted.active else 'on'}")
        if wanted.active:
            kind.create(handle)
        else:
            handle.destroy()
    if bool(handle.autostart()) != wanted.autostart:
        wrong.append("has another autostart")
        handle.setAutostart(int(wanted.autostart))
    return wrong
