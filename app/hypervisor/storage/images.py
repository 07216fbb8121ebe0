"""What an image file is, and whether it is safe to hand to QEMU: looked at before any tool opens it.

The parser is that of OpenStack (oslo.utils format_inspector), which reads headers only and trusts none of them:
https://docs.openstack.org/oslo.utils/latest/reference/imageutils.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from oslo_utils.imageutils import format_inspector

from app.core.errors import Conflict
from app.core.messages import N_
from app.hypervisor.storage.qcow2 import HEADER_BYTES, HeaderLies, read_qcow2

# Every header that is looked at lies within this; a VHDX has its metadata behind the first megabytes.
HEAD_BYTES = 4 * 1024**2
# Some formats say at the end of the file what it is: VHD in the last 511 or 512 bytes, DMG in the last 512.
TAIL_BYTES = 512
_TRAILERS = {"vhd": b"conectix", "dmg": b"koly"}
_CHUNK = 64 * 1024
_SMALLEST = 512  # header of any format
_TEXT = 4096  # of a file that may be a text
# Formats that become volumes. Others are containers of their own, which a VM would see as noise, or are attacks.
ACCEPTED = frozenset({"raw", "qcow2", "iso", "gpt"})
# What QEMU tells formats by: a file that begins so is never raw, however little of a header follows.
# Its names are those of block drivers, https://www.qemu.org/docs/master/system/qemu-block-drivers.html
_MAGIC: dict[str, tuple[int, bytes]] = {
    "qcow2": (0, b"QFI\xfb"),
    "qed": (0, b"QED\0"),
    "vmdk": (0, b"KDMV"),
    "vmdk 3": (0, b"COWD"),
    "vhd": (0, b"conectix"),
    "vhdx": (0, b"vhdxfile"),
    "vdi": (64, b"\x7f\x10\xda\xbe"),
    "luks": (0, b"LUKS\xba\xbe"),
    "bochs": (0, b"Bochs Virtual HD Image"),
    "cloop": (0, b"#!/bin/sh\n#V2.0 Format"),
    "parallels": (0, b"WithoutFreeSpace"),
    "parallels 2": (0, b"WithouFreSpacExt"),
}
logging.getLogger(format_inspector.__name__).setLevel(logging.CRITICAL)  # samples of attackers fill no logs


class ImageRefused(Conflict):
    """The file must not be used as an image."""

    code = "image_refused"

    def __init__(self, why: str, **params: object) -> None:
        super().__init__(
            N_("This file cannot be used as an image."),
            why=why,
            hint=N_(
                "Convert it on a machine of yours (qemu-img convert -O qcow2), and look at where it is from."
            ),
            params=params,
        )


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image is: its format (raw, qcow2 or iso) and the size of the disk in it, if the header says."""

    format: str
    virtual_bytes: int | None

    @property
    def volume_format(self) -> str:
        """How QEMU is to read it: an ISO is a run of bytes."""
        return "qcow2" if self.format == "qcow2" else "raw"


def format_of(beginning: bytes) -> str:
    """The format that a file which begins like this would be taken for; raw when it looks like none."""
    for name, (offset, magic) in _MAGIC.items():
        if beginning[offset : offset + len(magic)] == magic:
            return name
    return "raw"


def is_broken(beginning: bytes, size_bytes: int) -> bool:
    """Whether a file begins as an image but has no whole header: by such a file libvirt fails to read its directory."""
    found = format_of(beginning)
    if found == "qcow2":
        try:
            read_qcow2(beginning, size_bytes)
        except HeaderLies:
            return True
    return found not in ("raw", "luks") and size_bytes < _SMALLEST


