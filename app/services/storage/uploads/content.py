"""The bytes of an upload on their way into its volume.

Stretches of zeros are not sent: the volume is sparse and reads as zeros there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from app.core.errors import Conflict, PoolBusy
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.volumes import is_same_format
from app.db.models import Host, Pool, Upload
from app.hypervisor.storage.images import HEAD_BYTES, TAIL_BYTES, ImageFacts, ImageRefused, inspect
from app.hypervisor.storage.qcow2 import HEADER_BYTES
from app.hypervisor.storage.storage import Storage

_ZERO = bytes(256 * 1024)
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class UploadPart:
    """One part of a file, and what is needed to write it. `head`: what came of the file's beginning so far."""

    upload_id: str
    host_id: str
    pool: str
    name: str
    path: str | None  # where the file will be, of a pool that is a directory
    size_bytes: int
    sha256: str | None
    offset: int
    part: bytes
    head: bytes
    held_bytes: int  # of the beginning, which is written last

    @classmethod
    def of(cls, upload: Upload, pool: Pool, host: Host, part: bytes) -> Self:
        """The next part of this upload."""
        # Of an upload that an earlier version of Vigie began, the beginning is there already.
        is_held = upload.offset_bytes == 0 or upload.head is not None
        held_bytes = min(upload.size_bytes, HEADER_BYTES) if is_held else 0
        held_back = part[: max(0, held_bytes - upload.offset_bytes)]
        return cls(
            upload_id=upload.id,
            host_id=host.id,
            pool=pool.uuid,
            name=upload.volume_name,
            path=f"{pool.target_path.rstrip('/')}/{upload.volume_name}" if pool.target_path else None,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            offset=upload.offset_bytes,
            part=part,
            head=(upload.head or b"") + held_back,
            held_bytes=held_bytes,
        )

    @property
    def is_last(self) -> bool:
        """Whether the file is whole with this part."""
        return self.offset + len(self.part) == self.size_bytes

    def refuse_beginning(self) -> None:
        """Inspect the file's beginning once it is there, before anything of this part is written. Raises ImageRefused."""
        if self.offset < self.held_bytes == len(self.head):
            inspect([self.head], self.size_bytes)

    def write(self, storage: Storage, hold: Callable[[], None]) -> None:
        """Write the part, without the file's beginning. `hold` is called before each step, and may raise."""
        rest = self.part[max(0, self.held_bytes - self.offset) :]
        self._write(storage, rest, max(self.offset, self.held_bytes), hold)

    def complete(self, storage: Storage, hold: Callable[[], None]) -> tuple[VolumeObservation, str]:
        """Inspect the whole file, then write its beginning; return the volume and its format.

        Raises ImageRefused, Conflict (wrong_checksum), PoolBusy.
        """
        facts = inspect(self._beginning(storage), self.size_bytes, self._tail(storage))
        if self.sha256 is not None:
            self._compare(storage, self.sha256)
        self._write(storage, self.head, 0, hold)
        self._refresh(storage, hold)
        found = storage.find_volume(self.pool, self.name)
        if found is None:
            raise Conflict(N_("The volume is not there any more."), code="volume_gone")
        _agree(facts, found)
        return found, facts.volume_format

    def _write(self, storage: Storage, content: bytes, offset: int, hold: Callable[[], None]) -> None:
        for begin, stretch in written(content):
            hold()
            storage.write_volume(self.pool, self.name, stretch, offset + begin)

    def _refresh(self, storage: Storage, hold: Callable[[], None]) -> None:
        """Have the host read the pool anew; one that makes a volume in it is given a moment. Raises PoolBusy."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return storage.refresh(self.pool)
            except PoolBusy:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.4)
            hold()

    def _beginning(self, storage: Storage) -> Iterator[bytes]:
        yield self.head
        length = min(self.size_bytes, HEAD_BYTES) - len(self.head)
        if length > 0:
            yield from storage.read_volume(self.pool, self.name, length, len(self.head))

    def _tail(self, storage: Storage) -> bytes:
        start = max(0, self.size_bytes - TAIL_BYTES)
        stored = self.size_bytes - max(start, len(self.head))
        tail = self.head[start:]
        return tail + storage.read_tail(self.pool, self.name, stored, self.size_bytes) if stored else tail

    def _compare(self, storage: Storage, wanted: str) -> None:
        digest = hashlib.sha256(self.head)
        if rest := self.size_bytes - len(self.head):
            for chunk in storage.read_volume(self.pool, self.name, rest, len(self.head)):
                digest.update(chunk)
        if digest.hexdigest() != wanted:
            raise Conflict(
                N_("The file is not the one that was meant."),
                why=N_("Its SHA-256 is another than the one that was given."),
                hint=N_("Send it again, and compare the sum with that of its source."),
                code="wrong_checksum",
            )


def written(part: bytes) -> Iterator[tuple[int, bytes]]:
    """The stretches of a part that hold more than zeros, with where each begins in it."""
    begun: int | None = None
    for at in range(0, len(part), len(_ZERO)):
        block = part[at : at + len(_ZERO)]
        if block != _ZERO[: len(block)]:
            begun = at if begun is None else begun
        elif begun is not None:
            yield begun, part[begun:at]
            begun = None
    if begun is not None:
        yield begun, part[begun:]


def _agree(facts: ImageFacts, found: VolumeObservation) -> None:
    """Refuse what the host takes for something else than was seen: nobody may be able to play them off."""
    if not is_same_format(found.format, facts.format) or found.backing_path:
        raise ImageRefused(
            N_("The host takes it for %(format)s, Vigie for %(seen)s."),
            format=found.format or "?",
            seen=facts.format,
        )
