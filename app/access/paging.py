"""Lists in parts, by keyset: a cursor names the last row shown, so that every part costs the same.

Rows are sorted by one column and then by a unique one. Rows without a value come last, in both directions and
on both databases: they are a list of their own that follows, so that each half can use a plain index.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple, cast

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app.access.context import Ctx
from app.core.casefold import fold, spellings
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.records import Page
from app.core.specs import ListQuery
from app.db.session import Database, folded

R = TypeVar("R")
Ts = TypeVarTuple("Ts")
Value = str | int | float | bool | datetime
Column = InstrumentedAttribute[Any] | sa.ColumnElement[Any]
AnySelect = sa.Select[*tuple[Any, ...]]
MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Order:
    """How a list can be sorted: columns by the name that `sort` takes, the default, and a unique column.

    The default may start with `-`. A name may stand for the unique column itself (the log lists do this).
    """

    columns: Mapping[str, Column]
    default: str
    unique: Column


@dataclass(frozen=True, slots=True)
class _Sort:
    """The order that was asked for."""

    name: str
    column: Column
    unique: Column
    descending: bool

    @property
    def is_by_unique(self) -> bool:
        return self.column is self.unique

    @property
    def is_nullable(self) -> bool:
        return bool(getattr(self.column, "nullable", True)) and not self.is_by_unique

    @property
    def is_of_one_table(self) -> bool:
        return getattr(self.column, "table", None) is getattr(self.unique, "table", self)

    def after(self, keys: Sequence[Column], values: Sequence[Value]) -> sa.ColumnElement[bool]:
        left = sa.tuple_(*keys)
        right = sa.tuple_(*(sa.literal(value, key.type) for key, value in zip(keys, values, strict=True)))
        return left < right if self.descending else left > right

    def ordered(self, query: AnySelect, keys: Sequence[Column]) -> AnySelect:
        return query.order_by(None).order_by(*self.directed(keys))

    def directed(self, keys: Sequence[Column]) -> list[sa.ColumnElement[Any]]:
        return [key.desc() if self.descending else key.asc() for key in keys]


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a part ended: the sort value of its last row (None: it had none) and the unique one."""

    value: Value | None
    unique: Value


def page(
    ctx: Ctx,
    query: sa.Select[*Ts],
    params: ListQuery,
    order: Order,
    to_records: Callable[[Sequence[tuple[*Ts]]], Sequence[R]],
    *,
    counted: AnySelect | None = None,
) -> Page[R]:
    """Return the part of `query` that was asked for, and how many rows all parts have.

    `query` selects what `to_records` needs, filtered by everything but cursor, sort and limit; `to_records` gets
    all rows of the part at once. `counted` is the same filter with fewer joins, when that is cheaper to count.
    Raises InvalidInput for an unknown sort or a bad cursor.
    """
    sort = _sort(ctx, params, order)
    cursor = _read_cursor(params.cursor, sort) if params.cursor else None
    narrow = query if counted is None else counted
    keyed = narrow if sort.is_of_one_table else query
    if params.q:
        keys, total = _sought(ctx, keyed, sort, cursor, params.limit + 1)
    else:
        keys = _keys(ctx, keyed, sort, cursor, params.limit + 1)
        total = _total(ctx, narrow, order.unique)
    more = len(keys) > params.limit
    keys = keys[: params.limit]
    following = _write_cursor(sort, keys[-1]) if more else None
    return Page(items=list(to_records(_rows(ctx, query, sort, keys))), next=following, total=total)


def contains(column: Column, text: str) -> sa.ColumnElement[bool]:
    """Whether a folded column (`search_text`, `name_key`) holds the text, whatever its case; no wildcards."""
    if not storable(text):
        return sa.false()
    return column.contains(fold(text), autoescape=True)


def holds(column: Column, text: str) -> sa.ColumnElement[bool]:
    """Whether a folded column holds the text; of a MAC address or UUID whichever way it is written."""
    return sa.or_(*(contains(column, spelling) for spelling in spellings(text)))


def begins(database: Database, column: Column, wanted: str) -> sa.ColumnElement[bool]:
    """Whether a folded column begins with what is folded already.

    SQLite finds it by the column's index; PostgreSQL's may be in the order of a language, where that is no range.
    """
    if not database.is_sqlite:
        return column.startswith(wanted, autoescape=True)
    return sa.and_(column >= wanted, column < wanted + "\U0010ffff")


def mentions(columns: Iterable[Column], text: str) -> sa.ColumnElement[bool]:
    """Whether one of the columns, which are not folded, holds the text, whatever its case."""
    return sa.or_(*(contains(folded(column), text) for column in columns))


def _sort(ctx: Ctx, query: ListQuery, order: Order) -> _Sort:
    wanted = query.sort or order.default
    name = wanted.removeprefix("-")
    if name not in order.columns:
        allowed = {"names": ", ".join(sorted(order.columns))}
        raise InvalidInput("sort", N_("must be one of: %(names)s; - before it reverses"), params=allowed)
    return _Sort(wanted, order.columns[name], order.unique, wanted.startswith("-"))


