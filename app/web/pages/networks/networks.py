"""Pages of networks: the list, one network, its definition, creating and changing it, and the acts on it."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.messages import N_
from app.core.networks.records import NetworkDetail
from app.core.networks.specs import NetworkPatch, NetworkPlan, NetworkQuery, NetworkSpec
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.services.networks import networks
from app.services.networks.change import change_network, editable
from app.services.networks.create import create_network, free_subnet
from app.services.networks.lifecycle import delete_network, start_network, stop_network
from app.tasks import tasks
from app.web.auth import Visitor
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.networks import network_form
from app.web.pages.networks.network_page import NetworkFields, NetworkPage
from app.web.pages.networks.network_tables import NETWORKS
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.inventory_options import host_options
from app.web.pages.rendering.render import go, is_htmx, render
from app.web.pages.vms.xml_view import pieces

router = SignedRouter(include_in_schema=False)


@router.get("/networks")
def network_list(request: Request, ctx: Reader) -> Response:
    """The list of networks."""
    query = list_view.query_of(request, NetworkQuery)
    view = list_view.view(request, NETWORKS, networks.list_networks(ctx, query), query)
    return list_view.show(request, ctx, "networks/list.html", view, tab="list")


@router.get("/networks.csv")
def network_csv(request: Request, ctx: Reader) -> Response:
    """The list of networks for spreadsheets."""
    return list_view.as_csv(ctx, NETWORKS, list_view.query_of(request, NetworkQuery), networks.list_networks)


@router.get("/networks/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The form of a new network, with a subnet that no host has."""
    ctx.require("network.edit")
    net = free_subnet(ctx)
    start = {
        "mode": "nat",
        "host_id": request.query_params.get("host", ""),
        "ipv4": f"{net}.1/24",
        "ipv4_ranges": f"{net}.100 - {net}.199",
        "dns": "true",
        "autostart": "true",
        "start": "true",
    }
    return _draw_new(request, ctx, Shown(start))


@router.post("/networks/new", name="network.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Ask for a new network."""

    def work(ctx: Ctx) -> TaskRecord:
        found = network_form.read(form, form["mode"])
        given = {
            "name": form["name"],
            "host_id": form["host_id"],
            "autostart": form["autostart"] == "true",
            "start": form["start"] == "true",
        }
        with network_form.at_their_fields(found, visitor):
            return create_network(ctx, NetworkSpec.model_validate(found.plan | given))

    answer = attempt(visitor, form, "network.create", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, answer)
    return go(request, f"/tasks/{answer.id}", toast=("ok", _queued(visitor, answer)))


@router.get("/networks/{id}")
def network(request: Request, id: PageId, ctx: Reader) -> Response:
    """One network: what it is, who has an address of it, who is plugged in."""
    return draw_tab(request, ctx, id, "summary")


@router.get("/networks/{id}/xml")
def network_xml(request: Request, id: PageId, ctx: Reader) -> Response:
    """The network's definition, and what runs where that differs."""
    saved = networks.xml_of(ctx, id)
    live = networks.xml_of(ctx, id, live=True)
    texts = [("saved", list(pieces(saved)))] + ([("live", list(pieces(live)))] if live != saved else [])
    return draw_tab(request, ctx, id, "xml", texts=texts)


@router.get("/networks/{id}/edit")
def edit(request: Request, id: PageId, ctx: Reader) -> Response:
    """The form of a network that there is."""
    shown = networks.show_network(ctx, id)
    plan = editable(ctx, id)
    values = network_form.values(plan) | {"autostart": "true" if shown.autostart else ""}
    return _draw_edit(request, ctx, shown, plan, Shown(values))


@router.post("/networks/{id}/edit", name="network.change")
def change(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for the change, unless somebody else changed the network since the form was made."""
    version = form.version

    def work(ctx: Ctx) -> TaskRecord:
        before = editable(ctx, id)
        found = network_form.read(form, before.mode, network_form.other_subnets(before))
        fields = {name: value for name, value in found.plan.items() if name in NetworkPatch.model_fields}
        with network_form.at_their_fields(found, visitor):
            patch = NetworkPatch.model_validate(fields | {"autostart": form["autostart"] == "true"})
            return change_network(ctx, id, patch, version)

    answer = attempt(visitor, form, "network.change", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            shown = networks.show_network(ctx, id)
            return _draw_edit(request, ctx, shown, editable(ctx, id), answer)
    return go(request, f"/networks/{id}", toast=("ok", _queued(visitor, answer)))


@router.post("/networks/{id}/start", name="network.start")
def start(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask for the network's start."""
    return _submitted(request, ctx, id, start_network(ctx, id))


@router.post("/networks/{id}/stop", name="network.stop")
def stop(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask for the network's end."""
    return _submitted(request, ctx, id, stop_network(ctx, id))


@router.post("/networks/{id}/delete", name="network.delete")
def delete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask for the end of the network and its definition."""
    task = delete_network(ctx, id)
    return go(request, "/networks", toast=("ok", ctx.say(QUEUED, {"task": task.title}), _target(task)))


QUEUED = N_("%(task)s: the task is queued.")


def _submitted(request: Request, ctx: Ctx, id: str, task: TaskRecord) -> Response:
    return go(request, f"/networks/{id}", toast=("ok", ctx.say(QUEUED, {"task": task.title}), _target(task)))


def _queued(visitor: Visitor, task: TaskRecord) -> str:
    return visitor.translate(QUEUED) % {"task": task.title}


def _target(task: TaskRecord) -> str:
    return task.target.name if task.target else ""


def draw_tab(request: Request, ctx: Ctx, id: str, tab: str, **context: Any) -> Response:
    """A tab of a network's page; only its live part when a change asks for it."""
    shown = networks.show_network(ctx, id)
    alone = is_htmx(request) and request.headers.get("hx-target", "").endswith("#network-live")
    last = tasks.list_tasks(ctx, TaskQuery(target=id, limit=1)).items
    return render(
        request,
        ctx,
        "networks/_live.html" if alone else "networks/show.html",
        network=shown,
        page=NetworkPage(shown, ctx.can, tab, context.get("pair", ())),
        tab=tab,
        last_task=last[0] if last and (not last[0].state.is_final or last[0].error) else None,
        **({"form": None} | context),
    )


def _draw_new(request: Request, ctx: Ctx, form: Shown) -> Response:
    return render(
        request,
        ctx,
        "networks/new.html",
        status=form.status,
        form=form,
        fields=NetworkFields(),
        hosts=host_options(ctx),
    )


def _draw_edit(request: Request, ctx: Ctx, shown: NetworkDetail, plan: NetworkPlan, form: Shown) -> Response:
    return render(
        request,
        ctx,
        "networks/edit.html",
        status=form.status,
        form=form,
        network=shown,
        fields=NetworkFields(plan.mode),
        others=[subnet.address for subnet in network_form.other_subnets(plan)],
    )
