"""API tokens: secrets for programs, with the rights of their user. Kept only as their SHA-256."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, ref, visible
from app.access.paging import Order, mentions, page
from app.access.secrets import new_secret, secret_digest
from app.core.access.records import NewToken, TokenRecord
from app.core.access.specs import TokenSpec
from app.core.errors import InvalidInput, NotAllowed
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import USER_ACCESS
from app.core.records import Page
from app.core.specs import ListQuery
from app.db.models import Token, User

PREFIX = "vigie_"
SORT_KEYS = Order(
    {"created_at": Token.created_at, "name": Token.name, "last_used_at": Token.last_used_at},
    default="-created_at",
    unique=Token.id,
)


def list_tokens(ctx: Ctx, params: ListQuery, *, own: bool = False) -> Page[TokenRecord]:
    """The asker's own tokens, or with token.edit-any those of all users unless `own`; the newest first."""
    query = sa.select(Token, User.name).join(User, User.id == Token.user_id)
    query = visible(ctx, query, Token, "token.edit-any")
    if own:
        query = query.where(Token.user_id == ctx.actor.user_id)
    if params.q:
        query = query.where(mentions((Token.name, Token.prefix, User.name), params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: [_record(*row) for row in rows])


def create_token(ctx: Ctx, spec: TokenSpec, user_id: str | None = None) -> NewToken:
    """Make a token for oneself, or with token.edit-any for another user. It is shown this once.

    Raises NotAllowed (token_from_token) when a token asks: whoever finds one could make another that outlives it.
    """
    if ctx.actor.token_id is not None:
        raise NotAllowed(
            N_("A token cannot make another token."),
            why=N_("Whoever got hold of one could make a second that stays when the first is revoked."),
            hint=N_("Sign in on Vigie's page and make it there, or use vigie token create on the server."),
            code="token_from_token",
        )
    owner_id = user_id or ctx.actor.user_id
    if owner_id is None:
        raise InvalidInput("user_id", N_("must name the user whose rights the token has"))
    if owner_id != ctx.actor.user_id:
        ctx.require("token.edit-any")
    user = find(ctx, User, owner_id, "user.view")
    secret = PREFIX + new_secret()
    token = Token(
        id=new_id(ObjectKind.TOKEN),
        user_id=user.id,
        name=spec.name,
        prefix=secret[: len(PREFIX) + 6],
        secret_sha256=secret_digest(secret),
        created_at=ctx.now,
        expires_at=ctx.now + timedelta(days=spec.expires_in_days),
    )
    ctx.session.add(token)
    audit.record(ctx, "token.create", target=ref(token), user=user.name)
    return NewToken(**_record(token, user.name).model_dump(), token=secret)


def revoke_token(ctx: Ctx, token_id: str) -> None:
    """End a token of oneself, or with token.edit-any of anybody."""
    token = find(ctx, Token, token_id, "token.edit-any")
    ctx.session.delete(token)
    audit.record(ctx, "token.revoke", target=ref(token))
    ctx.notify(f"{USER_ACCESS}{token.user_id}")


def _record(token: Token, user_name: str) -> TokenRecord:
    return TokenRecord(
        id=token.id,
        name=token.name,
        prefix=token.prefix,
        user_id=token.user_id,
        user_name=user_name,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )
