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

# Every header that is looked at lies within this; a VHDX has its metadata behind the first megabytes.
HEAD_BYTES = 4 * 1024**2
_CHUNK = 64 * 1024
# Formats that become volumes. Others are containers of their own, which a VM would see as noise, or are attacks.
ACCEPTED = frozenset({"raw", "qcow2", "iso", "gpt"})
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
        )
        self.params = params


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image is: its format (raw, qcow2 or iso) and the size of the disk in it, if the header says."""

    format: str
    virtual_bytes: int | None


def inspect(head: Iterable[bytes], size_bytes: int) -> ImageFacts:
    """What the file that begins like this is. Raises ImageRefused for what is no plain image.

    Refused are backing files, external data files, features that are not known, every kind of VMDK, VDI, VHD, VHDX,
    QED and LUKS, files that are two formats at once, and headers that lie about their size.
    """
    inspectors = {name: kind() for name, kind in format_inspector.ALL_FORMATS.items() if name != "raw"}
    seen = 0
    for chunk in head:
        for start in range(0, len(chunk), _CHUNK):
            part = chunk[start : start + _CHUNK]
            seen += len(part)
            for name in list(inspectors):
                if not _fed(inspectors[name], part):
                    # A parser may stumble over what is not its format, but not over what says that it is.
                    if _matches(inspectors[name]):
                        raise ImageRefused(
                            N_("It says that it is %(format)s, but its header is broken."), format=name
                        )
                    del inspectors[name]
    found = sorted(name for name, each in inspectors.items() if _matches(each))
    return _judged(found, inspectors, size_bytes)


def _judged(
    found: list[str], inspectors: dict[str, format_inspector.FileInspector], size_bytes: int
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
    return ImageFacts(name, int(inspector.virtual_size))


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
