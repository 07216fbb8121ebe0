"""Devices of a host that its VMs can have."""

from __future__ import annotations

import libvirt

from app.core.errors import HypervisorRefused
from app.core.vms.host_devices import HostDevice
from app.hypervisor.transport.connection import Connection
from app.hypervisor.xml.domains.read import UnreadableXml
from app.hypervisor.xml.node_devices import read_device

_KINDS = (
    libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_MDEV
)


def read_node_devices(connection: Connection) -> tuple[HostDevice, ...]:
    """All that can be read; one round trip each. Nothing where the host's libvirt lists no devices."""
    found: list[HostDevice] = []
    for device in connection.optional("devices", connection.raw.listAllDevices, _KINDS) or []:
        xml = _xml(connection, device)
        try:
            seen = read_device(xml) if xml else None
        except UnreadableXml:
            continue
        if seen is not None:
            found.append(seen)
    return tuple(sorted(found, key=lambda item: (item.kind, item.address)))


def _xml(connection: Connection, device: libvirt.virNodeDevice) -> str | None:
    """The device's description; None for one that was unplugged just now."""
    try:
        return connection.readable(device.XMLDesc, 0)
    except HypervisorRefused:
        return None
