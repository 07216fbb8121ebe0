"""An event loop for libvirt that costs the same per call however many hosts are connected.

Libvirt's own loop hands all its sockets to poll() each time that any of them is touched, and every call touches
one: with thousands of connections it takes most of a processor. This one is epoll, where a change costs the same
always. Libvirt calls `add_…`, `update_…`, `remove_…` from any thread, with locks of its own held, so these only
note what is wanted; callbacks are called, and memory freed, in the loop's thread without a lock.
https://libvirt.org/html/libvirt-libvirt-event.html
"""

from __future__ import annotations

import itertools
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import libvirt

_TO_EPOLL = (
    (libvirt.VIR_EVENT_HANDLE_READABLE, select.EPOLLIN),
    (libvirt.VIR_EVENT_HANDLE_WRITABLE, select.EPOLLOUT),
    (libvirt.VIR_EVENT_HANDLE_ERROR, select.EPOLLERR),
    (libvirt.VIR_EVENT_HANDLE_HANGUP, select.EPOLLHUP),
)
_INTEREST = [sum(there for here, there in _TO_EPOLL if number & here) for number in range(16)]


@dataclass(slots=True)
class _Handle:
    fd: int
    events: int
    opaque: object


@dataclass(slots=True)
class _Timer:
    every_ms: int
    opaque: object


class EventLoop:
    """Register with `install`, then call `run` for ever in a thread of its own."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._handles: dict[int, _Handle] = {}
        self._watch_of: dict[int, int] = {}  # by fd: the watch whose interest epoll has
        self._timers: dict[int, _Timer] = {}
        self._due: dict[int, float] = {}  # timers that run
        self._to_free: list[object] = []

    def install(self) -> None:
        """Make it libvirt's event loop; before the first connection."""
        libvirt.virEventRegisterImpl(
            self._add_handle,
            self._update_handle,
            self._remove_handle,
            self._add_timer,
            self._update_timer,
            self._remove_timer,
        )

    def run(self) -> None:
        """One turn: wait, call back, free."""
        for fd, happened in self._epoll.poll(self._pause_s()):
            if fd == self._wakeup:
                os.eventfd_read(self._wakeup)
            else:
                self._fire_handle(fd, happened)
        self._fire_timers()
        with self._lock:
            to_free, self._to_free = self._to_free, []
        for opaque in to_free:
            libvirt.virEventInvokeFreeCallback(opaque)

    def _pause_s(self) -> float | None:
        with self._lock:
            if self._to_free:
                return 0.0
            due = min(self._due.values(), default=None)
        return None if due is None else max(due - time.monotonic(), 0.0)

    def _fire_handle(self, fd: int, happened: int) -> None:
        with self._lock:
            watch = self._watch_of.get(fd)
            handle = self._handles.get(watch) if watch is not None else None
        if handle is None or watch is None:
            return
        events = sum(here for here, there in _TO_EPOLL if happened & there)
        libvirt._eventInvokeHandleCallback(watch, fd, events, handle.opaque)

    def _fire_timers(self) -> None:
        now = time.monotonic()
        with self._lock:
            fired = [(timer, self._timers[timer]) for timer, due in self._due.items() if due <= now]
            for timer, state in fired:
                self._due[timer] = now + state.every_ms / 1000
        for timer, state in fired:
            if timer in self._due:  # not removed or stopped by one before it
                libvirt._eventInvokeTimeoutCallback(timer, state.opaque)

    # -- called by libvirt, from any thread ---------------------------------------------------------------

    def _add_handle(self, fd: int, events: int, _call: Callable[..., None], opaque: object) -> int:
        with self._lock:
            watch = next(self._numbers)
            self._handles[watch] = _Handle(fd, 0, opaque)
            self._want(watch, events)
        return watch

    def _update_handle(self, watch: int, events: int) -> None:
        with self._lock:
            if watch in self._handles:
                self._want(watch, events)

    def _remove_handle(self, watch: int) -> int:
        with self._lock:
            if watch not in self._handles:
                return -1
            self._want(watch, 0)
            self._to_free.append(self._handles.pop(watch).opaque)
        self._wake()
        return 0

    def _want(self, watch: int, events: int) -> None:
        """Tell epoll what to wait for. Without interest it is left out: epoll would report hang-ups for ever."""
        handle = self._handles[watch]
        handle.events = events
        interest = _INTEREST[events & 15]
        known = self._watch_of.get(handle.fd) == watch
        try:
            if interest and known:
                self._epoll.modify(handle.fd, interest)
            elif interest:
                self._watch_of[handle.fd] = watch
                self._epoll.register(handle.fd, interest)
            elif known:
                del self._watch_of[handle.fd]
                self._epoll.unregister(handle.fd)
        except FileExistsError:
            self._epoll.modify(handle.fd, interest)
        except OSError:
            return  # the socket is closed already: it has no events any more

    def _add_timer(self, every_ms: int, _call: Callable[..., None], opaque: object) -> int:
        with self._lock:
            timer = next(self._numbers)
            self._timers[timer] = _Timer(every_ms, opaque)
            self._arm(timer, every_ms)
        return timer

    def _update_timer(self, timer: int, every_ms: int) -> None:
        with self._lock:
            if timer in self._timers:
                self._timers[timer].every_ms = every_ms
                self._arm(timer, every_ms)

    def _remove_timer(self, timer: int) -> int:
        with self._lock:
            if timer not in self._timers:
                return -1
            self._due.pop(timer, None)
            self._to_free.append(self._timers.pop(timer).opaque)
        self._wake()
        return 0

    def _arm(self, timer: int, every_ms: int) -> None:
        if every_ms < 0:
            self._due.pop(timer, None)
            return
        self._due[timer] = time.monotonic() + every_ms / 1000
        self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)
