"""Pages of hosts: the list, one host with its tabs, and what can be changed of it."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.hosts.records import HostDetail
from app.core.hosts.specs import HostPatch, HostQuery, IdentitySpec
from app.core.inventory.specs import EventQuery
from app.core.messages import N_
from app.core.networks.specs import NetworkQuery
from app.core.storage.specs import PoolQuery
from app.core.tasks.specs import TaskQuery
from app.core.vms.specs import VmQuery
from app.services.hosts import hosts
from app.services.inventory import events
from app.services.networks import networks
from app.services.storage.pools.pools import list_pools
from app.services.vms import vms
from app.tasks import tasks
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.hosts.host_page import HostPage
from app.web.pages.networks.network_tables import NETWORKS
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.inventory_options import credential_options, datacenter_options
from app.web.pages.rendering.render import done, go, is_htmx, render, with_toast
from app.web.pages.rendering.tables import HOSTS, POOLS, VMS

router = SignedRouter(include_in_schema=False)

Tab = Literal["summary", "hardware", "compatibility", "vms", "storage", "networks", "tasks"]
RECENT = 15  # tasks shown on a host's page


@router.get("/hosts")
def host_list(request: Request, ctx: Reader) -> Response:
    """The list of hosts."""
    query = list_view.query_of(request, HostQuery)
    view = list_view.view(request, HOSTS, hosts.list_hosts(ctx, query), query)
    return list_view.show(request, ctx, "hosts/list.html", view)


@router.get("/hosts.csv")
def host_csv(request: Request, ctx: Reader) -> Response:
    """The list of hosts for spreadsheets."""
    return list_view.as_csv(ctx, HOSTS, list_view.query_of(request, HostQuery), hosts.list_hosts)


@router.get("/hosts/rows")
def host_rows(request: Request, ctx: Reader) -> Response:
    """Rows that changed."""
    ids = list_view.ids_of(request)
    return list_view.rows(request, ctx, HOSTS, list(hosts.hosts_by_id(ctx, ids)), ids)


@router.get("/hosts/{id}")
def host_summary(request: Request, id: PageId, ctx: Reader) -> Response:
    """How the host is, what it has and what it has allocated."""
    return _page(request, ctx, id, "summary")


@router.get("/hosts/{id}/hardware")
def host_hardware(request: Request, id: PageId, ctx: Reader) -> Response:
    """What the host is made of."""
    return _page(request, ctx, id, "hardware")


@router.get("/hosts/{id}/compatibility")
def host_compatibility(request: Request, id: PageId, ctx: Reader) -> Response:
    """What works on the host, what does not, and how to mend it."""
    return _page(request, ctx, id, "compatibility")


@router.get("/hosts/{id}/vms")
def host_vms(request: Request, id: PageId, ctx: Reader) -> Response:
    """The VMs of the host."""
    query = list_view.query_of(request, VmQuery, host=id)
    view = list_view.view(
        request, VMS, vms.list_vms(ctx, query), query, base=f"/hosts/{id}/vms", fixed={"host": id}
    )
    return _list(request, ctx, id, "vms", view)


@router.get("/hosts/{id}/storage")
def host_storage(request: Request, id: PageId, ctx: Reader) -> Response:
    """The storage pools of the host."""
    query = list_view.query_of(request, PoolQuery, host=id)
    page = list_pools(ctx, query)
    view = list_view.view(request, POOLS, page, query, base=f"/hosts/{id}/storage", fixed={"host": id})
    return _list(request, ctx, id, "storage", view)


@router.get("/hosts/{id}/networks")
def host_networks(request: Request, id: PageId, ctx: Reader) -> Response:
    """The networks of the host."""
    query = list_view.query_of(request, NetworkQuery, host=id)
    page = networks.list_networks(ctx, query)
    view = list_view.view(request, NETWORKS, page, query, base=f"/hosts/{id}/networks", fixed={"host": id})
    return _list(request, ctx, id, "networks", view)


@router.get("/hosts/{id}/tasks")
def host_tasks(request: Request, id: PageId, ctx: Reader) -> Response:
    """What was done on the host and what happened to it."""
    return _page(
        request,
        ctx,
        id,
        "tasks",
        tasks=tasks.list_tasks(ctx, TaskQuery(host=id, limit=RECENT)),
        events=events.list_events(ctx, EventQuery(target=id, limit=2 * RECENT)),
    )


@router.get("/hosts/{id}/header")
def host_header(request: Request, id: PageId, ctx: Reader) -> Response:
    """Name, state, what is wrong with it, and actions."""
    tab = request.query_params.get("tab", "summary")
    host = hosts.show_host(ctx, id)
    return render(request, ctx, "hosts/_header.html", host=host, page=HostPage(host, ctx.can), tab=tab)


@router.get("/hosts/{id}/notices")
def host_notices(request: Request, id: PageId, ctx: Reader) -> Response:
    """What is wrong with the host, if anything."""
    host = hosts.show_host(ctx, id)
    return render(request, ctx, "hosts/_notices.html", host=host, page=HostPage(host, ctx.can))


def _page(request: Request, ctx: Ctx, id: str, tab: Tab, **context: Any) -> Response:
    """A tab of the host's page; only its live part when a change of the host asks for it."""
    alone = is_htmx(request) and request.headers.get("hx-target", "").endswith(f"#host-{tab}")
    template = f"hosts/_{tab}.html" if alone else "hosts/show.html"
    host = hosts.show_host(ctx, id)
    return render(
        request, ctx, template, host=host, page=HostPage(host, ctx.can), tab=tab, list=None, **context
    )


