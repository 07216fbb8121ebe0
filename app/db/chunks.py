"""Rows in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Parts of at most `size`: `IN` lists stay within what both databases like."""
    held = list(items)
    for start in range(0, len(held), size):
        yield held[start : start + size]
