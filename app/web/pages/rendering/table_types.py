"""What a list is: its columns, filters, live rows and bulk verbs, declared once (the lists are in `tables.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.core.specs import ListQuery
from app.core.vms.power import VmVerb

R = TypeVar("R")
Plain = str | int | float | None


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column: `sort` is the name that the service knows it by, `text` what the CSV holds; titles are message ids.

    A `pinned` one is always shown; one that is not `shown` must be chosen first.
    """

    key: str
    title: str
    text: Callable[[R], Plain]
    sort: str | None = None
    shown: bool = True
    pinned: bool = False
    number: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter with a closed set of values."""

    key: str
    title: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """What a list without rows says, and where to go from there. `privilege` is needed for the link."""

    title: str
    hint: str
    label: str | None = None
    url: str | None = None
    privilege: str | None = None


@dataclass(frozen=True, slots=True)
class CreateLink:
    """Where one more is made, for those who hold the privilege; `label` is a message id."""

    label: str
    url: str
    privilege: str


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """A list: where it lives, what it shows, and how people narrow it.

    `live` is the topic that makes the whole list read itself again (something came or went); rows of a table
    with `rows_path` are renewed one by one, each by its own id.
    """

    key: str
    title: str
    path: str
    cells: str
    query: type[ListQuery]
    columns: tuple[Column[R], ...]
    empty: Empty
    choices: tuple[Choice, ...] = ()
    searchable: bool = True
    exportable: bool = True  # as CSV, at `path`.csv
    rows_path: str | None = None
    live: str | None = None
    verbs: tuple[VmVerb, ...] = ()
    create: CreateLink | None = None

    def id_of(self, row: R) -> str | None:
        """What tells a row from the others; None where rows are no objects of their own."""
        found = getattr(row, "id", None)
        return None if found is None else str(found)

    def is_stale(self, row: R) -> bool:
        """Whether a row shows what was last seen, not what is now."""
        return bool(getattr(row, "stale", False))

    def columns_of(self, keys: list[str]) -> tuple[Column[R], ...]:
        """The columns to draw for these chosen keys, in declared order; the default set when none is known."""
        known = {column.key for column in self.columns} & set(keys)
        if not known:
            return tuple(column for column in self.columns if column.shown or column.pinned)
        return tuple(column for column in self.columns if column.key in known or column.pinned)
