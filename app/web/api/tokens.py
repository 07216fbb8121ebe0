"""Tokens, with which programs use the API."""

from __future__ import annotations

from starlette.responses import Response

from app.core.records import NewToken, Record, TokenRecord
from app.core.specs import TokenSpec
from app.services import tokens
from app.web.api.shapes import ObjectPath, api_router, created, problems
from app.web.deps import Reader, Writer

router = api_router("tokens")


class Tokens(Record):
    """Your tokens, and those of all users for people who may edit them."""

    items: list[TokenRecord]


@router.get("/tokens", name="token.list", responses=problems())
def list_tokens(ctx: Reader) -> Tokens:
    """Tokens without their secrets."""
    return Tokens(items=tokens.list_tokens(ctx))


@router.post(
    "/tokens", name="token.create", status_code=201, response_model=NewToken, responses=problems(409, 413)
)
def create_token(spec: TokenSpec, ctx: Writer) -> Response:
    """Make a token with your own rights. Its secret is in this answer only."""
    made = tokens.create_token(ctx, spec)
    return created(made, "/tokens")


@router.delete("/tokens/{id}", name="token.revoke", status_code=204, responses=problems(404))
def revoke_token(id: ObjectPath, ctx: Writer) -> Response:
    """End a token; whoever uses it is refused from now on."""
    tokens.revoke_token(ctx, id)
    return Response(status_code=204)
