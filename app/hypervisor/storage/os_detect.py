"""Which system an image holds: told by the label of an ISO, as libosinfo does it, else guessed by the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from app.core.library.os_variants import Media, OsVariant
from app.hypervisor.osinfo import os_variants

LABEL_BYTES = 17 * 2048
# The primary volume descriptor, ECMA-119 (ISO 9660) section 8.4: sector 16, fields by offset.
_DESCRIPTOR = 16 * 2048
_FIELDS = {"system": (8, 40), "volume": (40, 72), "publisher": (318, 446)}
_WORDS = re.compile(r"[^a-z0-9.]+")
_SHORT_ID = re.compile(r"^(?P<words>[a-z-]+?)(?P<version>\d[\d.]*)$")


def detect_os(file_name: str, beginning: bytes) -> str | None:
    """Short id of the system in osinfo-db, or None. `beginning`: the file's first LABEL_BYTES."""
    return _by_label(beginning) or _by_name(file_name.lower())


def _by_label(beginning: bytes) -> str | None:
    descriptor = beginning[_DESCRIPTOR : _DESCRIPTOR + 2048]
    if descriptor[:6] != b"\x01CD001":
        return None
    label = {
        name: descriptor[start:end].decode("ascii", "replace").strip()
        for name, (start, end) in _FIELDS.items()
    }
    found = [
        (len(media.volume_id), os_variant.released or date.min, os_variant.short_id)
        for os_variant in os_variants().values()
        for media in os_variant.media
        if _is_of(label, media)
    ]
    return max(found)[2] if found else None


def _is_of(label: dict[str, str], media: Media) -> bool:
    wanted = (
        (media.volume_id, label["volume"]),
        (media.system_id, label["system"]),
        (media.publisher_id, label["publisher"]),
    )
    try:
        return all(pattern is None or re.search(pattern, text) for pattern, text in wanted)
    except re.error:
        return False  # written for another library


def _by_name(name: str) -> str | None:
    """The most telling short id whose words are all in the name and whose version is its first number."""
    words = [word for word in _WORDS.split(name) if word]
    version = next((word.strip(".") for word in words if word[0].isdigit()), None)
    known = set(words) | {f"{word}linux" for word in words}
    fitting = [
        (len(os_variant.short_id), os_variant.short_id)
        for os_variant in os_variants().values()
        if os_variant.short_id in known or (version and _fits(os_variant, known, version))
    ]
    return max(fitting)[1] if fitting else next(_by_codename(words), None)


def _fits(os_variant: OsVariant, known: set[str], version: str) -> bool:
    match = _SHORT_ID.match(os_variant.short_id)
    return (
        match is not None
        and f"{version}.".startswith(f"{match['version']}.")
        and all(word in known for word in match["words"].split("-") if word)
    )


def _by_codename(words: list[str]) -> Iterator[str]:
    """Names of Debian and Ubuntu begin with the first word of the release's name: noble-server-cloudimg-amd64.img."""
    for os_variant in os_variants().values():
        if words and os_variant.codename and os_variant.codename.lower().split()[0] == words[0]:
            yield os_variant.short_id
