"""The interfaces in stored definitions, as rows that SQL can count and join."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app.access.context import Ctx
from app.core.vms.observations import StoredDefinition

Part = Callable[[str], sa.ColumnElement[str]]
JsonColumn = InstrumentedAttribute[StoredDefinition] | InstrumentedAttribute[StoredDefinition | None]


def each_nic(ctx: Ctx, parsed: JsonColumn) -> tuple[sa.TableValuedAlias, Part]:
    """A table to join with that has a row for each interface in the column `parsed`, and how to name its parts."""
    if ctx.session.get_bind().dialect.name == "sqlite":
        rows = sa.func.json_each(parsed, "$.nics").table_valued("value", joins_implicitly=True)
        return rows, lambda part: sa.func.json_extract(rows.c.value, f"$.{part}")
    # An expression of its own: SQLAlchemy would give the array a type that PostgreSQL's function lacks.
    nics = parsed.op("->")(sa.literal_column("'nics'"))
    rows = sa.func.json_array_elements(nics).table_valued(sa.column("value", sa.JSON), joins_implicitly=True)
    return rows, lambda part: rows.c.value.op("->>")(sa.literal(part))
