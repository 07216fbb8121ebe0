"""Pages of credentials: how Vigie signs in to hosts. Secrets go in and never come out."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.access.records import CredentialRecord
from app.core.access.specs import CredentialSpec
from app.core.messages import N_
from app.core.specs import ListQuery
from app.services.hosts import credentials
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.rendering.tables import CREDENTIALS

router = SignedRouter(include_in_schema=False)

SECRETS = frozenset({"private_key", "passphrase", "password"})


def _without_secrets(form: Shown) -> Shown:
    """The form to draw again: secrets are never sent back to a browser."""
    kept = {name: value for name, value in form.values.items() if name not in SECRETS}
    return Shown(kept, form.errors, form.problem)


@router.get("/credentials")
def credential_list(request: Request, ctx: Reader) -> Response:
    """The list of credentials."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, CREDENTIALS, credentials.list_credentials(ctx, query), query)
    return list_view.show(request, ctx, "hosts/credential_list.html", view)


@router.get("/credentials.csv")
def credential_csv(request: Request, ctx: Reader) -> Response:
    """The list of credentials for spreadsheets, without secrets."""
    return list_view.as_csv(
        ctx, CREDENTIALS, list_view.query_of(request, ListQuery), credentials.list_credentials
    )


@router.get("/credentials/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The empty form."""
    ctx.require("credential.edit")
    return render(request, ctx, "hosts/credential_form.html", credential=None, form=Shown())


@router.post("/credentials/new", name="credential.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Keep a new credential."""

    def work(ctx: Ctx) -> CredentialRecord:
        return credentials.create_credential(ctx, form.read(CredentialSpec))

    answer = attempt(visitor, form, "credential.create", work)
    if isinstance(answer, Shown):
        shown = _without_secrets(answer)
        return render(
            request, visitor, "hosts/credential_form.html", status=answer.status, credential=None, form=shown
        )
    message = visitor.translate(N_("%(name)s is saved.")) % {"name": answer.name}
    return go(request, "/credentials", toast=("ok", message))


@router.get("/credentials/{id}")
def show(request: Request, id: PageId, ctx: Reader) -> Response:
    """One credential, to be renamed or given a new secret."""
    credential = credentials.show_credential(ctx, id)
    return render(request, ctx, "hosts/credential_form.html", credential=credential, form=Shown())


@router.post("/credentials/{id}", name="credential.update")
def update(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Rename a credential or put a new secret in it."""
    version = form.version

    def work(ctx: Ctx) -> CredentialRecord:
        return credentials.update_credential(ctx, id, form.read(CredentialSpec), version)

    answer = attempt(visitor, form, "credential.update", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            credential = credentials.show_credential(ctx, id)
            return render(
                request,
                ctx,
                "hosts/credential_form.html",
                status=answer.status,
                credential=credential,
                form=_without_secrets(answer),
            )
    message = visitor.translate(N_("%(name)s is saved.")) % {"name": answer.name}
    return go(request, "/credentials", toast=("ok", message))


@router.post("/credentials/{id}/delete", name="credential.delete")
def delete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Delete a credential that no host uses."""
    credentials.delete_credential(ctx, id)
    return go(request, "/credentials", toast=("ok", ctx.translate(N_("The credential is deleted."))))
