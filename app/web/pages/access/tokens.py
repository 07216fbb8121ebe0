"""The page of API tokens: list, create (shown once), revoke."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access import tokens
from app.access.context import Ctx
from app.core.access.records import NewToken
from app.core.access.specs import TokenSpec
from app.core.messages import N_
from app.core.specs import ListQuery
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.rendering.tables import TOKENS

router = SignedRouter(include_in_schema=False)


@router.get("/tokens")
def token_list(request: Request, ctx: Reader) -> Response:
    """The tokens that the asker may see."""
    return _draw(request, ctx, Shown())


def _draw(request: Request, ctx: Ctx, form: Shown, created: NewToken | None = None) -> Response:
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, TOKENS, tokens.list_tokens(ctx, query), query)
    return render(
        request, ctx, "access/token_list.html", status=form.status, list=view, form=form, created=created
    )


@router.post("/tokens", name="token.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Create a token; its secret is on the answer and never again."""
    answer = attempt(
        visitor, form, "token.create", lambda ctx: tokens.create_token(ctx, form.read(TokenSpec))
    )
    with reading(visitor) as ctx:
        if isinstance(answer, Shown):
            return _draw(request, ctx, answer)
        return _draw(request, ctx, Shown(), answer)


@router.post("/tokens/{id}/revoke", name="token.revoke")
def revoke(request: Request, id: PageId, ctx: Writer) -> Response:
    """End a token at once."""
    tokens.revoke_token(ctx, id)
    return go(request, "/tokens", toast=("ok", ctx.translate(N_("The token is revoked."))))
