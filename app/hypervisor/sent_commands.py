"""Who wants to know that a host is about to be changed: the task on whose behalf the thread works.

Whether something was really sent decides whose work an observed change is, so it is noted where it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Watcher(Protocol):
    """Hears of changes that the code in its context sends."""

    def sending(self) -> None:
        """Something that changes the host is sent now."""

    def refused(self) -> None:
        """The host refused what was sent last: it changed nothing."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Have the watcher hear what the code inside sends."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def sending() -> None:
    """Say that something is sent now."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.sending()


def refused() -> None:
    """Say that what was sent last was refused."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.refused()
