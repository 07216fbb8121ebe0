"""Results of the search palette."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.core.inventory.records import SearchHit
from app.services.inventory import search
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)
MAX_QUERY_LENGTH = 200
_ICONS = {
    "vm": "vm",
    "host": "host",
    "datacenter": "datacenter",
    "pool": "pool",
    "network": "network",
    "image": "save",
    "volume": "volume",
    "action": "bolt",
    "page": "right",
}


@dataclass(frozen=True, slots=True)
class PaletteRow:
    """A hit as the palette shows it; `number` tells its parts from those of other rows."""

    hit: SearchHit
    number: int

    @property
    def icon(self) -> str:
        """The icon of what it is."""
        return _ICONS[self.hit.kind]

    @property
    def about(self) -> str:
        """What matched, and where it is."""
        return " · ".join(part for part in (self.hit.matched, self.hit.where) if part)

    @property
    def verb(self) -> str:
        """The verb that an action sends."""
        return self.hit.url.rpartition("/")[2]


@router.get("/search")
def hits(request: Request, ctx: Reader) -> Response:
    """What matches; without a text, where people go most."""
    text = request.query_params.get("q", "").strip()[:MAX_QUERY_LENGTH]
    if not text:
        return render(request, ctx, "inventory/_search_start.html")
    found = [PaletteRow(hit, number) for number, hit in enumerate(search.search(ctx, text))]
    return render(request, ctx, "inventory/_search_hits.html", text=text, hits=found)
