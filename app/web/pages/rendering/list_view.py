"""The list machinery: from a request to a filtered, sorted part of a table, its links, and its CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from app.access.context import Ctx
from app.core.errors import InvalidInput, rule_of
from app.core.ids import kind_of
from app.core.messages import N_
from app.core.records import Page
from app.core.specs import MAX_LIMIT, ListQuery
from app.services.vms.power import VERBS
from app.web.cookies import cookie_of, set_cookie
from app.web.pages.rendering.render import is_htmx, render
from app.web.pages.rendering.table_types import Column, Table

R = TypeVar("R")
Q = TypeVar("Q", bound=ListQuery)
S = TypeVar("S", bound=BaseModel)

TRAIL = 20  # how many parts "previous" can go back; beyond, it leads to the first
ALL = 100_000  # a CSV never holds more rows, and says so in its last one
CUT = N_(
    "These are the first %(shown)d of %(total)d rows. Filter the list, or use the REST API, for the others."
)


@dataclass(frozen=True, slots=True)
class ListView(Generic[R]):
    """A list as it is drawn: the rows of one part and every link around them."""

    table: Table[R]
    columns: tuple[Column[R], ...]
    rows: list[R]
    total: int
    first: int
    params: tuple[tuple[str, str], ...]  # the filters, without place and order
    sort: str
    trail: tuple[str, ...]
    cursor: str
    next: str | None
    base: str  # address of the list; a host's VMs live under the host
    fixed: tuple[tuple[str, str], ...]  # filters that the address says already
    dom_id: str

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return self.first + len(self.rows) - 1

    @property
    def filtered(self) -> bool:
        """Whether some filter narrows the list."""
        return bool(self.params)

    @property
    def has_toolbar(self) -> bool:
        """Whether there is something to search or choose by."""
        return self.table.searchable or bool(self.table.choices)

    @property
    def other_params(self) -> list[tuple[str, str]]:
        """Filters that no field of the toolbar shows."""
        shown = {"q", *(choice.key for choice in self.table.choices)}
        return [(key, value) for key, value in self.params if key not in shown]

    @property
    def url(self) -> str:
        """The address of exactly this part."""
        return self._url(cursor=self.cursor, trail=self.trail, at=self.first)

    @property
    def next_url(self) -> str | None:
        """The following part, or None."""
        if self.next is None:
            return None
        return self._url(cursor=self.next, trail=(*self.trail, self.cursor)[-TRAIL:], at=self.last + 1)

    @property
    def previous_url(self) -> str | None:
        """The part before, or None on the first."""
        if not self.cursor:
            return None
        if not self.trail or not self.trail[-1]:
            return self._url()
        size = len(self.rows) if self.next else 0
        at = max(1, self.first - size) if size else self.first - 1
        return self._url(cursor=self.trail[-1], trail=self.trail[:-1], at=at)

    @property
    def csv_url(self) -> str | None:
        """All rows that the filters let through, as CSV; None for a list that is not exported."""
        if not self.table.exportable:
            return None
        pairs = [*self.params, *([("sort", self.sort)] if self.sort else []), *self.fixed]
        return f"{self.table.path}.csv" + (f"?{urlencode(pairs)}" if pairs else "")

    @property
    def plain_url(self) -> str:
        """The list without any filter."""
        return self.base

    @property
    def first_url(self) -> str | None:
        """The first part, or None when this is it."""
        return self._url() if self.cursor else None

    def sort_url(self, sort: str) -> str:
        """The list sorted another way, from its beginning."""
        return replace(self, sort=sort)._url()

    @property
    def column_choices(self) -> list[tuple[str, str, bool]]:
        """Key, title and whether it is shown, of each column that people may hide."""
        shown = set(self.columns)
        return [
            (column.key, column.title, column in shown)
            for column in self.table.columns
            if not column.pinned and column.title
        ]

    @property
    def bulk_buttons(self) -> list[tuple[str, dict[str, str]]]:
        """Title and attributes of each button that acts on the selected rows."""
        buttons = []
        for verb in self.table.verbs:
            attributes = {
                "hx-post": f"{self.table.path}/actions/{verb.value}",
                "hx-include": f"#{self.dom_id} [data-check]:checked",
                "hx-target": "#bulk-result",
                "hx-swap": "outerHTML",
            }
            if VERBS[verb].question is not None:
                attributes["data-ask"] = f"#ask-bulk-{verb.value}"
            buttons.append((VERBS[verb].title, attributes))
        return buttons

    @property
    def bulk_questions(self) -> list[tuple[str, str, str, bool]]:
        """Element id, title, text and danger of the question before each bulk verb that interrupts guests."""
        return [
            (f"ask-bulk-{verb.value}", operation.title, operation.question, operation.confirm)
            for verb in self.table.verbs
            if (operation := VERBS[verb]).question is not None
        ]

    def value(self, key: str) -> str:
        """The value of a filter, empty when it is not set."""
        return next((value for name, value in self.params if name == key), "")

    def _url(self, *, cursor: str = "", trail: tuple[str, ...] = (), at: int = 1) -> str:
        pairs = [*self.params]
        if self.sort:
            pairs.append(("sort", self.sort))
        if cursor:
            pairs += [("cursor", cursor), ("at", str(at)), *(("trail", item) for item in trail)]
        return f"{self.base}?{urlencode(pairs)}" if pairs else self.base


def query_of(request: Request, query: type[S], **fixed: object) -> S:
    """The query in the address; parameters of the page itself and empty fields are passed over."""
    found: dict[str, object] = {}
    for name, about in query.model_fields.items():
        values = [value for value in request.query_params.getlist(name) if value]
        if values:
            found[name] = values if "list[" in str(about.annotation) else values[-1]
    try:
        return query.model_validate({**found, **fixed})
    except ValidationError as error:
        where = ".".join(str(item) for item in error.errors()[0]["loc"])
        raise InvalidInput(where, rule_of(error.errors()[0])) from None


def view(
    request: Request,
    table: Table[R],
    page: Page[R],
    query: ListQuery,
    *,
    base: str | None = None,
    fixed: dict[str, str] | None = None,
) -> ListView[R]:
    """What the template draws of one part of a list. `base` and `fixed`: a list inside another object's page."""
    filters = set(type(query).model_fields) - {"cursor", "sort", "limit"}
    hidden = set(fixed or {})
    params = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if value and name in filters - hidden
    ]
    at = request.query_params.get("at", "1")
    return ListView(
        table=table,
        columns=table.columns_of(chosen_columns(request, table)),
        rows=page.items,
        total=page.total,
        first=int(at) if at.isdecimal() and query.cursor and len(at) < 10 else 1,
        params=tuple(params),
        sort=query.sort or "",
        trail=tuple(request.query_params.getlist("trail"))[-TRAIL:] if query.cursor else (),
        cursor=query.cursor or "",
        next=page.next,
        base=base or table.path,
        fixed=tuple((fixed or {}).items()),
        dom_id=f"list-{table.key}",
    )


