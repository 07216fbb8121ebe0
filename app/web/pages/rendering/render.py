"""Answers of pages: a whole page, only its main part, a partial, a toast, or a way elsewhere.

    return render(request, ctx, "hosts/list.html", page=page, query=query)
    return render(request, ctx, "vms/_rows.html", vms=vms)            # a partial has one root with a stable id
    return with_toast(done(), "ok", _("Saved."))
    return go(request, "/hosts/host_…", toast=("ok", "Added."))

A page extends `layout` (`{% extends layout %}`): the whole shell for a fresh GET, only `<main>` when htmx
navigates inside the open shell. `ctx` may be None on pages for nobody, such as the login page.
"""

from __future__ import annotations

import json
from typing import Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.access.context import Ctx
from app.web.auth import Visitor, language_of, visitor_of
from app.web.cookies import cookie_of, set_cookie
from app.web.pages.rendering.banners import with_banners
from app.web.pages.rendering.environment import environment
from app.web.pages.rendering.forms import Shown

Tone = Literal["ok", "info", "warn", "bad"]
Toast = tuple[Tone, str] | tuple[Tone, str, str]
"""Tone and title of a message, and one more sentence if need be."""

LANGUAGE_COOKIE = "vigie_language"
THEME_COOKIE = "vigie_theme"
TOAST_COOKIE = "vigie_toast"
PAGE_HEADER = "Vigie-Page"  # tells the script our own error pages and forms from those of a proxy
THEMES = ("system", "light", "dark")


def is_htmx(request: Request) -> bool:
    """Whether htmx asked, for the open page."""
    return (
        request.headers.get("hx-request") == "true"
        and request.headers.get("hx-history-restore-request") != "true"
    )


def wants_main_only(request: Request) -> bool:
    """Whether a link was followed inside the open shell, which then needs `<main>` only."""
    return is_htmx(request) and request.headers.get("hx-target") == "main#main"


def page_language(request: Request) -> str:
    """The language of the page: of the user, of a choice made before signing in, or of the browser."""
    chosen = cookie_of(request, LANGUAGE_COOKIE)
    if visitor_of(request) is None and chosen in ("en", "fr"):
        return chosen
    return language_of(request)


def render(
    request: Request, ctx: Ctx | Visitor | None, template: str, *, status: int = 200, **context: object
) -> HTMLResponse:
    """The template as an answer. Templates always have: actor, can(privilege), language, theme, path, layout.

    `can(None)` asks for no privilege; `forced_theme` is none when the browser decides.
    """
    theme = cookie_of(request, THEME_COOKIE) or "system"
    actor = ctx.actor if ctx else None
    templates = environment(page_language(request))
    html = templates.get_template(template).render(
        layout="_shell/main_only.html" if wants_main_only(request) else "base.html",
        actor=actor,
        can=lambda privilege: actor is not None and (privilege is None or privilege in actor.role.privileges),
        theme=theme if theme in THEMES else "system",
        forced_theme=theme if theme in THEMES[1:] else None,
        path=request.url.path,
        request_url=with_query(request.url.path, request.url.query),
        **context,
    )
    forms = [value for value in context.values() if isinstance(value, Shown)]
    headers = {"Cache-Control": "no-store", "Vary": "HX-Request, HX-Target, Cookie", PAGE_HEADER: "1"}
    return HTMLResponse(with_banners(templates, html, forms), status, headers=headers)


def done() -> Response:
    """An answer that changes nothing on the page by itself: live updates show what happened."""
    return Response(status_code=204)


def with_toast(response: Response, tone: Tone, title: str, text: str = "") -> Response:
    """The response, with a message that the open page shows for a while."""
    response.headers["HX-Trigger"] = json.dumps({"vigie:toast": {"tone": tone, "title": title, "text": text}})
    return response


def go(request: Request, url: str, *, toast: Toast | None = None) -> Response:
    """Send the browser to one of our own pages, with a message that it shows there."""
    if not is_htmx(request):
        response: Response = RedirectResponse(url, 303)
        if toast:
            message = quote(json.dumps(dict(zip(("tone", "title", "text"), toast, strict=False))))
            set_cookie(request, response, TOAST_COOKIE, message, max_age_s=30)
        return response
    response = Response(status_code=204)
    response.headers["HX-Location"] = json.dumps(
        {"path": url, "target": "#main", "select": "#main", "swap": "outerHTML"}
    )
    return with_toast(response, *toast) if toast else response


def leave(request: Request, url: str) -> Response:
    """Load another page afresh, shell and all (after sign-in, sign-out, change of language)."""
    if not is_htmx(request):
        return RedirectResponse(url, 303)
    return Response(status_code=204, headers={"HX-Redirect": url})


def with_query(path: str, query: str) -> str:
    """The path, followed by the query where there is one."""
    return f"{path}?{query}" if query else path


def local_path(url: str | None) -> str:
    """The address if it is a path of our own, else the dashboard: nobody is sent to other sites."""
    if not url or not url.startswith("/") or url.startswith(("//", "/\\")) or any(ord(c) < 33 for c in url):
        return "/"
    return url
