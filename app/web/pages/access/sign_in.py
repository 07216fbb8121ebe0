"""The doors of the console: signing in and out, and the language before and after that."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.access import accounts
from app.access.sign_in.sign_in import sign_in, sign_out
from app.core.errors import NotAllowed, NotSignedIn, TooManyRequests, VigieError
from app.web.auth import (
    browser_of,
    end_session,
    require_private,
    require_same_origin,
    set_session,
    visitor_of,
)
from app.web.cookies import set_cookie
from app.web.deps import Program, SignedRouter, Writer
from app.web.i18n import LANGUAGES, translator
from app.web.pages.rendering.forms import FormError, Posted
from app.web.pages.rendering.render import LANGUAGE_COOKIE, leave, local_path, page_language, render

router = APIRouter(include_in_schema=False)
signed = SignedRouter(include_in_schema=False)
YEAR_S = 365 * 86400


@router.get("/login")
def ask(request: Request, next: str = "/") -> Response:
    """The sign-in page; who is signed in already goes on."""
    if visitor_of(request) is not None:
        return leave(request, local_path(next))
    reported = None
    try:
        require_private(request)
    except NotAllowed as error:
        reported = _told(request, error)
    return render(request, None, "access/sign_in.html", next=local_path(next), name="", problem=reported)


@router.post("/login")
def submit_login(request: Request, form: Posted, services: Program) -> Response:
    """Check name and password; a wrong pair, or too many, are said on the same page."""
    require_same_origin(request)
    back = local_path(form["next"])
    try:
        require_private(request)
        created = sign_in(
            services,
            form["name"].strip(),
            form["password"],
            browser_of(request),
        )
    except (NotAllowed, NotSignedIn, TooManyRequests) as error:
        reported = _told(request, error)
        return render(
            request,
            None,
            "access/sign_in.html",
            status=reported.status,
            next=back,
            name=form["name"],
            problem=reported,
        )
    response = leave(request, back)
    set_session(request, response, created)
    return response


def _told(request: Request, error: VigieError) -> FormError:
    return FormError(*error.texts(translator(page_language(request))), int(error.status))


@signed.post("/logout", name="logout")
def submit_logout(request: Request, ctx: Writer) -> Response:
    """End this login."""
    sign_out(ctx)
    response = leave(request, "/login")
    end_session(request, response)
    return response


@signed.post("/language", name="language")
def choose_language(request: Request, form: Posted, ctx: Writer) -> Response:
    """Keep the language for the user, and for the sign-in page of this browser."""
    chosen = form["language"] if form["language"] in LANGUAGES else "en"
    if ctx.actor.user_id is not None:
        accounts.set_language(ctx, "fr" if chosen == "fr" else "en")
    response = leave(request, local_path(form["next"]))
    set_cookie(request, response, LANGUAGE_COOKIE, chosen, max_age_s=YEAR_S)
    return response


router.include_router(signed)
