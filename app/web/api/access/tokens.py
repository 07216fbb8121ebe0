"""Tokens, with which programs use the API."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from app.access import tokens
from app.core.access.records import NewToken, TokenRecord
from app.core.access.specs import TokenSpec
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.records import Page
from app.core.specs import ListQuery
from app.web.api.shapes import ObjectPath, Once, api_router, created, problems
from app.web.deps import Reader, Writer

router = api_router("tokens")


@router.get("/tokens", name="token.list", response_model=Page[TokenRecord], responses=problems())
def list_tokens(query: Annotated[ListQuery, Query()], ctx: Reader) -> Page[TokenRecord]:
    """Your tokens, and those of all users for people who may edit them; without their secrets."""
    return tokens.list_tokens(ctx, query)


@router.post(
    "/tokens", name="token.create", status_code=201, response_model=NewToken, responses=problems(409, 413)
)
def create_token(spec: TokenSpec, ctx: Writer, repeat: Once) -> Response:
    """Make a token with your own rights. Its secret is in this answer only: a repeat is answered 409 with the id."""
    earlier = repeat.earlier(ctx)
    if earlier is not None:
        raise Conflict(
            N_("This request has made a token already."),
            why=N_("The token is %(id)s; its secret was in the first answer only."),
            hint=N_("If that answer was lost, revoke the token and make another with another key."),
            code="token_made",
            params=json.loads(bytes(earlier.body)),
        )
    token = tokens.create_token(ctx, spec)
    repeat.keep(ctx, Response(json.dumps({"id": token.id}), 201))
    return created(token, "/tokens")


@router.delete("/tokens/{id}", name="token.revoke", status_code=204, responses=problems(404))
def revoke_token(id: ObjectPath, ctx: Writer) -> Response:
    """End a token; whoever uses it is refused from now on."""
    tokens.revoke_token(ctx, id)
    return Response(status_code=204)
