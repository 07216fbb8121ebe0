"""Check the content of a volume, and of every file that it is built on, immediately before it is used.

The format of a volume is the recorded one: what Vigie recorded when it made the volume, or what the definition of a
VM says. What lies in it may have been written by a guest, so it is compared with that and never believed. Backing
files and external data files must be volumes of the host's storage pools.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.core.errors import Conflict, HypervisorRefused
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.volumes import is_same_format
from app.db.models import Volume
from app.hypervisor import Host as OpenHost
from app.hypervisor.storage.images import format_of
from app.hypervisor.storage.qcow2 import HEADER_BYTES, HeaderLies, Qcow2Header, read_qcow2
from app.services.storage.volumes import records
from app.services.storage.volumes.records import RecordedVolume

T = TypeVar("T")
On = TypeVar("On", covariant=True)

DEEPEST = 64
RAW, QCOW2 = "raw", "qcow2"
# What QEMU and libvirt take for raw although it begins like a format: guests encrypt their disks.
_PLAIN = (RAW, "luks")


class VolumeRefused(Conflict):
    """The volume must not be used. `params` fill `why`."""

    code = "volume_refused"

    def __init__(self, why: str, *, hint: str | None = None, **params: object) -> None:
        super().__init__(
            N_("The volume cannot be used."),
            why=why,
            hint=hint or N_("Find out where the content came from. The volume can still be deleted."),
            params=params,
        )


class Runs(Protocol[On]):
    """Does a step with what it needs, such as a host or a session, and returns its result."""

    def __call__(self, step: Callable[[On], T], /) -> T:
        """Do the step."""


@dataclass(frozen=True, slots=True)
class VolumeAccess:
    """How a volume's host is asked and its record is read: `call` repeats what a lost host interrupted."""

    host_id: str
    call: Runs[OpenHost]
    write: Runs[Session]


def check_volume(access: VolumeAccess, path: str, *, format: str | None = None) -> str:
    """Check the volume at this path of the host; return its recorded format.

    `format` is what the caller is about to pass on: another than the recorded one is refused. The volume is marked
    with what was found. Raises VolumeRefused, HypervisorRefused.
    """
    top = _find(access, path)
    try:
        recorded = _check_chain(access, top, format)
    except VolumeRefused as refused:
        if not top.is_incomplete:
            why, params = refused.why or "", dict(refused.params)
            access.write(partial(records.mark_refused, volume_id=top.volume_id, why=why, params=params))
        raise
    access.write(partial(records.mark_checked, volume_id=top.volume_id, format=recorded))
    return recorded


def require_usable(ctx: Ctx, volume: Volume, host_id: str) -> str:
    """The recorded format of a volume that nothing holds back from use, as far as the inventory knows.

    Raises VolumeRefused. Its content is looked at later, in the task.
    """
    recorded = records.find_recorded(ctx.session, host_id, volume.path)
    if recorded is None:
        return volume.format or RAW
    _refuse_held(recorded)
    return recorded.format


def recorded_format(ctx: Ctx, volume: Volume, host_id: str) -> str:
    """The recorded format of a volume, whatever holds it back from use."""
    recorded = records.find_recorded(ctx.session, host_id, volume.path)
    return volume.format or RAW if recorded is None else recorded.format


def is_volume(access: VolumeAccess, path: str) -> bool:
    """Whether a pool of the host holds this path."""
    find = partial(records.find_recorded, host_id=access.host_id, path=path)
    return access.write(find) is not None or access.call(lambda host: _locate(host, path)) is not None


def refuse_link(access: VolumeAccess, volume: RecordedVolume) -> None:
    """Raise VolumeRefused where the volume is a symbolic link, as far as the host can be asked."""
    if not volume.is_file:
        return
    is_link = access.call(lambda host: host.storage.is_link(volume.path))
    note = partial(records.note_links, host_id=access.host_id, pool=volume.pool, hidden=is_link is None)
    access.write(note)
    if is_link:
        raise VolumeRefused(
            N_("%(path)s is a symbolic link, and Vigie does not follow links in storage pools."),
            hint=N_("Remove the link on the host, or put the file itself into the pool."),
            path=volume.path,
        )


def _check_chain(access: VolumeAccess, top: RecordedVolume, format: str | None) -> str:
    volume, wanted = top, format
    seen: set[str] = set()
    recorded = ""
    while True:
        if volume.path in seen or len(seen) == DEEPEST:
            raise VolumeRefused(N_("The backing chain is endless or too long (%(path)s)."), path=volume.path)
        seen.add(volume.path)
        header = _check_one(access, volume, wanted)
        recorded = recorded or (QCOW2 if header else RAW)
        if header is None or header.backing is None:
            return recorded
        if header.backing_format is None:
            raise VolumeRefused(
                N_("%(path)s does not say which format its backing file has."),
                hint=N_("Set the format on the host: qemu-img rebase -u -b FILE -F FORMAT."),
                path=volume.path,
            )
        wanted = header.backing_format
        volume = _find(access, _resolved(volume.path, header.backing))