def show(request: Request, ctx: Ctx, template: str, view_: ListView[R], **context: Any) -> Response:
    """The page of a list; only the list itself when a filter, a sort, a part or a live change asks for it."""
    alone = is_htmx(request) and request.headers.get("hx-target", "").endswith(f"#{view_.dom_id}")
    response = render(request, ctx, "_list/list.html" if alone else template, list=view_, **context)
    remember_columns(request, view_.table, response)
    return response


def rows(request: Request, ctx: Ctx, table: Table[R], found: list[R], ids: list[str]) -> Response:
    """The rows with these ids, each to be put in its place; rows of objects that are gone are taken away."""
    there = {str(getattr(row, "id", "")) for row in found}
    return render(
        request,
        ctx,
        "_list/rows.html",
        table=table,
        columns=table.columns_of(chosen_columns(request, table)),
        rows=found,
        gone=[object_id for object_id in ids if object_id not in there],
    )


def ids_of(request: Request) -> list[str]:
    """The ids that a live update asks for: `?ids=a,b`, or repeated."""
    found = [part for value in request.query_params.getlist("ids") for part in value.split(",")]
    return [fromkey for fromkey in dict.fromkeys(found) if kind_of(fromkey)][:MAX_LIMIT]


def chosen_columns(request: Request, table: Table[R]) -> list[str]:
    """The columns that this browser chose: in the address when it just did, else in its cookie."""
    if named := request.query_params.getlist("columns"):
        return named
    return (cookie_of(request, _cookie(table)) or "").replace(",", ".").split(".")


def remember_columns(request: Request, table: Table[R], response: Response) -> None:
    """Keep a choice of columns that came in the address. It is a matter of the screen, so a cookie holds it."""
    if named := request.query_params.getlist("columns"):
        known = [column.key for column in table.columns if column.key in named]
        set_cookie(request, response, _cookie(table), ".".join(known), max_age_s=365 * 86400)


def _cookie(table: Table[R]) -> str:
    return f"vigie_columns_{table.key}"


def as_csv(ctx: Ctx, table: Table[R], query: Q, read: Callable[[Ctx, Q], Page[R]]) -> Response:
    """All rows of a list, every column, UTF-8. Text that a spreadsheet would run as a formula is defused."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    columns = [column for column in table.columns if column.title]
    writer.writerow([ctx.translate(column.title) for column in columns])
    query_values = query.model_copy(update={"limit": MAX_LIMIT, "cursor": None})
    written = 0
    while True:
        page = read(ctx, query_values)
        writer.writerows([_defused(column.text(row)) for column in columns] for row in page.items)
        written += len(page.items)
        if page.next is None:
            break
        if written >= ALL:
            writer.writerow([ctx.say(CUT, {"shown": written, "total": page.total})])
            break
        query_values = query_values.model_copy(update={"cursor": page.next})
    return Response(
        "\ufeff" + buffer.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="vigie-{table.key}.csv"'},
    )


def _defused(value: str | int | float | None) -> str | int | float | None:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
