"""Errors as browsers see them: the way to the sign-in page, a toast in the open page, or a page of its own."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import NotSignedIn, VigieError
from app.core.records import Problem
from app.web.auth import visitor_of
from app.web.pages.rendering.render import is_htmx, leave, render, wants_main_only, with_query, with_toast


def error_page(request: Request, error: VigieError, problem: Problem) -> Response:
    """The answer to a browser that asked for a page or a part of one."""
    if isinstance(error, NotSignedIn):
        back = _open_page(request)
        return leave(request, f"/login?next={quote(back, safe='')}" if back else "/login")
    if is_htmx(request):
        message = " ".join(part for part in (problem.why, problem.hint) if part)
        response = with_toast(Response(status_code=problem.status), "bad", problem.title, message)
        response.headers["HX-Reswap"] = "none"  # htmx 4 would put error answers into the page
        return response
    return render(request, visitor_of(request), "error.html", status=problem.status, problem=problem)


def _open_page(request: Request) -> str | None:
    """Where the browser is to be after it signed in: the page that it asked for, or that it has open."""
    page = request.headers.get("hx-current-url")
    if is_htmx(request) and page is not None and not wants_main_only(request):
        try:
            shown = urlsplit(page)
        except ValueError:
            return None
        return with_query(shown.path, shown.query)
    if request.method != "GET":
        return None
    return with_query(request.url.path, request.url.query)
