"""The page of events: what happened, whoever did it."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.inventory.specs import EventQuery
from app.services.inventory import events
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering import list_view
from app.web.pages.rendering.tables import EVENTS

router = SignedRouter(include_in_schema=False)


@router.get("/events")
def event_list(request: Request, ctx: Reader) -> Response:
    """The list of events, newest first; new ones come in by themselves."""
    query = list_view.query_of(request, EventQuery)
    view = list_view.view(request, EVENTS, events.list_events(ctx, query), query)
    return list_view.show(request, ctx, "inventory/event_list.html", view)


@router.get("/events.csv")
def event_csv(request: Request, ctx: Reader) -> Response:
    """The list of events for spreadsheets."""
    return list_view.as_csv(ctx, EVENTS, list_view.query_of(request, EventQuery), events.list_events)
