"""A stream of libvirt as one side of a tunnel, without a thread of its own.

libvirt calls back in its event loop's thread, where alone the stream is touched; the tunnel lives in the link
loop. What is on its way between the two is bounded by pausing whoever sends.
"""

from __future__ import annotations

import threading
from functools import partial

import libvirt

from app.hypervisor import events
from app.hypervisor.transport.relay import Half
from app.hypervisor.transport.transport_loop import link_loop

CHUNK = 16 * 1024
MAX_WAITING = 64 * 1024
_ENDS = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
_WOULD_BLOCK = -2


class StreamSide:
    """What a half of a tunnel asks of a transport, over a non-blocking stream."""

    def __init__(self, stream: libvirt.virStream, far: Half) -> None:
        self._stream = stream
        self._far = far
        self._lock = threading.Lock()
        self._waiting = bytearray()  # on its way to the stream
        self._paused = False  # the tunnel takes no more
        self._choking = False  # the stream takes no more: the tunnel was asked to wait
        self._stopped = False
        self._registered = False

    @classmethod
    def joined(cls, stream: libvirt.virStream, near: Half) -> Half:
        """A half that stands for the stream, joined with `near`; bytes flow from now on. In the link loop."""
        far = Half(near.on_lost)
        far.join(near)
        side = cls(stream, far)
        far.connection_made(side)
        events.in_event_loop(side._listen)
        return far

    # -- in the link loop ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send to the guest."""
        with self._lock:
            self._waiting += data
            choke = len(self._waiting) > MAX_WAITING and not self._choking
            self._choking = self._choking or choke
        if choke:
            self._far.pause_writing()
        events.in_event_loop(self._listen)

    def pause_reading(self) -> None:
        """Take nothing from the guest for now."""
        self._paused = True
        events.in_event_loop(self._listen)

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        events.in_event_loop(self._listen)

    def close(self) -> None:
        """The tunnel ended."""
        self._stopped = True
        self._far.side = None
        events.in_event_loop(self._listen)

    abort = close

    def _relieve(self) -> None:
        self._far.resume_writing()

    def _lost(self) -> None:
        if not self._stopped:
            self.close()
            self._far.on_lost()

    # -- in libvirt's event loop --------------------------------------------------------------------------

    def _listen(self) -> None:
        """Tell libvirt what to call back for."""
        wanted = 0 if self._paused else libvirt.VIR_STREAM_EVENT_READABLE
        if self._waiting:
            wanted |= libvirt.VIR_STREAM_EVENT_WRITABLE
        try:
            if self._stopped:
                if self._registered:
                    self._registered = False
                    self._stream.eventRemoveCallback()
            elif self._registered:
                self._stream.eventUpdateCallback(wanted | _ENDS)
            else:
                self._registered = True
                self._stream.eventAddCallback(wanted | _ENDS, self._happened, None)
        except libvirt.libvirtError:
            link_loop().soon(self._lost)

    def _happened(self, _: libvirt.virStream, what: int, __: object) -> None:
        if self._stopped:
            return
        try:
            is_over = bool(what & libvirt.VIR_STREAM_EVENT_READABLE) and not self._receive()
            if what & libvirt.VIR_STREAM_EVENT_WRITABLE:
                self._send()
        except libvirt.libvirtError:
            is_over = True
        if is_over or what & _ENDS:
            link_loop().soon(self._lost)

    def _receive(self) -> bool:
        """Pass on what there is; false at the end."""
        data = self._stream.recv(CHUNK)
        if data == _WOULD_BLOCK:
            return True
        if data:
            link_loop().soon(partial(self._far.data_received, data))
        return bool(data)

    def _send(self) -> None:
        with self._lock:
            sent = self._stream.send(bytes(self._waiting[:CHUNK])) if self._waiting else 0
            if sent > 0:
                del self._waiting[:sent]
            relieve = self._choking and len(self._waiting) < MAX_WAITING // 2
            self._choking = self._choking and not relieve
        if relieve:
            link_loop().soon(self._relieve)
        if not self._waiting:
            self._listen()
