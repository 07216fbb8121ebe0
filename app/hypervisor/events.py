"""libvirt's events: one event loop thread per process, and callbacks that only queue hints.

Callbacks run in whatever thread is inside libvirt, so they do nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

import libvirt

from app.core.inventory.reports import Hint
from app.hypervisor.transport.eventloop import EventLoop

OnHint = Callable[[Hint], None]
_starting = threading.Lock()

# Names of libvirt's lifecycle events, by number.
_VM_LIFECYCLE = (
    "defined", "undefined", "started", "paused", "resumed", "stopped", "shutdown", "suspended", "crashed",
)  # fmt: skip
_STOPPED = ("shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot")
_NETWORK_LIFECYCLE = ("defined", "undefined", "started", "stopped")
_POOL_LIFECYCLE = ("defined", "undefined", "started", "stopped", "created", "deleted")
# Domain events other than lifecycle, and what a hint calls them. Balloon changes are left out: too many.
_VM_EVENTS = {
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: "rebooted",
    libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG: "watchdog",
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: "io_error",
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE: "device",
    libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE: "device",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: "device",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: "device",
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: "agent",
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: "metadata",
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED: "job",
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: "device",
}


@dataclass
class Subscriptions:
    """Callbacks of a connection, to be taken back: each holds the connection in memory."""

    domains: list[int] = field(default_factory=list)
    networks: list[int] = field(default_factory=list)
    pools: list[int] = field(default_factory=list)

    def cancel(self, connection: libvirt.virConnect) -> None:
        """Take all back. The host need not answer."""
        for numbers, deregister in (
            (self.domains, connection.domainEventDeregisterAny),
            (self.networks, connection.networkEventDeregisterAny),
            (self.pools, connection.storagePoolEventDeregisterAny),
        ):
            while numbers:
                try:
                    deregister(numbers.pop())
                except libvirt.libvirtError:
                    # It is taken back here before the host is told, which may be gone.
                    continue


@dataclass(frozen=True)
class Registration:
    """One kind of event to ask a host for; `key` names it."""

    key: str
    call: Callable[[], None]


def registrations(connection: libvirt.virConnect, on_hint: OnHint, into: Subscriptions) -> list[Registration]:
    """What to call to get all hints. Each is a round trip, so the test driver is asked for what it can have."""

    def add(numbers: list[int], register: Callable[..., int], *args: object) -> Registration:
        def call() -> None:
            numbers.append(register(None, *args, None))

        return Registration(f"event {register.__name__} {args[0]}", call)

    vm, network, pool = (
        connection.domainEventRegisterAny,
        connection.networkEventRegisterAny,
        connection.storagePoolEventRegisterAny,
    )
    wanted = [
        add(into.domains, vm, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, partial(_on_vm, on_hint)),
        add(into.networks, network, libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, partial(_on_network, on_hint)),
        add(into.pools, pool, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, partial(_on_pool, on_hint)),
        add(into.pools, pool, libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, partial(_on_refresh, on_hint)),
    ]
    if connection.getURI().startswith("test"):
        return wanted
    return wanted + [
        add(into.domains, vm, number, partial(_on_other, on_hint, what))
        for number, what in _VM_EVENTS.items()
    ]


def start_event_loop() -> None:
    """Start the thread, once, and keep libvirt from writing errors to stderr; before the first connection."""
    with _starting:
        _start_once()


@cache
def _start_once() -> None:
    libvirt.registerErrorHandler(lambda *_: None, None)
    loop = EventLoop()
    loop.install()

    def work() -> None:
        while True:
            loop.run()

    threading.Thread(target=work, name="libvirt-events", daemon=True).start()


def in_event_loop(action: Callable[[], None]) -> None:
    """Have `action` called in the event loop's thread.

    Connections are closed there: libvirt's client frees memory that an event in progress elsewhere still uses.
    """

    def work(timer: int, _: object) -> None:
        libvirt.virEventRemoveTimeout(timer)
        action()

    libvirt.virEventAddTimeout(0, work, None)


def _hint(kind: str, thing: object, what: str, detail: str | None = None) -> Hint:
    uuid = thing.UUIDString()  # type: ignore[attr-defined]
    return Hint(kind, uuid, what, detail)


def _on_vm(on_hint: OnHint, _: object, vm: libvirt.virDomain, event: int, detail: int, __: object) -> None:
    what, why = _name(_VM_LIFECYCLE, event), None
    if what == "stopped":
        why = _name(_STOPPED, detail)
        what = "crashed" if why == "crashed" else what
    on_hint(_hint("vm", vm, what, why))


def _on_other(on_hint: OnHint, what: str, _: object, vm: libvirt.virDomain, *details: object) -> None:
    words = ", ".join(str(detail) for detail in details[:-1] if isinstance(detail, (str, int)))
    on_hint(_hint("vm", vm, what, words or None))


def _on_network(on_hint: OnHint, _: object, network: libvirt.virNetwork, event: int, *__: object) -> None:
    on_hint(_hint("network", network, _name(_NETWORK_LIFECYCLE, event)))


def _on_pool(on_hint: OnHint, _: object, pool: libvirt.virStoragePool, event: int, *__: object) -> None:
    on_hint(_hint("pool", pool, _name(_POOL_LIFECYCLE, event)))


def _on_refresh(on_hint: OnHint, _: object, pool: libvirt.virStoragePool, *__: object) -> None:
    on_hint(_hint("pool", pool, "refreshed"))


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "changed"
