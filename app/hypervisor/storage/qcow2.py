"""The header of a qcow2 file, read without trust in any of its fields.

Layout and limits: https://www.qemu.org/docs/master/interop/qcow2.html and block/qcow2.h of QEMU.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from app.core.messages import N_

MAGIC = b"QFI\xfb"
# The header, its extensions and the name of the backing file lie here in every file that QEMU made.
HEADER_BYTES = 64 * 1024

_FIXED = struct.Struct(">4sIQIIQIIQQIIQ")  # version 2; version 3 goes on after it
_MORE = struct.Struct(">QQQII")
_CLUSTER_BITS = range(9, 22)
_MAX_L1_BYTES = 32 * 1024**2
_MAX_SNAPSHOTS = 65536
_MAX_NAME = 1023
_DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1 << 2, 1 << 3, 1 << 4
_KNOWN = 0b11 | _DATA_FILE | _COMPRESSION | _EXTENDED_L2  # the first two: dirty, corrupt
_BACKING_FORMAT, _DATA_FILE_NAME = 0xE2792ACA, 0x44415441
_ENCRYPTED = {1: "AES", 2: "LUKS"}


class HeaderLies(ValueError):
    """The header contradicts itself or the file. `why` is a message id, filled by `params`."""

    def __init__(self, why: str, **params: object) -> None:
        super().__init__(why)
        self.why = why
        self.params = params


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """What a header says. `backing_format` is None when it leaves that open; `data_file` is the external one's name."""

    virtual_bytes: int
    backing: str | None = None
    backing_format: str | None = None
    data_file: str | None = None
    encryption: str | None = None  # AES or LUKS


def read_qcow2(head: bytes, file_bytes: int) -> Qcow2Header:
    """What the file that begins like this says of itself. Raises HeaderLies.

    `head` holds the first HEADER_BYTES, or the whole file where that is shorter; `file_bytes` is the file's length.
    """
    if len(head) < _FIXED.size or head[:4] != MAGIC:
        raise _broken()
    (_, version, backing_at, backing_length, cluster_bits, size, crypt, l1_entries, l1_at,
     refcounts_at, _, snapshots, _) = _FIXED.unpack_from(head)  # fmt: skip
    if version not in (2, 3):
        raise HeaderLies(N_("Its qcow2 version is %(version)d; 2 and 3 are known."), version=version)
    if cluster_bits not in _CLUSTER_BITS:
        raise HeaderLies(
            N_("Its header gives %(bits)d cluster bits; 9 to 21 are possible."), bits=cluster_bits
        )
    features, header_length = _features(head, version, 1 << cluster_bits)
    _check_tables(size, cluster_bits, l1_entries, l1_at, file_bytes, extended=bool(features & _EXTENDED_L2))
    if refcounts_at % (1 << cluster_bits) or not 0 < refcounts_at < file_bytes or snapshots > _MAX_SNAPSHOTS:
        raise _broken()
    if crypt not in (0, *_ENCRYPTED):
        raise HeaderLies(N_("It names an encryption that does not exist (%(number)d)."), number=crypt)
    found = _extensions(head, header_length, backing_at or 1 << cluster_bits)
    data_file = found.get(_DATA_FILE_NAME)
    if (data_file is not None) != bool(features & _DATA_FILE):
        raise HeaderLies(N_("Its header contradicts itself about an external data file."))
    return Qcow2Header(
        virtual_bytes=size,
        backing=_backing(head, backing_at, backing_length, 1 << cluster_bits),
        backing_format=_text(found[_BACKING_FORMAT]) if _BACKING_FORMAT in found else None,
        data_file=None if data_file is None else _text(data_file),
        encryption=_ENCRYPTED.get(crypt),
    )


def _features(head: bytes, version: int, cluster: int) -> tuple[int, int]:
    """The incompatible features, and the length of the header."""
    if version == 2:
        return 0, _FIXED.size
    if len(head) < _FIXED.size + _MORE.size:
        raise _broken()
    incompatible, _, _, refcount_order, length = _MORE.unpack_from(head, _FIXED.size)
    if incompatible & ~_KNOWN:
        raise HeaderLies(
            N_("It needs features that are not known (bits %(bits)s)."), bits=f"{incompatible:#x}"
        )
    if refcount_order > 6 or length % 8 or not _FIXED.size + _MORE.size <= length <= min(cluster, len(head)):
        raise _broken()
    compression = head[104] if length > 104 else 0
    if bool(incompatible & _COMPRESSION) != bool(compression) or compression > 1:
        raise _broken()
    return incompatible, length


def _check_tables(
    size: int, cluster_bits: int, entries: int, offset: int, file_bytes: int, *, extended: bool
) -> None:
    """Raise HeaderLies unless the first table can describe a disk of this size, and lies in the file."""
    cluster = 1 << cluster_bits
    described = cluster * (cluster // (16 if extended else 8))  # by one entry
    needed = -(-size // described)
    if needed * 8 > _MAX_L1_BYTES:
        raise HeaderLies(
            N_("It says that its disk has %(size)d bytes, more than its format can hold."), size=size
        )
    in_file = offset % cluster == 0 and offset > 0 and offset + entries * 8 <= file_bytes
    if entries < needed or entries * 8 > _MAX_L1_BYTES or (entries and not in_file):
        raise HeaderLies(
            N_(
                "Its L1 table has %(entries)d entries at byte %(offset)d, which fits neither the disk nor the file."
            ),
            entries=entries,
            offset=offset,
        )


def _extensions(head: bytes, at: int, end: int) -> dict[int, bytes]:
    """The extensions of the header, by type: from its end to `end`."""
    found: dict[int, bytes] = {}
    while at + 8 <= min(end, len(head)):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0:
            return found
        at += 8
        if at + length > min(end, len(head)) or kind in found:
            raise _broken()
        found[kind] = head[at : at + length]
        at += -(-length // 8) * 8
    return found


def _backing(head: bytes, at: int, length: int, cluster: int) -> str | None:
    if at == 0:
        return None
    if not 0 < length <= _MAX_NAME or at < _FIXED.size or at + length > min(cluster, len(head)):
        raise _broken()
    return _text(head[at : at + length])


def _text(name: bytes) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise _broken() from None
    if not text or not text.isprintable():
        raise _broken()
    return text


def _broken() -> HeaderLies:
    return HeaderLies(N_("It says that it is %(format)s, but its header is broken."), format="qcow2")
