"""What is asked: the bodies of requests and the filters of lists. Unknown fields are refused.

Rules that need only the value itself are here; rules that need the inventory are in the services.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.core.ids import ID_PATTERN
from app.core.plain_names import plain_name

MAX_LIMIT = 500


def _plain(value: object) -> object:
    return plain_name(value) if isinstance(value, str) else value


Plain = BeforeValidator(_plain)
"""Text is a name: in one form, without what cannot be seen."""
ObjectId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Name = Annotated[str, Plain, StringConstraints(min_length=1, max_length=63)]
TagName = Annotated[str, Plain, StringConstraints(pattern=r"^[\w][\w.:-]{0,31}$")]
Notes = Annotated[str, StringConstraints(max_length=10_000)]


class Spec(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListQuery(Spec):
    """What every list takes. `sort` is a column of the list, `-` before it reverses."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=4000)
    sort: str | None = Field(None, pattern=r"^-?[a-z_]{1,32}$")
    q: str | None = Field(None, max_length=200, description="Text that must occur.")
