"""The page of events: what happened, whoever did it."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.inventory.specs import EventQuery
from app.inventory import events
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering import lists
from app.web.pages.rendering.tables import EVENTS

router = SignedRouter(include_in_schema=False)


@router.get("/events")
def event_list(request: Request, ctx: Reader) -> Response:
    """The list of events, newest first; new ones come in by themselves."""
    query = lists.query_of(request, EventQuery)
    view = lists.view(request, EVENTS, events.list_events(ctx, query), query)
    return lists.show(request, ctx, "inventory/event_list.html", view)


@router.get("/events.csv")
def event_csv(request: Request, ctx: Reader) -> Response:
    """The list of events for spreadsheets."""
    return lists.as_csv(ctx, EVENTS, lists.query_of(request, EventQuery), events.list_events)
