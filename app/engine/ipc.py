"""Two hubs joined over a socket: what is published in one process is heard in the other.

Notices name ids only and may be heard together, so what waits to be sent is a set: a slow peer makes it no
larger than the number of objects, and nobody who publishes ever waits.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from app.core.notices import Hub

MAX_TOPICS = 1000  # in one packet; the kernel's buffer takes several
MAX_PACKET = 256 * 1024

Message = dict[str, Any]


class IpcEndpoint:
    """One end. Messages other than notices go to `on_message`; the end of the other side calls `on_end` once."""

    def __init__(
        self, hub: Hub, end: socket.socket, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        self._hub = hub
        self._end = end
        self._on_message = on_message
        self._on_end = on_end
        self._wake = threading.Condition()
        self._topics: set[str] = set()
        self._messages: list[Message] = []
        self._closed = False
        self._receiver = threading.Thread(target=self._receive, name="ipc-in", daemon=True)
        self._sender = threading.Thread(target=self._send, name="ipc-out", daemon=True)
        self._unlisten = hub.listen(self._hear)

    def start(self) -> None:
        """Start both directions."""
        self._receiver.start()
        self._sender.start()

    def tell(self, message: Message) -> None:
        """Send a message to the other side, after what waits already."""
        with self._wake:
            self._messages.append(message)
            self._wake.notify()

    def close(self) -> None:
        """Send what waits, then end."""
        self._unlisten()
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._sender.is_alive():
            self._sender.join(1.0)

    def _hear(self, topics: frozenset[str]) -> None:
        if threading.current_thread() is self._receiver:
            return  # it came from the other side
        with self._wake:
            self._topics |= topics
            self._wake.notify()

    def _send(self) -> None:
        while True:
            with self._wake:
                while not (self._topics or self._messages or self._closed):
                    self._wake.wait()
                topics, self._topics = self._topics, set()
                messages, self._messages = self._messages, []
                closed = self._closed
            reported = list(topics)
            packets = [
                {"topics": reported[at : at + MAX_TOPICS]} for at in range(0, len(reported), MAX_TOPICS)
            ]
            try:
                for packet in (*packets, *messages):
                    self._end.send(json.dumps(packet).encode())
                if closed:
                    self._end.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the other side is gone: the receiver tells
            if closed:
                return

    def _receive(self) -> None:
        while True:
            try:
                packet = self._end.recv(MAX_PACKET)
            except OSError:
                packet = b""
            if not packet:
                self._on_end()
                return
            message = json.loads(packet)
            if "topics" in message:
                self._hub.publish(message["topics"])
            else:
                self._on_message(message)
