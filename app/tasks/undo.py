"""Undo: what a task has created on a host, and how that is removed again.

A task notes what it creates before it asks for it, and again when the host has said that it was created. The notes are
a stack that is kept in the task's row, so that a crash or a lost host does not lose it: when the task fails, it is
undone from the top; when its host was lost meanwhile, the host's return is the time for it. When the task succeeds, the
stack is dropped. What the task may not have created, or what is in use by then, is left where it is, with an event.

How each kind of thing is removed is declared once, beside the use case that creates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from app.core.errors import HostError, HypervisorRefused
from app.hypervisor import Host

log = structlog.get_logger(__name__)

Note = Mapping[str, str]
Remove = Callable[[Host, Note, bool], bool]
_KEY = ("kind", "pool", "name", "uuid")


@dataclass(frozen=True, slots=True)
class LeftEvent:
    """The event that tells people that something was left: its kind, a message id and its parameters."""

    kind: str
    message: str
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undo:
    """How a kind of created thing is removed, and the event for one that is left.

    `remove(host, note, ended)` says whether it is gone, or was not to go; False leaves it, because it may be somebody
    else's. `ended`: the task has ended, maybe long ago. Raises HostError when something stays that should not.
    """

    remove: Remove
    left: Callable[[Note], LeftEvent] | None = None


_UNDO: dict[str, Undo] = {}


def declare_undo(kind: str, undo: Undo) -> None:
    """Declare how things of this kind are removed. Raises ValueError when that is declared already."""
    if kind in _UNDO:
        raise ValueError(f"two ways to undo {kind!r}")
    _UNDO[kind] = undo


def key_of(note: Note) -> tuple[str | None, ...]:
    """What two notes of the same thing have in common."""
    return tuple(note.get(part) for part in _KEY)


def left_event(note: Note) -> LeftEvent:
    """The event that tells that this was left."""
    left = _UNDO[note["kind"]].left
    assert left is not None, "only things that may be somebody else's are left"
    return left(note)


def roll_back(host: Host, notes: Sequence[Note], *, ended: bool = False) -> list[Note]:
    """Remove what was created, last things first; what is gone already is no error. Return what is left in doubt.

    `ended`: the task has ended, maybe long ago, so that what is in use is somebody's by now and is left. Raises
    HostError when something stays that should not.
    """
    problem: HostError | None = None
    doubtful: list[Note] = []
    for note in reversed(notes):
        undo = _UNDO.get(note["kind"])
        if undo is None:
            continue  # a note of how far the task has come, not of a thing
        try:
            if not undo.remove(host, note, ended):
                doubtful.append(note)
        except HypervisorRefused as error:
            log.warning("leftover_stays", code=error.code, **note)
            problem = problem or error
    if problem is not None:
        raise problem
    return doubtful
