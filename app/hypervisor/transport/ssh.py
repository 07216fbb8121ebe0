"""Links over SSH: one connection per host, with the host's key pinned; no file of ~/.ssh and no agent is used."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import asyncssh

from app.core.errors import HostAuthFailed, VigieError
from app.core.hosts.endpoints import Endpoint
from app.core.hosts.observations import FileCheck
from app.core.messages import N_
from app.hypervisor import errors
from app.hypervisor.host.files import check_by_sftp
from app.hypervisor.storage.images import format_of, is_broken
from app.hypervisor.storage.qcow2 import HEADER_BYTES
from app.hypervisor.transport.relay import Half, Relay
from app.hypervisor.transport.targets import SshKey, SshPassword, Target
from app.hypervisor.transport.transports import MAX_FILES_CHECKED, HostSocket, HostTransport, dial

# Fixed, so that a host that has several keys always shows the same one.
HOST_KEY_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
# One call into the library encrypts and signs a packet of these; the one that asyncssh prefers takes four.
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
# A host that is gone is noticed after 15 s by these, if nothing was asked of it before.
SSH_KEEPALIVE_S = 5
SSH_KEEPALIVE_COUNT = 2
# Pauses before a channel that was refused is asked for again: a daemon that restarts closes its socket for a moment,
# and OpenSSH's answer to that is the one to forbidden forwarding.
SECOND_LOOKS_S = (0.1, 0.3, 0.6)
_MAGIC_BYTES = 512
_NO_KNOWN_HOSTS: tuple[list[asyncssh.SSHKey], ...] = ([], [], [])


async def see_host_key(endpoint: Endpoint, deadline_s: float) -> str:
    """Fingerprint of the key that an SSH server shows. Nothing but the key exchange is done."""
    connection = await dial(endpoint, deadline_s)
    try:
        key = await asyncssh.get_server_host_key(
            sock=connection, server_host_key_algs=list(HOST_KEY_ALGORITHMS), config=None
        )
    except (asyncssh.Error, OSError) as error:
        raise _translate(error) from None
    if key is None:
        raise errors.wrong_protocol(N_("The SSH server shows no key of a known kind."))
    return key.get_fingerprint()


class SshTransport(HostTransport):
    """An SSH connection that carries relays to the host's libvirt socket, and fixed commands."""

    has_shell = True

    def __init__(self, target: Target) -> None:
        super().__init__(target.endpoint)
        self._fingerprint = target.fingerprint
        self._login = _login_options(target)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None

    async def open(self, deadline_s: float) -> None:
        """Connect, check the host's key and log in."""
        connection = await dial(self.endpoint, deadline_s)
        checker = _KeyChecker(self._fingerprint)
        try:
            self._connection = await asyncssh.connect(
                sock=connection,
                client_factory=lambda: checker,
                username=self.endpoint.user,
                config=None,
                known_hosts=_NO_KNOWN_HOSTS,
                x509_trusted_certs=None,
                server_host_key_algs=list(HOST_KEY_ALGORITHMS),
                agent_path=None,
                gss_host=None,
                keepalive_interval=SSH_KEEPALIVE_S,
                keepalive_count_max=SSH_KEEPALIVE_COUNT,
                compression_algs=None,
                encryption_algs=CIPHERS,
                **self._login,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            if checker.seen is None:
                raise _translate(error) from None
            raise errors.identity_changed(checker.seen) from None
        except (asyncssh.Error, OSError) as error:
            raise _translate(error) from None

    async def connect(self, relay: Relay, deadline_s: float) -> None:
        """Open a channel to the libvirt socket for a relay."""
        for pause_s in (*SECOND_LOOKS_S, None):
            far = SshHalf(relay.lost)
            try:
                with self._opening() as connection:
                    await connection.create_unix_connection(partial(_same, far), self.endpoint.socket)
            except asyncssh.ChannelOpenError as error:
                why = await self._why_no_channel(error)
                # What keeps an account out holds still; what a restart of the daemon looks like passes.
                if pause_s is None or not isinstance(why, HostAuthFailed):
                    raise why from None
                await asyncio.sleep(pause_s)
            except (asyncssh.Error, OSError) as error:
                raise errors.connection_ended(errors.clean(error)) from None
            else:
                relay.far = far
                return

    async def tunnel(self, target: HostSocket, near: Half, deadline_s: float) -> Half:
        """Open a channel to a place on the host; the host itself connects to it."""
        port, path = _PortHalf(near.on_lost), SshHalf(near.on_lost)
        half = port if target.path is None else path
        half.join(near)
        try:
            with self._opening() as connection:
                if target.path is None:
                    await connection.create_connection(lambda: port, target.address, target.port)
                else:
                    await connection.create_unix_connection(lambda: path, target.path)
        except asyncssh.ChannelOpenError as error:
            detail = errors.clean(error.reason)
            # OpenSSH says the second of unix sockets that it may not forward and of ones that nobody serves.
            if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise errors.no_display_forwarding(detail) from None
            raise errors.place_closed(detail) from None
        except (asyncssh.Error, OSError) as error:
            raise errors.connection_ended(errors.clean(error)) from None
        return half

    async def run(self, command: str, max_bytes: int) -> bytes | None:
        """What a fixed command prints; None when it fails, is not allowed, or prints more."""
        try:
            with self._opening() as connection:
                process = await connection.create_process(
                    command, encoding=None, stdin=asyncssh.DEVNULL, stderr=asyncssh.DEVNULL
                )
            async with process:
                output = await process.stdout.read(max_bytes + 1)
                if len(output) > max_bytes:
                    return None
                await process.wait_closed()
        except (asyncssh.Error, OSError):
            return None
        return output if process.exit_status == 0 else None

    async def is_symlink(self, path: str) -> bool | None:
        """Whether this is a symbolic link of the host, by SFTP; None where SFTP or the login does not allow to look."""
        try:
            sftp = await self._files()
            mode = (await sftp.lstat(path)).permissions
        except asyncssh.SFTPNoSuchFile:
            return False
        except (asyncssh.Error, OSError):
            self._sftp = None
            return None
        return None if mode is None else stat.S_ISLNK(mode)

    async def broken_images(self, folder: str) -> list[str] | None:
        """Files of a directory that begin as images and have no whole header, by SFTP."""
        try:
            sftp = await self._files()
            entries = [item async for item in sftp.scandir(folder)]
            files = [entry for entry in entries if stat.S_ISREG(entry.attrs.permissions or 0)]
            files.sort(key=lambda item: -(item.attrs.mtime or 0))
            return [
                os.fsdecode(file.filename)
                for file in files[:MAX_FILES_CHECKED]
                if await _is_broken(sftp, f"{folder}/{os.fsdecode(file.filename)}", file.attrs.size or 0)
            ]
        except (asyncssh.Error, OSError):
            self._sftp = None
            return None

    async def _files(self) -> asyncssh.SFTPClient:
        if self._sftp is None:
            with self._opening() as connection:
                self._sftp = await connection.start_sftp_client()
        return self._sftp

    async def check_files(self, paths: Collection[str], folders: Collection[str]) -> FileCheck | None:
        """Which files and directories of the host are gone or read-only, over SFTP; None when it is not offered."""
        try:
            with self._opening() as connection:
                return await check_by_sftp(connection, paths, folders)
        except asyncssh.ConnectionLost:
            return None

    def abort(self) -> None:
        """Close at once."""
        if self._connection:
            self._connection.abort()

    async def _why_no_channel(self, error: asyncssh.ChannelOpenError) -> VigieError:
        """OpenSSH says the same of a missing socket, a closed one, and forbidden forwarding: look at the socket."""
        detail, path = errors.clean(error.reason), shlex.quote(self.endpoint.socket)
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return errors.no_forwarding(detail)
        if await self.run(f"test -w {path}", 0) is not None:
            # It may be opened, yet not from here; or nobody listens on it.
            listening = await self.run(f'grep -qF "$(readlink -f {path})" /proc/net/unix', 0)
            return errors.no_socket(detail) if listening is None else errors.no_forwarding(detail)
        if await self.run(f"test -S {path}", 0) is not None:
            return errors.not_permitted(detail)
        return errors.no_socket(detail)

    @contextmanager
    def _opening(self) -> Iterator[asyncssh.SSHClientConnection]:
        """Return the connection for opening a channel; raise asyncssh.ConnectionLost if it ends meanwhile.

        asyncssh 2.24 then raises AttributeError, because the end of the connection took the session away.
        """
        connection = self._connection
        if connection is None or connection.is_closed():
            raise errors.connection_ended()
        try:
            yield connection
        except AttributeError:
            if not connection.is_closed():
                raise
            raise asyncssh.ConnectionLost("The connection ended while a channel was opened") from None


async def _is_broken(sftp: asyncssh.SFTPClient, path: str, size_bytes: int) -> bool:
    try:
        async with sftp.open(path, "rb") as content:
            head = await _read(content, _MAGIC_BYTES, 0)
            if format_of(head) == "raw":
                return False
            return is_broken(await _read(content, HEADER_BYTES, 0), size_bytes)
    except asyncssh.SFTPPermissionDenied:
        return False  # QEMU's, of a VM that runs


async def _read(content: asyncssh.SFTPClientFile, length: int, offset: int) -> bytes:
    found: bytes = cast(bytes, await content.read(length, offset))  # text only of files opened as text
    return found


class SshHalf(Half, asyncssh.SSHUNIXSession[bytes]):
    """The far side of a relay, at the end of an SSH channel."""


def _same(half: SshHalf) -> SshHalf:
    return half


class _PortHalf(Half, asyncssh.SSHTCPSession[bytes]):
    """One side of a tunnel to a port, at the end of an SSH channel."""


class _KeyChecker(asyncssh.SSHClient):
    """Accepts the confirmed host key only, and remembers what was shown."""

    def __init__(self, fingerprint: str | None) -> None:
        self._fingerprint = fingerprint
        self.seen: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether this is the confirmed key."""
        self.seen = key.get_fingerprint()
        return self.seen == self._fingerprint


def _login_options(target: Target) -> dict[str, object]:
    """The only credential to offer. Raises HostAuthFailed when a key cannot be read."""
    secret = target.secret
    if isinstance(secret, SshPassword):
        return {
            "client_keys": None,
            "password": secret.password,
            "preferred_auth": "password,keyboard-interactive",
        }
    if not isinstance(secret, SshKey):
        raise errors.credential_unreadable(N_("This host needs an SSH key or a password."))
    try:
        key = asyncssh.import_private_key(secret.private_key, secret.passphrase)
    except asyncssh.KeyEncryptionError:
        raise errors.credential_unreadable(N_("The key's passphrase is missing or wrong.")) from None
    except (asyncssh.KeyImportError, ValueError):
        raise errors.credential_unreadable(N_("The text is not a private key in a known form.")) from None
    return {"client_keys": [key], "password": None, "preferred_auth": "publickey"}


def _translate(error: Exception) -> VigieError:
    detail = errors.clean(error)
    if isinstance(error, asyncssh.PermissionDenied):
        return errors.credential_refused(
            N_("The SSH server does not accept this account with this key or password."), detail
        )
    if isinstance(error, (asyncssh.ConnectionLost, OSError)):
        return errors.wrong_protocol(N_("The connection was closed before the SSH login was done."), detail)
    return errors.wrong_protocol(N_("What answers there is not a usable SSH server."), detail)
