"""Who is signed in, and the end of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from app.access import accounts
from app.access.sign_in.sign_in import sign_out
from app.core.access.records import SessionRecord
from app.core.access.specs import PasswordChange
from app.core.records import Page, Record
from app.core.specs import ListQuery
from app.web.api.shapes import ObjectPath, api_router, problems
from app.web.auth import end_session
from app.web.deps import Reader, Signed, Writer

router = api_router("session")


class Whoami(Record):
    """Who asks, and what they may do."""

    user_id: str | None
    name: str
    role: str
    privileges: list[str]
    language: str
    via: str = Field(description="page (session cookie) or api (token).")


@router.get("/session", name="session.show", responses=problems())
def show_session(visitor: Signed) -> Whoami:
    """Who you are and what you may do."""
    actor = visitor.actor
    return Whoami(
        user_id=actor.user_id,
        name=actor.name,
        role=actor.role.value,
        privileges=sorted(actor.role.privileges),
        language=visitor.language,
        via=actor.via,
    )


@router.delete("/session", name="logout", status_code=204, responses=problems(409))
def delete_session(request: Request, ctx: Writer) -> Response:
    """Sign out: ends the login of the session cookie. A token is ended by deleting it."""
    sign_out(ctx)
    response = Response(status_code=204)
    end_session(request, response)
    return response


@router.get("/session/logins", name="session.list", response_model=Page[SessionRecord], responses=problems())
def list_sessions(query: Annotated[ListQuery, Query()], ctx: Reader) -> Page[SessionRecord]:
    """Where you are signed in."""
    return accounts.list_sessions(ctx, query)


@router.delete("/session/logins/{id}", name="session.end", status_code=204, responses=problems(404))
def end_other(id: ObjectPath, ctx: Writer) -> Response:
    """End one of your logins."""
    accounts.end_session(ctx, id)
    return Response(status_code=204)


@router.post("/session/password", name="user.password", status_code=204, responses=problems(409, 413, 429))
def change_password(change: PasswordChange, ctx: Writer) -> Response:
    """Change your own password; your other logins end, and your tokens unless you keep them."""
    accounts.change_password(ctx, change)
    return Response(status_code=204)
