"""The page of datacenters: create, rename, delete empty ones."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.hosts.specs import HostQuery
from app.core.inventory.records import DatacenterRecord
from app.core.inventory.specs import DatacenterSpec
from app.core.messages import N_
from app.core.specs import ListQuery
from app.services.hosts import hosts
from app.services.inventory import datacenters
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.rendering.tables import DATACENTERS, HOSTS

router = SignedRouter(include_in_schema=False)


@router.get("/datacenters")
def datacenter_list(request: Request, ctx: Reader) -> Response:
    """The list of datacenters."""
    return _draw(request, ctx, Shown())


def _draw(request: Request, ctx: Ctx, form: Shown) -> Response:
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, DATACENTERS, datacenters.list_datacenters(ctx, query), query)
    if form.status != 200:
        return render(
            request, ctx, "inventory/datacenter_list.html", status=form.status, list=view, form=form
        )
    return list_view.show(request, ctx, "inventory/datacenter_list.html", view, form=form)


@router.post("/datacenters", name="datacenter.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Create a datacenter."""

    def work(ctx: Ctx) -> DatacenterRecord:
        return datacenters.create_datacenter(ctx, form.read(DatacenterSpec))

    answer = attempt(visitor, form, "datacenter.create", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw(request, ctx, answer)
    message = visitor.translate(N_("%(name)s is created.")) % {"name": answer.name}
    return go(request, "/datacenters", toast=("ok", message))


@router.get("/datacenters/{id}")
def show(request: Request, id: PageId, ctx: Reader) -> Response:
    """One datacenter: its name and its hosts."""
    return _page(request, ctx, id, Shown())


def _page(request: Request, ctx: Ctx, id: str, form: Shown) -> Response:
    datacenter = datacenters.show_datacenter(ctx, id)
    query = list_view.query_of(request, HostQuery, datacenter=id)
    page = hosts.list_hosts(ctx, query)
    view = list_view.view(request, HOSTS, page, query, base=f"/datacenters/{id}", fixed={"datacenter": id})
    response = list_view.show(
        request, ctx, "inventory/datacenter_show.html", view, datacenter=datacenter, form=form
    )
    response.status_code = form.status
    return response


@router.post("/datacenters/{id}", name="datacenter.update")
def rename(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Rename a datacenter."""
    version = form.version

    def work(ctx: Ctx) -> DatacenterRecord:
        return datacenters.update_datacenter(ctx, id, form.read(DatacenterSpec), version)

    answer = attempt(visitor, form, "datacenter.update", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _page(request, ctx, id, answer)
    return go(request, f"/datacenters/{id}", toast=("ok", visitor.translate(N_("Saved."))))


@router.post("/datacenters/{id}/delete", name="datacenter.delete")
def delete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Delete a datacenter without hosts."""
    datacenters.delete_datacenter(ctx, id)
    return go(request, "/datacenters", toast=("ok", ctx.translate(N_("The datacenter is deleted."))))
