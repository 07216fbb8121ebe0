"""A private socket for one libvirt connection, and the copying of bytes between it and the host.

libvirt connects to the socket (`path`); the other side was connected before by a link. Ending the relay
makes every libvirt call that waits on the connection fail at once, `open` included. All methods but `end`
run in the link loop.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import shutil
import socket
import stat
import struct
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Protocol, cast

from app.core.errors import VigieError
from app.hypervisor import errors
from app.hypervisor.transport.transport_loop import TransportLoop

# The kernel's limit for the path of a unix socket, less room for the number.
MAX_DIRECTORY = 90
LINGER_S = 60.0
QUIET_S = 0.2
_numbers = itertools.count(1)
_made: list[str] = []


class Side(Protocol):
    """What a relay asks of a transport or an SSH channel."""

    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Half(asyncio.Protocol):
    """One side of a relay: what it receives goes to the other, no faster than that takes it.

    The methods are those of asyncio's protocols and asyncssh's sessions both.
    """

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self.side: Side | None = None
        self.other: Half | None = None
        self.on_lost = on_lost
        self.on_unwanted: Callable[[], object] = on_lost
        self.released = False

    def join(self, other: Half) -> None:
        """From now on what one receives goes to the other."""
        self.other, other.other = other, self

    def connection_made(self, transport: object) -> None:
        """The side is connected."""
        self.side = cast(Side, transport)

    def data_received(self, data: bytes, datatype: object = None) -> None:
        """Bytes came: pass them on. When nobody is there to take them, as before libvirt asked, that is the end."""
        if self.other and self.other.side:
            self.other.side.write(data)
        else:
            self.on_unwanted()

    def pause_writing(self) -> None:
        """This side takes no more for now."""
        if self.other and self.other.side:
            self.other.side.pause_reading()

    def resume_writing(self) -> None:
        """This side takes bytes again."""
        if self.other and self.other.side:
            self.other.side.resume_reading()

    def eof_received(self) -> bool:
        """The peer will send no more: libvirt's protocol has no half-closed state, so this is the end."""
        self.on_lost()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.side = None
        self.on_lost()


class Relay:
    """The pair of a libvirt connection and its host. `cause` says why it ended."""

    def __init__(
        self,
        loop: TransportLoop,
        is_busy: Callable[[], bool],
        on_end: Callable[[VigieError], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._is_busy = is_busy
        self._on_end = on_end
        self._on_gone = on_gone
        self._listener: socket.socket | None = None
        self.cause: VigieError | None = None
        self.path = ""
        self.far: Half = Half(self.lost)
        self._near = Half(self.lost)

    def listen(self) -> None:
        """Open the private socket; the far side must be connected."""
        if self.cause:
            raise self.cause
        self.path = f"{_directory()}/{next(_numbers)}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listener = listener
        listener.bind(self.path)
        listener.listen(1)
        asyncio.get_running_loop().add_reader(listener, partial(self._accept, listener))

    def lost(self) -> None:
        """One of the sides is gone."""
        self._end(errors.connection_ended())

    def end(self, cause: VigieError) -> None:
        """Cut both sides, from any thread. The first cause counts."""
        self._loop.soon(partial(self._end, cause))

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        if _peer_pid(connection) != os.getpid():
            connection.close()
            return
        connection.setblocking(False)
        self._stop_listening()
        self._near.join(self.far)
        loop = asyncio.get_running_loop()
        # The loop holds the task until it is done, and it does not wait for anything but itself.
        self._connecting = loop.create_task(self._connect_near(connection))

    async def _connect_near(self, connection: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self._near, connection)
        if self.cause and self._near.side:
            self._near.side.abort()

    def _stop_listening(self) -> None:
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            Path(self.path).unlink(missing_ok=True)

    def _end(self, cause: VigieError) -> None:
        if self.cause:
            return
        self.cause = cause
        self._stop_listening()
        if self._near.side:
            self._near.side.abort()
        if self._is_busy() and self.far.side:
            self._linger(self.far)
        else:
            self._release(self.far)
        self._on_end(cause)

    def _linger(self, far: Half) -> None:
        """Keep the host's side open until it has answered, or for a minute, and throw the answer away.

        libvirt 9.0's daemon may crash when a client leaves while its call is answered: it then frees the
        client's event callbacks twice.
        """
        loop = asyncio.get_running_loop()
        far.other = None
        far.on_lost = partial(self._release, far)
        far.on_unwanted = lambda: loop.call_later(QUIET_S, self._release, far)
        loop.call_later(LINGER_S, self._release, far)

    def _release(self, far: Half) -> None:
        if far.released:
            return
        far.released = True
        if far.side:
            far.side.abort()
        self._on_gone()


def _directory() -> str:
    """This process's directory for sockets, closed to other users and removed at exit.

    Made again when it is gone: what cleans up temporary directories may find it empty and old.
    """
    path = _made_directory()
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        seen = None
    if seen is None or seen.st_uid != os.geteuid() or not stat.S_ISDIR(seen.st_mode):
        _made_directory.cache_clear()
        path = _made_directory()
    return path


@cache
def _made_directory() -> str:
    path = tempfile.mkdtemp(prefix="vigie-")
    if len(path) > MAX_DIRECTORY:
        Path(path).rmdir()
        path = tempfile.mkdtemp(prefix="vigie-", dir="/tmp")
    _made.append(path)
    return path


@atexit.register
def remove_directory() -> None:
    """Remove this process's directory for sockets; for a process that ends without its exit handlers."""
    while _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)


def _peer_pid(connection: socket.socket) -> int:
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)
