"""One libvirt connection through a relay of ours, with a deadline on every call.

A call that passes its deadline has its relay cut: libvirt then fails at once, and so does all else that
waits on this connection, which is lost. No thread is left behind in a hung call.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import libvirt

from app.core.errors import HypervisorRefused, VigieError
from app.core.inventory.reports import Hint
from app.hypervisor import errors, events
from app.hypervisor.transport.relay import Relay
from app.hypervisor.transport.transport_loop import link_loop
from app.hypervisor.transport.transports import HostTransport

T = TypeVar("T")
# For calls that may take as long as they need. They end when the connection does: see `keep_alive`.
NO_DEADLINE = math.inf
# The daemon is asked for a sign of life this often, and given up after COUNT + 1 of these without one.
LIBVIRT_KEEPALIVE_S = 5
LIBVIRT_KEEPALIVE_COUNT = 2
_UNSUPPORTED = ("not_supported", "invalid_argument")


class Connection:
    """An open libvirt connection. `call` may be used from any thread; `raw` only inside it."""

    def __init__(
        self, link: HostTransport, call_deadline_s: float, on_end: Callable[[VigieError], None]
    ) -> None:
        self._loop = link_loop()
        self._link = link
        self._deadline_s = call_deadline_s
        self._on_end = on_end
        self._relay = Relay(self._loop, lambda: bool(self._calls), self._ended, link.released)
        self._subscriptions = events.Subscriptions()
        self._unsupported: set[str] = set()
        self._raw: libvirt.virConnect | None = None
        self._calls: set[object] = set()
        self._burying = threading.Lock()

    def open(self, deadline_s: float) -> None:
        """Connect through the link, which must be open. Raises HostError and its kinds."""
        events.start_event_loop()
        try:
            self._loop.run(self._prepare(deadline_s), deadline_s)
        except TimeoutError:
            self._relay.end(errors.deadline_passed(deadline_s))
            raise errors.deadline_passed(deadline_s) from None
        except VigieError as error:
            self._relay.end(error)
            raise
        uri = self._link.uri.format(socket=self._relay.path)
        self.call(self._open_raw, uri, deadline_s=deadline_s)

    @property
    def raw(self) -> libvirt.virConnect:
        """The libvirt connection."""
        if self._raw is None:
            raise errors.closed()
        return self._raw

    @property
    def is_open(self) -> bool:
        """False once cut, lost or closed."""
        return self._relay.cause is None

    def call(self, function: Callable[..., T], *args: object, deadline_s: float | None = None) -> T:
        """Call a libvirt function within the deadline. Raises core errors only."""
        limit = self._deadline_s if deadline_s is None else deadline_s
        key = self._loop.arm(limit, partial(self._pass_deadline, limit))
        # In this order: once buried, no call gets past the look at the cause.
        self._calls.add(key)
        try:
            if self._relay.cause:
                raise self._relay.cause.with_traceback(None)
            return function(*args)
        except libvirt.libvirtError as error:
            raise self._error(error) from None
        except UnicodeDecodeError as error:
            # libvirt's binding decodes all text strictly, and a file on a host may have any name.
            raise errors.unreadable(error) from None
        except SystemError as error:
            # The binding decodes the text of an error too, and then returns as if nothing was wrong.
            if not isinstance(error.__cause__, UnicodeDecodeError):
                raise
            raise errors.unreadable(error.__cause__) from None
        finally:
            self._loop.disarm(key)
            self._calls.discard(key)
            if self._relay.cause:
                self._bury_when_idle()

    def optional(self, key: str, function: Callable[..., T], *args: object) -> T | None:
        """As `call`, but None where the host does not support it; then it is not asked again."""
        if key in self._unsupported:
            return None
        try:
            return self.call(function, *args)
        except HypervisorRefused as error:
            if error.code not in _UNSUPPORTED:
                raise
            self._unsupported.add(key)
            return None

    def readable(self, function: Callable[..., T], *args: object) -> T | None:
        """As `call`, but None where the answer cannot be read."""
        try:
            return self.call(function, *args)
        except HypervisorRefused as error:
            if not errors.is_unreadable(error):
                raise
            return None

    def keep_alive(self) -> None:
        """Have the daemon asked for signs of life, so that a call without a deadline ends with a dead host."""
        self.call(self.raw.setKeepAlive, LIBVIRT_KEEPALIVE_S, LIBVIRT_KEEPALIVE_COUNT)

    def subscribe(self, on_hint: Callable[[Hint], None]) -> None:
        """Have events queued as hints, from any thread."""
        for register in events.registrations(self.raw, on_hint, self._subscriptions):
            self.optional(register.key, register.call)

    def end(self, cause: VigieError) -> None:
        """Cut it, from any thread; returns at once. Calls in progress raise `cause`."""
        self._relay.end(cause)

    def _open_raw(self, uri: str) -> None:
        self._raw = libvirt.open(uri)

    async def _prepare(self, deadline_s: float) -> None:
        self._link.users += 1
        await self._link.connect(self._relay, deadline_s)
        self._relay.listen()

    def _pass_deadline(self, limit: float) -> None:
        self._relay.end(errors.deadline_passed(limit))

    def _error(self, error: libvirt.libvirtError) -> VigieError:
        return self._relay.cause.with_traceback(None) if self._relay.cause else errors.translate(error)

    def _ended(self, cause: VigieError) -> None:
        self._bury_when_idle()
        self._on_end(cause)

    def _bury_when_idle(self) -> None:
        """Free the libvirt connection once no call is inside it."""
        with self._burying:
            if self._calls or self._raw is None:
                return
            raw, self._raw = self._raw, None
        events.in_event_loop(partial(self._bury, raw))

    def _bury(self, raw: libvirt.virConnect) -> None:
        self._subscriptions.cancel(raw)
        try:
            raw.close()
        except libvirt.libvirtError:
            # It could not tell the host, to which it is not connected any more.
            return
