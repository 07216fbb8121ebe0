"""Events: what happened, as a list and as a stream that can be resumed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core import notices
from app.core.errors import NotSignedIn
from app.core.inventory.records import EventRecord
from app.core.inventory.specs import EventQuery
from app.core.records import Page
from app.services.inventory import events
from app.web.api.shapes import Exported, api_router, listed, problems
from app.web.auth import Visitor
from app.web.deps import Reader, Signed
from app.web.live import COALESCE_S, HEARTBEAT_S, RETRY_MS, SEND_TIMEOUT_S, SIGNED_OUT, Listener
from app.web.quotas import quotas_of

router = api_router("events")

MAX_ID = 2**63 - 1
BATCH = 200


class EventList(EventQuery, Exported):
    """Filters of the list."""


@router.get("/events", name="event.list", response_model=Page[EventRecord], responses=problems())
def list_events(request: Request, query: Annotated[EventList, Query()], ctx: Reader) -> Response:
    """Events, newest first."""
    return listed(request, ctx, query, events.list_events, EventRecord)


@router.get(
    "/events/stream",
    name="event.stream",
    response_class=EventSourceResponse,
    responses=problems()
    | {
        200: {
            "description": "Server-sent events: `id` is the event's, `data` is an EventRecord as JSON.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    request: Request,
    visitor: Signed,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=MAX_ID, description="The last id you have: what came after it is sent first."),
    ] = None,
    seconds: Annotated[
        int | None, Query(ge=1, le=86_400, description="End the stream after so long; unset: never.")
    ] = None,
) -> EventSourceResponse:
    """Events as they happen. Browsers and other readers of server-sent events resume by Last-Event-ID."""
    quotas_of(request).becomes_stream(request, visitor)
    last = await anyio.to_thread.run_sync(_newest, visitor) if last_event_id is None else last_event_id
    ends_at = time.monotonic() + seconds if seconds else math.inf
    return EventSourceResponse(
        _stream(request, visitor, last, ends_at), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S
    )


async def _stream(
    request: Request, visitor: Visitor, last: int, ends_at: float
) -> AsyncIterator[ServerSentEvent]:
    listener = Listener(request, visitor)
    topics: frozenset[str] | None = None
    try:
        yield ServerSentEvent(comment="listening", retry=RETRY_MS)
        while time.monotonic() < ends_at:
            if topics is None or notices.EVENTS in topics:
                for event in await anyio.to_thread.run_sync(_after, visitor, last):
                    last = event.id
                    yield ServerSentEvent(event="event", id=str(event.id), data=event.model_dump_json())
                await asyncio.sleep(COALESCE_S)
            topics = await listener.take(ends_at)
    except NotSignedIn:
        yield SIGNED_OUT
    finally:
        listener.close()


def _newest(visitor: Visitor) -> int:
    with visitor.services.database.read() as session:
        ctx = Ctx(visitor.services, session, visitor.actor, visitor.translate)
        newest = events.list_events(ctx, EventQuery(limit=1)).items
    return newest[0].id if newest else 0


def _after(visitor: Visitor, last: int) -> list[EventRecord]:
    """All events after `last`, at most a few thousand at once."""
    found: list[EventRecord] = []
    with visitor.services.database.read() as session:
        ctx = Ctx(visitor.services, session, visitor.actor, visitor.translate)
        while len(found) < 10 * BATCH:
            part = events.events_after(ctx, last, BATCH)
            found += part
            if len(part) < BATCH:
                break
            last = part[-1].id
    return found