def inspect(head: Iterable[bytes], size_bytes: int, tail: bytes = b"") -> ImageFacts:
    """What the file that begins with `head` and ends with `tail` is. Raises ImageRefused for what is no plain image.

    Refused are backing files, external data files, features that are not known, every kind of VMDK, VDI, VHD, VHDX,
    QED, DMG, LUKS and encrypted qcow2, files that are two formats at once, and headers that lie.
    """
    inspectors = {name: kind() for name, kind in format_inspector.ALL_FORMATS.items() if name != "raw"}
    beginning = b""
    for chunk in head:
        if len(beginning) < HEADER_BYTES:
            beginning += chunk[:HEADER_BYTES]
        for start in range(0, len(chunk), _CHUNK):
            part = chunk[start : start + _CHUNK]
            for name in list(inspectors):
                if not _fed(inspectors[name], part):
                    # A parser may stumble over what is not its format, but not over what says that it is.
                    if _matches(inspectors[name]):
                        raise ImageRefused(
                            N_("It says that it is %(format)s, but its header is broken."), format=name
                        )
                    del inspectors[name]
    found = sorted(name for name, item in inspectors.items() if _matches(item))
    if not found:
        _refuse_magic(beginning)
    if found != ["qcow2"]:
        _refuse_trailer(tail[-TAIL_BYTES:])
    return _judged(found, inspectors, size_bytes, beginning)


def _refuse_magic(beginning: bytes) -> None:
    """Refuse what begins as a format does of which no parser could make anything."""
    if (name := format_of(beginning)) != "raw":
        raise ImageRefused(N_("It says that it is %(format)s, but its header is broken."), format=name)
    # A VMDK may be a text that names other files: comments, then its version.
    lines = (line.strip() for line in beginning[:_TEXT].split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    if first.startswith((b"version=", b"createType=")):
        raise ImageRefused(N_("Its format is %(format)s; raw, qcow2 and ISO are taken."), format="vmdk")


def _refuse_trailer(tail: bytes) -> None:
    """Refuse what ends as a format does that is told by its end."""
    for name, magic in _TRAILERS.items():
        if tail.startswith(magic) or tail[1:].startswith(magic):
            raise ImageRefused(N_("Its format is %(format)s; raw, qcow2 and ISO are taken."), format=name)


def _judged(
    found: list[str],
    inspectors: dict[str, format_inspector.FileInspector],
    size_bytes: int,
    beginning: bytes,
) -> ImageFacts:
    # A hybrid ISO has a partition table as well: both say that it is a plain run of sectors.
    if found == ["gpt", "iso"]:
        found = ["iso"]
    if len(found) > 1:
        raise ImageRefused(N_("It is several formats at once: %(formats)s."), formats=", ".join(found))
    if not found:
        return ImageFacts("raw", size_bytes)
    (name,) = found
    if name not in ACCEPTED:
        raise ImageRefused(N_("Its format is %(format)s; raw, qcow2 and ISO are taken."), format=name)
    if name in ("iso", "gpt"):
        return ImageFacts("iso" if name == "iso" else "raw", size_bytes)
    inspector = inspectors[name]
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        raise ImageRefused(N_("It is not safe: %(reasons)s."), reasons=_reasons(error)) from None
    except format_inspector.ImageFormatError as error:
        raise ImageRefused(N_("Its header cannot be read: %(reason)s."), reason=str(error)[:200]) from None
    try:
        header = read_qcow2(beginning, size_bytes)
    except HeaderLies as lie:
        raise ImageRefused(lie.why, **lie.params) from None
    if header.encryption is not None:
        raise ImageRefused(
            N_("It is encrypted (%(method)s), so nobody can look at what it holds."), method=header.encryption
        )
    return ImageFacts(name, header.virtual_bytes)


def _fed(inspector: format_inspector.FileInspector, part: bytes) -> bool:
    """Whether the parser could make something of it."""
    with suppress(Exception):
        inspector.eat_chunk(part)
        return True
    return False


def _matches(inspector: format_inspector.FileInspector) -> bool:
    """Whether it is this format; half a header is none."""
    with suppress(Exception):
        return bool(inspector.format_match)
    return False


def _reasons(error: format_inspector.SafetyCheckFailed) -> str:
    return "; ".join(f"{name}: {str(why)[:120]}" for name, why in sorted(error.failures.items()))
