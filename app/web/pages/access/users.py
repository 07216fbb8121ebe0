"""Pages of users, for administrators."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access import accounts
from app.access.context import Ctx
from app.core.access.records import UserRecord
from app.core.access.specs import UserPatch, UserSpec
from app.core.messages import N_
from app.core.specs import ListQuery
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.rendering.tables import USERS

router = SignedRouter(include_in_schema=False)


@router.get("/users")
def user_list(request: Request, ctx: Reader) -> Response:
    """The list of users."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, USERS, accounts.list_users(ctx, query), query)
    return list_view.show(request, ctx, "access/user_list.html", view)


@router.get("/users.csv")
def user_csv(request: Request, ctx: Reader) -> Response:
    """The list of users for spreadsheets."""
    return list_view.as_csv(ctx, USERS, list_view.query_of(request, ListQuery), accounts.list_users)


@router.get("/users/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The empty form."""
    ctx.require("user.edit")
    return render(request, ctx, "access/user_new.html", form=Shown())


@router.post("/users/new", name="user.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Create a user."""
    answer = attempt(visitor, form, "user.create", lambda ctx: accounts.create_user(ctx, form.read(UserSpec)))
    if isinstance(answer, Shown):
        return render(request, visitor, "access/user_new.html", status=answer.status, form=answer)
    message = visitor.translate(N_("%(name)s may sign in now.")) % {"name": answer.name}
    return go(request, "/users", toast=("ok", message))


@router.get("/users/{id}")
def show(request: Request, id: PageId, ctx: Reader) -> Response:
    """One user, with everything that can be changed."""
    return _draw(request, ctx, id, Shown())


@router.post("/users/{id}", name="user.update")
def update(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Change name, role, language, password, or whether the user may sign in."""
    version = form.version

    def work(ctx: Ctx) -> UserRecord:
        given = {"language": form["language"] or None} if "language" in form.values else {}
        if not form["password"]:
            given["keep_tokens"] = None
        return accounts.update_user(ctx, id, form.read(UserPatch, **given), version)

    answer = attempt(visitor, form, "user.update", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw(request, ctx, id, answer)
    return go(request, f"/users/{id}", toast=("ok", visitor.translate(N_("Saved."))))


@router.post("/users/{id}/delete", name="user.delete")
def delete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Delete a user; the page asked for the name first."""
    name = accounts.show_user(ctx, id).name
    accounts.delete_user(ctx, id)
    return go(request, "/users", toast=("ok", ctx.say(N_("%(name)s is deleted."), {"name": name})))


def _draw(request: Request, ctx: Ctx, id: str, form: Shown) -> Response:
    user = accounts.show_user(ctx, id)
    # Nobody ends the account that they are signed in with.
    may_end = ctx.can("user.edit") and ctx.actor.user_id != id
    return render(
        request, ctx, "access/user_show.html", status=form.status, user=user, form=form, may_end=may_end
    )
