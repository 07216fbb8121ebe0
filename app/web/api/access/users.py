"""People who may sign in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.access import accounts
from app.core.access.records import UserRecord
from app.core.access.specs import UserPatch, UserSpec
from app.core.records import Page
from app.core.specs import ListQuery
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    Once,
    api_router,
    created,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("users")


class UserList(ListQuery, Exported):
    """Filters of the list."""


@router.get("/users", name="user.list", response_model=Page[UserRecord], responses=problems())
def list_users(request: Request, query: Annotated[UserList, Query()], ctx: Reader) -> Response:
    """All users."""
    return listed(request, ctx, query, accounts.list_users, UserRecord)


@router.post(
    "/users", name="user.create", status_code=201, response_model=UserRecord, responses=problems(409, 413)
)
def create_user(spec: UserSpec, ctx: Writer, repeat: Once) -> Response:
    """Let somebody sign in."""

    def act() -> Response:
        user = accounts.create_user(ctx, spec)
        return created(user, f"/users/{user.id}", user.version)

    return repeat.once(ctx, act)


@router.get("/users/{id}", name="user.show", response_model=UserRecord, responses=problems(404))
def show_user(id: ObjectPath, ctx: Reader) -> Response:
    """One user."""
    found = accounts.show_user(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/users/{id}", name="user.update", response_model=UserRecord, responses=problems(404, 409, 412, 413)
)
def update_user(id: ObjectPath, patch: UserPatch, ctx: Writer, version: IfMatch) -> Response:
    """Change a user; what is left out stays. Disabling ends the user's logins, a new password the tokens too."""
    changed = accounts.update_user(ctx, id, patch, version)
    return tagged(changed, changed.version)


@router.delete("/users/{id}", name="user.delete", status_code=204, responses=problems(404, 409))
def delete_user(id: ObjectPath, ctx: Writer) -> Response:
    """Delete a user with all logins and tokens."""
    accounts.delete_user(ctx, id)
    return Response(status_code=204)
