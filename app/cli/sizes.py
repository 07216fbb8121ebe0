"""Sizes as they are written on the command line."""

from __future__ import annotations

import re

from app.core.errors import InvalidInput

UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def bytes_of(option: str, text: str) -> int:
    """A size in bytes from text such as 512M or 2G (powers of 1024). Raises InvalidInput."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([KMGT]?)(?:iB|B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise InvalidInput(option, "must be a size such as 512M or 20G")
    return int(float(match[1]) * UNITS[match[2].upper()])


def disk_of(text: str) -> dict[str, object]:
    """A new disk from POOL:SIZE. Raises InvalidInput."""
    pool, colon, size = text.rpartition(":")
    if not colon or not pool:
        raise InvalidInput("disk", "must be POOL:SIZE, such as default:20G")
    return {"pool": pool, "size_bytes": bytes_of("disk", size)}
