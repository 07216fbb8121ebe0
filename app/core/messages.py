"""Marking texts that people read. They are written in English, kept as ids, and translated when shown."""

from __future__ import annotations


def N_(text: str) -> str:
    """Mark a message id for extraction; it is translated where it is shown."""
    return text