def _check_one(access: VolumeAccess, volume: RecordedVolume, wanted: str | None) -> Qcow2Header | None:
    """Check one file; return its header if it is qcow2."""
    _refuse_held(volume)
    if wanted is not None and not is_same_format(wanted, volume.format):
        raise _disagrees(volume, volume.format, wanted)
    refuse_link(access, volume)
    look = access.call(lambda host: host.storage.read_head(volume.pool, volume.name, HEADER_BYTES))
    if look is None or look.volume.path != volume.path:
        raise VolumeRefused(N_("%(path)s no longer exists."), path=volume.path)
    if volume.image_bytes is not None and look.stored_bytes != volume.image_bytes:
        raise VolumeRefused(
            N_("%(path)s has changed since it became an image: it has %(bytes)d bytes instead of %(size)d."),
            hint=N_("Remove the image from the library, and add it again from its source."),
            path=volume.path,
            bytes=look.stored_bytes,
            size=volume.image_bytes,
        )
    if not is_same_format(look.volume.format, volume.format):
        raise _disagrees(volume, volume.format, look.volume.format)
    found = format_of(look.head)
    if is_same_format(volume.format, RAW):
        if found not in _PLAIN:
            raise _disagrees(volume, RAW, found)
        return None
    if volume.format != QCOW2:
        raise VolumeRefused(
            N_("%(path)s has the format %(format)s; raw, qcow2 and ISO are used."),
            path=volume.path,
            format=volume.format,
        )
    if found != QCOW2:
        raise _disagrees(volume, QCOW2, found)
    return _check_header(access, volume, look.head, look.stored_bytes)


def _refuse_held(volume: RecordedVolume) -> None:
    if volume.is_incomplete:
        raise VolumeRefused(
            N_("%(path)s is incomplete: the task that makes it has not finished, or failed."),
            hint=N_("Wait for the task to end, or delete the volume."),
            path=volume.path,
        )
    if volume.other_format is not None:
        raise _disagrees(volume, volume.format, volume.other_format)


def _check_header(
    access: VolumeAccess, volume: RecordedVolume, head: bytes, stored_bytes: int
) -> Qcow2Header:
    try:
        header = read_qcow2(head, stored_bytes)
    except HeaderLies as lie:
        raise VolumeRefused(lie.why, hint=None, **lie.params) from None
    if header.encryption is not None:
        raise VolumeRefused(
            N_("It is encrypted (%(method)s), so nobody can look at what it holds."), method=header.encryption
        )
    if header.data_file is not None:
        _check_one(access, _find(access, _resolved(volume.path, header.data_file)), RAW)
    return header


def _resolved(path: str, name: str) -> str:
    """The path that a header's name means. Raises VolumeRefused for what is no plain path."""
    protocol, colon, _ = name.partition(":")
    if colon and "/" not in protocol:
        raise _outside(name)
    joined = posixpath.join(posixpath.dirname(path), name)
    if posixpath.normpath(joined) != joined:
        raise _outside(name)
    return joined


def _find(access: VolumeAccess, path: str) -> RecordedVolume:
    """The volume at this path: as recorded, else as its host knows it. Raises VolumeRefused."""
    find = partial(records.find_recorded, host_id=access.host_id, path=path)
    found: RecordedVolume | None = access.write(find)
    if found is not None:
        return found
    located = access.call(lambda host: _locate(host, path))
    if located is None:
        raise _outside(path)
    pool, volume = located
    return RecordedVolume(
        None, pool, volume.name, volume.path, volume.format or RAW, is_file=volume.kind == "file"
    )


def _locate(host: OpenHost, path: str) -> tuple[str, VolumeObservation] | None:
    try:
        return host.storage.locate(path)
    except HypervisorRefused as error:
        if error.code not in ("no_such_volume", "no_such_pool"):
            raise
        return None


def _outside(name: str) -> VolumeRefused:
    return VolumeRefused(
        N_("The volume builds on %(path)s, which is not in any storage pool of the host."),
        hint=N_("Find out where the volume came from. If that file belongs to it, move it into a pool."),
        path=name[:200],
    )


def _disagrees(volume: RecordedVolume, recorded: str | None, found: str | None) -> VolumeRefused:
    return VolumeRefused(
        N_("%(path)s is recorded as %(recorded)s, but its content looks like %(found)s."),
        hint=N_(
            "A guest may have written this content. If the file was replaced on purpose, rename it on the host and refresh the pool."
        ),
        path=volume.path,
        recorded=recorded or RAW,
        found=found or RAW,
    )
