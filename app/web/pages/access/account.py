"""The page of one's own account: password, language, logins, tokens."""

from __future__ import annotations

from typing import cast

from fastapi import Request
from starlette.responses import Response

from app.access import accounts, tokens
from app.access.context import Ctx
from app.core.access.specs import LanguageName, PasswordChange
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.specs import MAX_LIMIT, ListQuery
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.i18n import LANGUAGES
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.render import go, leave, render

router = SignedRouter(include_in_schema=False)


@router.get("/account")
def show(request: Request, ctx: Reader) -> Response:
    """Everything that people set for themselves."""
    return _draw(request, ctx, Shown())


def _draw(request: Request, ctx: Ctx, form: Shown) -> Response:
    shown = Shown({}, form.errors, form.problem)  # passwords are never sent back
    all_of_them = ListQuery(limit=MAX_LIMIT)
    return render(
        request,
        ctx,
        "access/account.html",
        status=form.status,
        form=shown,
        sessions=accounts.list_sessions(ctx, all_of_them).items,
        tokens=tokens.list_tokens(ctx, all_of_them, own=True).items,
    )


@router.post("/account/password", name="user.password")
def password(request: Request, form: Posted, visitor: Signed) -> Response:
    """Change one's own password."""

    def work(ctx: Ctx) -> bool:
        change = form.read(PasswordChange)
        if form["new"] != form["again"]:
            raise InvalidInput("again", N_("This differs from the new password."))
        accounts.change_password(ctx, change)
        return True

    answer = attempt(visitor, form, "user.password", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw(request, ctx, answer)
    return go(request, "/account", toast=("ok", visitor.translate(N_("Your password is changed."))))


@router.post("/account/language", name="user.language")
def language(request: Request, form: Posted, ctx: Writer) -> Response:
    """Change the language of the pages."""
    if form["language"] not in LANGUAGES:
        raise InvalidInput("language", N_("Choose one of the list."))
    chosen = cast("LanguageName", form["language"])
    accounts.set_language(ctx, chosen)
    return leave(request, "/account")


@router.post("/account/sessions/{id}/end", name="session.end")
def end_session(request: Request, id: PageId, ctx: Writer) -> Response:
    """End a login, here or elsewhere."""
    accounts.end_session(ctx, id)
    if id == ctx.actor.login_id:
        return leave(request, "/login")
    return go(request, "/account", toast=("ok", ctx.translate(N_("The login is ended."))))