def _list(request: Request, ctx: Ctx, id: str, tab: Tab, view: list_view.ListView[list_view.R]) -> Response:
    host = hosts.show_host(ctx, id)
    return list_view.show(
        request, ctx, "hosts/show.html", view, host=host, page=HostPage(host, ctx.can), tab=tab
    )


@router.get("/hosts/{id}/edit")
def edit(request: Request, id: PageId, ctx: Reader) -> Response:
    """The form with everything that people set of a host."""
    return _form(request, ctx, hosts.show_host(ctx, id), Shown())


def _form(request: Request, ctx: Ctx, host: HostDetail, form: Shown) -> Response:
    return render(
        request,
        ctx,
        "hosts/edit.html",
        status=form.status,
        host=host,
        form=form,
        credentials=credential_options(ctx),
        datacenters=datacenter_options(ctx),
    )


@router.post("/hosts/{id}/edit", name="host.update")
def save(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Keep the form's changes, unless somebody else changed the host since it was read."""
    version, tags = form.version, form.tags

    def work(ctx: Ctx) -> HostDetail:
        allowed = {name: form.words(name) for name in ("allowed_bridges", "allowed_interfaces")}
        patch = form.read(HostPatch, tags=tags, notes=form["notes"], **allowed)
        return hosts.update_host(ctx, id, patch, version)

    answer = attempt(visitor, form, "host.update", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _form(request, ctx, hosts.show_host(ctx, id), answer)
    return go(request, f"/hosts/{id}", toast=("ok", visitor.translate(N_("Saved."))))


@router.post("/hosts/{id}/set", name="host.update")
def set_one(request: Request, id: PageId, form: Posted, ctx: Writer) -> Response:
    """Set one thing: the mode or the administrative state."""
    hosts.update_host(ctx, id, form.read(HostPatch), form.version)
    return _answer(request, ctx, id, N_("Saved."))


@router.post("/hosts/{id}/reconnect", name="host.reconnect")
def reconnect(request: Request, id: PageId, ctx: Writer) -> Response:
    """Try to reach the host now."""
    hosts.reconnect(ctx, id)
    return _answer(request, ctx, id, N_("Vigie tries to reach the host now."))


def _answer(request: Request, ctx: Ctx, id: str, text: str) -> Response:
    if is_htmx(request):
        return with_toast(done(), "ok", ctx.translate(text))
    return go(request, f"/hosts/{id}", toast=("ok", ctx.translate(text)))


@router.get("/hosts/{id}/identity")
def ask_identity(request: Request, id: PageId, ctx: Reader) -> Response:
    """Both identities side by side, and how to compare them."""
    return render(request, ctx, "hosts/identity.html", host=hosts.show_host(ctx, id))


@router.post("/hosts/{id}/identity", name="host.trust")
def confirm_identity(request: Request, id: PageId, form: Posted, ctx: Writer) -> Response:
    """Trust the identity that the host shows now."""
    hosts.confirm_identity(ctx, id, form.read(IdentitySpec))
    return go(request, f"/hosts/{id}", toast=("ok", ctx.translate(N_("The new identity is confirmed."))))


@router.post("/hosts/{id}/remove", name="host.remove")
def remove(request: Request, id: PageId, ctx: Writer) -> Response:
    """Forget the host; the page asked for its name first. The host and its VMs are left alone."""
    name = hosts.show_host(ctx, id).name
    hosts.remove_host(ctx, id)
    return go(
        request,
        "/hosts",
        toast=("ok", ctx.say(N_("%(name)s was removed from the inventory."), {"name": name})),
    )
