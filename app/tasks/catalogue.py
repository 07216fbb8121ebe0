"""The catalogue of operations: every kind of task, by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from app.core.casefold import fold
from app.tasks.operation import Operation

AnyOperation = Operation[Any]
C = TypeVar("C", bound=type[AnyOperation])

_OPERATIONS: dict[str, AnyOperation] = {}


def declare(cls: C) -> C:
    """Declare an operation, as a decorator of its class. Raises ValueError when its kind is taken."""
    if cls.kind in _OPERATIONS:
        raise ValueError(f"two operations are called {cls.kind!r}")
    _OPERATIONS[cls.kind] = cls()
    return cls


def operations() -> list[AnyOperation]:
    """Every operation that is declared."""
    return list(_OPERATIONS.values())


def find_operation(kind: str) -> AnyOperation | None:
    """The operation of this kind; None for a kind that this version does not know."""
    return _OPERATIONS.get(kind)


def kinds_by_client() -> list[str]:
    """Kinds of tasks that the program drives which submitted them."""
    return [operation.kind for operation in operations() if operation.by_client]


def kinds_that_create() -> list[str]:
    """Kinds of tasks with which the history of their target begins."""
    return [operation.kind for operation in operations() if operation.creates]


def titles_with(text: str, translate: Callable[[str], str]) -> list[str]:
    """Message ids of the titles that hold the text in the reader's language."""
    titles = {operation.title for operation in operations()}
    return sorted(title for title in titles if fold(text) in fold(translate(title)))
