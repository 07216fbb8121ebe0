"""Ways to a host's libvirt: one link per open host, which relays go through. Links live in the link loop.

A link connects the far side of a relay. Errors are core errors that say which step failed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from app.core.hosts.endpoints import Endpoint, is_dialable
from app.core.hosts.observations import FileCheck
from app.core.messages import N_
from app.hypervisor import errors
from app.hypervisor.storage.images import is_broken
from app.hypervisor.storage.qcow2 import HEADER_BYTES
from app.hypervisor.transport.relay import Half, Relay

# What listens on all addresses, or does not say on which, is reached on the loopback.
_FROM_INSIDE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- not listened on


MAX_FILES_CHECKED = 300  # of a directory, that are looked at for what libvirt cannot read


@dataclass(frozen=True, slots=True)
class HostSocket:
    """Where something listens on a host: a unix socket, or a port at one or all of the host's addresses."""

    path: str | None = None
    listens_on: str = "127.0.0.1"
    port: int = 0

    @property
    def is_local(self) -> bool:
        """Whether only the host itself reaches it."""
        named = self.listens_on
        return self.path is not None or named in ("", "::1", "localhost") or named.startswith("127.")

    @property
    def address(self) -> str:
        """The address to connect to from the host itself."""
        return _FROM_INSIDE.get(self.listens_on, self.listens_on)


class HostTransport(ABC):
    """A way to a host. `uri` is what libvirt opens, with a place for the private socket's path."""

    uri = "qemu+unix:///system?socket={socket}"
    has_shell: ClassVar[bool] = False

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        # Relays whose far side is open, and whether the link ends with the last of them.
        self.users = 0
        self._closing = False

    async def open(self, deadline_s: float) -> None:  # noqa: B027 -- most links have nothing to prepare
        """Log in. Raises HostUnreachable, HostIdentityChanged, HostAuthFailed."""

    @abstractmethod
    async def connect(self, relay: Relay, deadline_s: float) -> None:
        """Connect the far side of a relay to the host's libvirt."""

    async def tunnel(self, target: HostSocket, near: Half, deadline_s: float) -> Half:
        """Connect a half to a place on the host and join it with `near`. Raises HostError and its kinds."""
        raise errors.display_out_of_reach(N_("This kind of link carries libvirt only."))

    async def run(self, command: str, max_bytes: int) -> bytes | None:
        """What a command on the host prints; None when it fails, prints more, or there is no shell."""
        return None

    async def check_files(self, paths: Collection[str], folders: Collection[str]) -> FileCheck | None:
        """Which files and directories of the host are gone or read-only; None where the link cannot look.

        A local link cannot: the daemon may live in a container, or Vigie.
        """
        return None

    async def is_symlink(self, path: str) -> bool | None:
        """Whether this is a symbolic link of the host; None where the host's files cannot be looked at."""
        return None

    async def broken_images(self, folder: str) -> list[str] | None:
        """Files of a directory that begin as images and have no whole header, the newest first.

        None where the host's files cannot be looked at.
        """
        return None

    def close(self) -> None:
        """Close what `open` opened, once no relay uses it any more."""
        self._closing = True
        if self.users <= 0:
            self.abort()

    def released(self) -> None:
        """A relay is done with the link."""
        self.users -= 1
        if self._closing and self.users <= 0:
            self.abort()

    def abort(self) -> None:  # noqa: B027
        """Close what `open` opened, at once."""


class UnixTransport(HostTransport):
    """A unix socket of this machine."""

    async def connect(self, relay: Relay, deadline_s: float) -> None:
        """Connect the far side of a relay to the socket."""
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: relay.far, self.endpoint.socket)
        except PermissionError as error:
            raise errors.not_permitted(str(error)) from None
        except OSError as error:
            raise errors.no_socket(str(error)) from None


class LocalTransport(UnixTransport):
    """This machine's own libvirt."""

    has_shell = True

    async def tunnel(self, target: HostSocket, near: Half, deadline_s: float) -> Half:
        """Connect a half to a place on this machine."""
        half = Half(near.on_lost)
        half.join(near)
        loop = asyncio.get_running_loop()
        try:
            if target.path is not None:
                await loop.create_unix_connection(lambda: half, target.path)
            else:
                await loop.create_connection(lambda: half, target.address, target.port)
        except OSError as error:
            raise errors.place_closed(str(error)) from None
        return half

    async def run(self, command: str, max_bytes: int) -> bytes | None:
        """What a fixed command prints; None when it fails or prints more."""
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            output, _ = await process.communicate()
        except BaseException:
            process.kill()
            raise
        return output if process.returncode == 0 and len(output) <= max_bytes else None

    async def is_symlink(self, path: str) -> bool | None:
        """Whether this is a symbolic link of this machine; None where Vigie's account may not look."""
        try:
            return stat.S_ISLNK(os.lstat(path).st_mode)
        except FileNotFoundError:
            return False
        except OSError:
            return None

    async def broken_images(self, folder: str) -> list[str] | None:
        """Files of a directory of this machine that begin as images and have no whole header."""
        try:
            files = [item for item in os.scandir(folder) if item.is_file(follow_symlinks=False)]
            files.sort(key=lambda item: -item.stat(follow_symlinks=False).st_mtime)
            return [file.name for file in files[:MAX_FILES_CHECKED] if _is_broken(file)]
        except OSError:
            return None


def _is_broken(file: os.DirEntry[str]) -> bool:
    with open(file.path, "rb") as content:
        return is_broken(content.read(HEADER_BYTES), file.stat(follow_symlinks=False).st_size)


class SimulatedTransport(UnixTransport):
    """A host of libvirt's test driver, behind a daemon's socket. Only for labs."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.uri = f"test+unix://{endpoint.address}?socket={{socket}}"


async def dial(endpoint: Endpoint, deadline_s: float) -> socket.socket:
    """A TCP connection to the first of the name's addresses that accepts one. Raises HostUnreachable.

    The addresses that are checked are the ones that are dialled: a name cannot lead elsewhere in between.
    """
    try:
        # A little less than all the time there is, to tell a silent address from a silent server.
        async with asyncio.timeout(deadline_s * 0.9):
            return await _first_of(endpoint)
    except TimeoutError:
        raise errors.unreachable(N_("No answer came to the attempt to connect.")) from None


async def _first_of(endpoint: Endpoint) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise errors.name_unknown(str(error)) from None
    allowed = [item for item in found if is_dialable(str(item[4][0]), loopback=endpoint.loopback)]
    if not allowed:
        raise errors.not_dialable()
    last: OSError | None = None
    for family, kind, protocol, _, where in allowed:
        connection = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connection, where)
        except OSError as error:
            connection.close()
            last = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise errors.unreachable(_why_not_connected(last), str(last))


def _why_not_connected(error: OSError | None) -> str:
    number = error.errno if error else None
    if number == errno.ECONNREFUSED:
        return N_("Nothing listens on the port.")
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return N_("There is no route to its address.")
    return N_("The attempt to connect failed.")
