"""Whether files and directories of a host are there and writable: asked over SFTP, or of libvirt where there is none.

Over SFTP each look opens a session of its own: one that a hung file system keeps is given up with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator

import asyncssh

from app.core.errors import HypervisorRefused
from app.core.hosts.observations import FileCheck
from app.hypervisor.transport.connection import Connection

AT_ONCE = 100
_READ_ONLY = 1  # ST_RDONLY of statvfs


async def check_by_sftp(
    connection: asyncssh.SSHClientConnection, paths: Iterable[str], directories: Iterable[str]
) -> FileCheck | None:
    """What is missing and what is mounted read-only; None when SFTP is not offered."""
    try:
        async with await connection.start_sftp_client() as sftp:
            wanted, places = list(dict.fromkeys([*paths, *directories])), list(dict.fromkeys(directories))
            missing, read_only = set[str](), set[str]()
            for some in _parts(wanted):
                gone = await asyncio.gather(*(_is_missing(sftp, path) for path in some))
                missing.update(path for path, is_gone in zip(some, gone, strict=True) if is_gone)
            for some in _parts([place for place in places if place not in missing]):
                locked = await asyncio.gather(*(_is_read_only(sftp, path) for path in some))
                read_only.update(path for path, is_locked in zip(some, locked, strict=True) if is_locked)
    except (asyncssh.Error, OSError):
        return None
    return FileCheck(frozenset(missing), frozenset(read_only))


async def _is_missing(sftp: asyncssh.SFTPClient, path: str) -> bool:
    """Only a clear no counts: a directory that the account may not enter tells nothing."""
    try:
        await sftp.stat(path)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return True
    except asyncssh.SFTPError:
        return False
    return False


async def _is_read_only(sftp: asyncssh.SFTPClient, path: str) -> bool:
    try:
        return bool((await sftp.statvfs(path)).flags & _READ_ONLY)
    except asyncssh.SFTPError:
        return False


def _parts(paths: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(paths), AT_ONCE):
        yield paths[start : start + AT_ONCE]


def has_volume(connection: Connection, path: str) -> bool | None:
    """Whether libvirt finds the file of a volume; None of a path that is in no pool that runs."""
    try:
        volume = connection.call(connection.raw.storageVolLookupByPath, path)
    except HypervisorRefused:
        return None
    try:
        connection.call(volume.info)
    except HypervisorRefused as error:
        return False if error.code == "no_such_volume" else None
    return True


def check_by_libvirt(connection: Connection, paths: Collection[str]) -> FileCheck:
    """What libvirt tells of the files of volumes; of directories it tells nothing without reading their pools anew."""
    return FileCheck(frozenset(path for path in paths if has_volume(connection, path) is False), None)
