"""Search over all nouns."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from app.core.inventory.records import SearchHit
from app.core.records import Record
from app.services.inventory import search
from app.web.api.shapes import api_router, problems
from app.web.deps import Reader

router = api_router("dashboard")


class Hits(Record):
    """What was found, best first."""

    items: list[SearchHit]


@router.get("/search", name="search", responses=problems())
def find(
    ctx: Reader,
    q: Annotated[str, Query(min_length=1, max_length=200, description="Name, address, MAC, UUID or tag.")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Hits:
    """Find anything by name, address, MAC, UUID or tag."""
    return Hits(items=search.search(ctx, q, limit=limit))
