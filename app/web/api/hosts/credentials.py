"""How Vigie signs in to hosts. Secrets go in and never come out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.access.records import CredentialRecord
from app.core.access.specs import CredentialSpec
from app.core.records import Page
from app.core.specs import ListQuery
from app.services.hosts import credentials
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    Once,
    api_router,
    created,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("credentials")


class CredentialList(ListQuery, Exported):
    """Filters of the list."""


@router.get(
    "/credentials", name="credential.list", response_model=Page[CredentialRecord], responses=problems()
)
def list_credentials(request: Request, query: Annotated[CredentialList, Query()], ctx: Reader) -> Response:
    """Credentials without their secrets."""
    return listed(request, ctx, query, credentials.list_credentials, CredentialRecord)


@router.post(
    "/credentials",
    name="credential.create",
    status_code=201,
    response_model=CredentialRecord,
    responses=problems(409, 413),
)
def create_credential(spec: CredentialSpec, ctx: Writer, repeat: Once) -> Response:
    """Keep a key, password or certificate, encrypted."""

    def act() -> Response:
        credential = credentials.create_credential(ctx, spec)
        return created(credential, f"/credentials/{credential.id}", credential.version)

    return repeat.once(ctx, act)


@router.get(
    "/credentials/{id}", name="credential.show", response_model=CredentialRecord, responses=problems(404)
)
def show_credential(id: ObjectPath, ctx: Reader) -> Response:
    """One credential without its secret."""
    found = credentials.show_credential(ctx, id)
    return tagged(found, found.version)


@router.put(
    "/credentials/{id}",
    name="credential.update",
    response_model=CredentialRecord,
    responses=problems(404, 409, 412, 413),
)
def update_credential(id: ObjectPath, spec: CredentialSpec, ctx: Writer, version: IfMatch) -> Response:
    """Replace a credential; the hosts that use it are reached with the new one."""
    changed = credentials.update_credential(ctx, id, spec, version)
    return tagged(changed, changed.version)


@router.delete("/credentials/{id}", name="credential.delete", status_code=204, responses=problems(404, 409))
def delete_credential(id: ObjectPath, ctx: Writer) -> Response:
    """Delete a credential that no host uses."""
    credentials.delete_credential(ctx, id)
    return Response(status_code=204)
