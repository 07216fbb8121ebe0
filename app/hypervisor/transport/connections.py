"""The connections of one host: its link, `watch` for listings and events, `work` for what changes.

libvirtd serves only five calls of a client at a time, and a call that passes its deadline cuts the connection
with every other call on it. So what may hang on one VM or one pool must not share a connection with what must
not be cut: `reads` is for questions to guests, screens, storage and jobs, `counters` for statistics, because
the first reading of a VM whose QEMU hangs hangs too. A stream has a connection of its own as long as it lasts:
where one thread streams and another calls as their connection ends, libvirt before 10.4 ends the process
(CVE-2024-4418). All but `watch` are opened when first needed and closed after a minute without use. All end with
`watch`: the engine asks it for signs of life every few seconds, so a call without a deadline ends with the host.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from app.core.errors import VigieError
from app.core.hosts.endpoints import Endpoint
from app.core.hosts.states import Transport
from app.core.inventory.reports import Hint
from app.hypervisor import errors, sent_commands
from app.hypervisor.transport.connection import Connection
from app.hypervisor.transport.ssh import SshTransport, see_host_key
from app.hypervisor.transport.targets import Target
from app.hypervisor.transport.tls import TlsTransport, see_certificate
from app.hypervisor.transport.transport_loop import T, link_loop
from app.hypervisor.transport.transports import HostTransport, LocalTransport, SimulatedTransport

IDLE_S = 60.0
LINK_STEP_S = 10.0


def see_identity(endpoint: Endpoint, *, deadline_s: float) -> str | None:
    """The fingerprint that a host shows on first contact; no credential is sent.

    None for local and simulated hosts, which have none. Raises HostUnreachable and HostNotAnswering.
    """
    if endpoint.transport is Transport.SSH:
        return _within(deadline_s, see_host_key(endpoint, deadline_s))
    if endpoint.transport is Transport.TLS:
        return _within(deadline_s, see_certificate(endpoint, deadline_s))
    return None


class HostConnections:
    """Link and connections of one host; `open` before anything else."""

    def __init__(
        self,
        target: Target,
        *,
        connect_deadline_s: float,
        call_deadline_s: float,
        on_lost: Callable[[VigieError], None] | None,
    ) -> None:
        self.link = _link(target)
        self.watch = Connection(self.link, call_deadline_s, self._watch_ended)
        self._spares: dict[str, _Spare] = {}
        self._long: set[_Spare] = set()
        self._streams: set[_Spare] = set()
        self._resting: list[_Spare] = []  # those of the streams that no stream uses now
        self._make_spare = partial(_Spare, self, connect_deadline_s, call_deadline_s)
        self._connect_deadline_s = connect_deadline_s
        self._on_lost = on_lost
        self._announce = False
        self._closed = False

    def open(self, on_hint: Callable[[Hint], None] | None) -> None:
        """Log in, open `watch`, and have events queued. Raises HostError and its kinds."""
        started = time.monotonic()
        try:
            _within(self._connect_deadline_s, self.link.open(self._connect_deadline_s))
            self.watch.open(max(0.1, self._connect_deadline_s - (time.monotonic() - started)))
            self._announce = True
            if on_hint:
                self.watch.subscribe(on_hint)
        except BaseException:
            self.close()
            raise

    def on_link(self, step: Coroutine[object, object, T]) -> T:
        """Do something over the link itself, within a deadline. Raises HostNotAnswering."""
        return _within(LINK_STEP_S, step)

    def close(self) -> None:
        """Cut all; returns at once."""
        self._announce = False
        self._closed = True
        self.watch.end(errors.closed())

    @property
    def is_open(self) -> bool:
        """False once closed or lost."""
        return not self._closed and self.watch.is_open

    def work(self) -> AbstractContextManager[Connection]:
        """The connection for what changes; that something is sent is told to whoever watches."""
        sent_commands.sending()
        return self.looks()

    def looks(self) -> AbstractContextManager[Connection]:
        """The same connection, for a look before a change."""
        return self._spare("work").use()

    @contextmanager
    def long(self) -> Iterator[Connection]:
        """A connection for one change that may take as long as it needs; nothing else goes over it."""
        sent_commands.sending()
        spare = self._make_spare()
        self._long.add(spare)
        try:
            with spare.use() as connection:
                yield connection
        finally:
            self._long.discard(spare)
            spare.end(errors.closed())

    @contextmanager
    def stream(self) -> Iterator[Connection]:
        """A connection for one stream, over which nothing else goes meanwhile; the next stream may use it again."""
        try:
            spare = self._resting.pop()
        except IndexError:
            spare = self._make_spare()
            self._streams.add(spare)
        try:
            with spare.use() as connection:
                yield connection
        finally:
            self._resting.append(spare)

    def reads(self) -> AbstractContextManager[Connection]:
        """The connection for what asks a VM or a pool and may hang with it."""
        return self._spare("reads").use()

    def counters(self) -> AbstractContextManager[Connection]:
        """The connection for statistics that ask QEMU; `watch` where there is none."""
        if self.link.endpoint.transport is Transport.SIMULATED:
            return nullcontext(self.watch)
        return self._spare("counters").use()

    def _spare(self, name: str) -> _Spare:
        # setdefault is one step: of two made at the same time one is dropped before it is opened.
        return self._spares.get(name) or self._spares.setdefault(name, self._make_spare())

    def _watch_ended(self, cause: VigieError) -> None:
        for spare in (*self._spares.copy().values(), *self._long.copy(), *self._streams.copy()):
            spare.end(cause)
        self.link.close()
        if self._announce:
            self._announce = False
            if self._on_lost:
                self._on_lost(cause)


class _Spare:
    """A connection that is opened when needed, again if it ended, and closed after a minute without use."""

    def __init__(
        self, connections: HostConnections, connect_deadline_s: float, call_deadline_s: float
    ) -> None:
        self._connections = connections
        self._connect_deadline_s = connect_deadline_s
        self._call_deadline_s = call_deadline_s
        self._connection: Connection | None = None
        self._users = 0
        self._idle_timer: object | None = None
        self._counting = threading.Lock()
        self._opening = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """The connection, kept open while in use."""
        loop = link_loop()
        with self._counting:
            self._users += 1
            timer, self._idle_timer = self._idle_timer, None
        loop.disarm(timer)
        try:
            yield self._opened()
        finally:
            with self._counting:
                self._users -= 1
                if self._users == 0 and self._connection:
                    self._idle_timer = loop.arm(IDLE_S, self._close_idle)

    def end(self, cause: VigieError) -> None:
        """Cut it; calls in progress raise `cause`."""
        if self._connection:
            self._connection.end(cause)

    def _opened(self) -> Connection:
        with self._opening:
            if self._connection is None or not self._connection.is_open:
                connection = Connection(self._connections.link, self._call_deadline_s, _ignore)
                self._connection = connection
                # Looked at after it can be seen by `end`, so that it cannot outlive `watch`.
                if not self._connections.is_open:
                    connection.end(errors.connection_ended())
                connection.open(self._connect_deadline_s)
                connection.keep_alive()
            return self._connection

    def _close_idle(self) -> None:
        with self._counting:
            if self._users == 0 and self._connection:
                self._connection.end(errors.closed())
                self._connection = None


def _ignore(_: VigieError) -> None:
    """A spare may end by itself; its next user opens another."""


def _within(deadline_s: float, step: Coroutine[object, object, T]) -> T:
    try:
        return link_loop().run(step, deadline_s)
    except TimeoutError:
        raise errors.deadline_passed(deadline_s) from None


def _link(target: Target) -> HostTransport:
    """The link for a target. Raises HostAuthFailed when its secret cannot be used."""
    transport = target.endpoint.transport
    if transport is Transport.SSH:
        return SshTransport(target)
    if transport is Transport.TLS:
        return TlsTransport(target)
    if transport is Transport.LOCAL:
        return LocalTransport(target.endpoint)
    return SimulatedTransport(target.endpoint)