def _keys(ctx: Ctx, query: AnySelect, sort: _Sort, cursor: _Cursor | None, wanted: int) -> list[_Cursor]:
    """The cursors of the part. Only the sort columns are read: sorting wide rows is slow."""
    keys = _narrowed(query, sort)
    columns = (sort.unique,) if sort.is_by_unique else (sort.column, sort.unique)
    cursors: list[_Cursor] = []
    if cursor is None or cursor.value is not None:
        valued = keys.where(sort.column.is_not(None)) if sort.is_nullable else keys
        if cursor is not None and cursor.value is not None:
            valued = valued.where(sort.after(columns, (cursor.value, cursor.unique)[-len(columns) :]))
        cursors += _cursors(ctx, sort.ordered(valued, columns).limit(wanted))
    if sort.is_nullable and len(cursors) < wanted:
        empty = keys.where(sort.column.is_(None))
        if cursor is not None and cursor.value is None:
            empty = empty.where(sort.after((sort.unique,), (cursor.unique,)))
        cursors += _cursors(ctx, sort.ordered(empty, (sort.unique,)).limit(wanted - len(cursors)))
    return cursors


def _sought(
    ctx: Ctx, query: AnySelect, sort: _Sort, cursor: _Cursor | None, wanted: int
) -> tuple[list[_Cursor], int]:
    """The cursors of the part of what holds a text, and how many hold it.

    Every row must be searched, so that is done once, and what was found is counted and sorted; a walk along an
    index of the order would read the rows one by one.
    """
    found = _narrowed(query, sort).cte("found").prefix_with("MATERIALIZED")
    value, key, counted = found.c.value, found.c.key, sa.select(sa.func.count()).select_from(found)
    part = sa.select(value, key, counted.scalar_subquery())
    if cursor is not None and cursor.value is None:
        part = part.where(value.is_(None), sort.after((key,), (cursor.unique,)))
    elif cursor is not None:
        part = part.where(sa.or_(sort.after((value, key), (cursor.value, cursor.unique)), value.is_(None)))  # type: ignore[arg-type]
    part = part.order_by(value.is_(None), *sort.directed((value, key))).limit(wanted)
    rows = list(ctx.session.execute(part))
    cursors = [_Cursor(value, key) for value, key, _ in rows]
    total = rows[0][2] if rows else ctx.session.scalar(counted) if cursor is not None else 0
    return cursors, total or 0


def _narrowed(query: AnySelect, sort: _Sort) -> AnySelect:
    columns = sort.column.label("value"), sort.unique.label("key")
    return query.order_by(None).with_only_columns(*columns, maintain_column_froms=True)


def _cursors(ctx: Ctx, query: AnySelect) -> list[_Cursor]:
    return [_Cursor(value, unique) for value, unique in ctx.session.execute(query)]


def _rows(ctx: Ctx, query: sa.Select[*Ts], sort: _Sort, keys: Sequence[_Cursor]) -> list[tuple[*Ts]]:
    """The rows at these cursors, in their order; one that has just gone is left out."""
    cursors = {item.unique: number for number, item in enumerate(keys)}
    found = query.order_by(None).where(sort.unique.in_(cursors)).add_columns(sort.unique.label("sort_unique"))
    rows = sorted(ctx.session.execute(found), key=lambda row: cursors[row[-1]]) if keys else []
    return [cast("tuple[*Ts]", row[:-1]) for row in rows]


def _total(ctx: Ctx, query: AnySelect, unique: Column) -> int:
    keys = query.order_by(None).with_only_columns(unique, maintain_column_froms=True)
    return ctx.session.scalar(sa.select(sa.func.count()).select_from(keys.subquery())) or 0


def _write_cursor(sort: _Sort, cursor: _Cursor) -> str:
    parts = [
        sort.name,
        *(item.isoformat() if isinstance(item, datetime) else item for item in (cursor.value, cursor.unique)),
    ]
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: _Sort) -> _Cursor:
    """Read what `_write_cursor` wrote. People can write anything here: every value is checked by its column."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        name, value, unique = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if name != sort.name:
            raise ValueError("of another sort")
        return _Cursor(None if value is None else _typed(value, sort.column), _typed(unique, sort.unique))
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise InvalidInput(
            "cursor",
            N_("is not a cursor of this list in this order"),
            hint=N_("Start again without a cursor."),
        ) from None


def _typed(value: object, column: Column) -> Value:
    """The value as the column's type; raises ValueError, TypeError or OverflowError when it cannot be one."""
    kind = column.type.python_type
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not 1 < moment.year < 9999:
            raise ValueError("not a time that was stored")
        return moment
    if kind is str and isinstance(value, str) and storable(value):
        return value
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and type(value) is int and abs(value) <= MAX_INTEGER:
        return value
    if kind is float and type(value) in (int, float) and math.isfinite(value):  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    raise TypeError("not of the column's type")


def storable(text: str) -> bool:
    """Whether the databases can compare with the text: no NUL (PostgreSQL), no lone surrogates (UTF-8)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
