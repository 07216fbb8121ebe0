"""Consoles of running VMs: byte tunnels to their VNC displays and serial ports, through the host's link."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

import libvirt

from app.core.errors import Conflict
from app.core.messages import N_
from app.hypervisor import errors
from app.hypervisor.consoles.stream_side import StreamSide
from app.hypervisor.domains import queries
from app.hypervisor.transport.connection import Connection
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.transport.relay import Half
from app.hypervisor.transport.transports import HostSocket
from app.hypervisor.transport.tunnel import Tunnel
from app.hypervisor.xml.domains.display_listeners import DisplayPlace, has_serial, read_displays
from app.hypervisor.xml.domains.read import UnreadableXml

T = TypeVar("T")
DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """An open console. Its bytes go through `socket`, which is non-blocking; `close` ends all of it at once.

    `password` is the one that a VNC server may ask for.
    """

    socket: socket.socket
    close: Callable[[], None]
    password: str | None = field(default=None, repr=False)


class Consoles:
    """Opens consoles of a host's VMs. Every call raises core errors only."""

    def __init__(self, connections: HostConnections) -> None:
        self._connections = connections

    def displays(self, uuid: str) -> tuple[DisplayPlace, ...]:
        """The displays that a running VM has, with passwords. Raises VmGone, HypervisorRefused."""
        return self._read(uuid, read_displays)

    def open_display(self, uuid: str) -> Line:
        """A tunnel to the VM's VNC display. Raises Conflict when it has none, HostError when it is out of reach."""
        display = _vnc_of(self.displays(uuid))
        target = HostSocket(path=display.path, listens_on=display.listens_on, port=display.port or 0)
        tunnel = Tunnel()
        link = self._connections.link
        try:
            tunnel.open(lambda near: link.tunnel(target, near, DEADLINE_S), DEADLINE_S)
        except TimeoutError:
            raise errors.deadline_passed(DEADLINE_S) from None
        return Line(tunnel.socket, tunnel.end, display.password)

    def open_serial(self, uuid: str, *, force: bool = False) -> Line:
        """The VM's first serial port. Only one at a time can have it: `force` takes it from whoever has it.

        Raises Conflict (no_serial, serial_busy), VmGone, HypervisorRefused.
        """
        if not self._read(uuid, has_serial):
            raise Conflict(
                N_("This VM has no serial console."),
                hint=N_("Add a serial port to its hardware; it is there after the next power-off."),
                code="no_serial",
            )
        held = ExitStack()
        try:
            connection = held.enter_context(self._connections.long())
            return self._serial(connection, uuid, force, held)
        except BaseException:
            held.close()
            raise

    def _serial(self, connection: Connection, uuid: str, force: bool, held: ExitStack) -> Line:
        stream = connection.raw.newStream(libvirt.VIR_STREAM_NONBLOCK)
        flags = libvirt.VIR_DOMAIN_CONSOLE_SAFE
        if force:
            flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE
        vm = queries.find_vm(connection, uuid)
        connection.call(_open_console, vm, stream, flags)
        tunnel = Tunnel()

        async def connect(near: Half) -> Half:
            return StreamSide.joined(stream, near)

        held.callback(tunnel.end)
        tunnel.open(connect, DEADLINE_S)
        return Line(tunnel.socket, held.close)

    def _read(self, uuid: str, read: Callable[[str], T]) -> T:
        with self._connections.reads() as reads:
            vm = queries.find_vm(reads, uuid)
            if not reads.call(vm.isActive):
                raise Conflict(
                    N_("The VM is not running."),
                    hint=N_("Start it; then its console opens by itself."),
                    code="vm_not_running",
                )
            xml = reads.call(vm.XMLDesc, libvirt.VIR_DOMAIN_XML_SECURE)
        try:
            return read(xml)
        except UnreadableXml as error:
            raise errors.unreadable(error) from None


def _vnc_of(displays: tuple[DisplayPlace, ...]) -> DisplayPlace:
    """The VNC display to open. Raises Conflict with the reason when there is none."""
    found = next((display for display in displays if display.kind == "vnc"), None)
    if found is None:
        raise Conflict(
            N_("This VM has no VNC display."),
            why=N_("Its only displays are of another kind.") if displays else N_("It has no display at all."),
            hint=N_(
                "Use its serial console, or give it a VNC display; it is there after the next power-off."
            ),
            code="no_display",
        )
    if not found.is_open:
        raise Conflict(
            N_("This VM's display listens nowhere."),
            why=N_("Its definition gives it neither a port nor a socket."),
            hint=N_("Let it listen on an address, such as 127.0.0.1; this counts after the next power-off."),
            code="no_display",
        )
    return found


def _open_console(vm: libvirt.virDomain, stream: libvirt.virStream, flags: int) -> None:
    try:
        vm.openConsole(None, stream, flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:
            raise
        raise Conflict(
            N_("Somebody else has the serial console open."),
            why=N_(
                "A serial console serves one at a time, and this one is in use: in Vigie, or by virsh console."
            ),
            hint=N_("Wait until it is free, or take it over."),
            code="serial_busy",
            detail=errors.clean(error.get_error_message()),
        ) from None
