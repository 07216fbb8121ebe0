"""Pages of network filters: the list, one filter, creating, changing and deleting it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.messages import N_
from app.core.networks.nwfilters import (
    NwfilterDetail,
    NwfilterPatch,
    NwfilterQuery,
    NwfilterRule,
    NwfilterSpec,
)
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.services.networks.nwfilters import nwfilters
from app.services.networks.nwfilters.change import change_nwfilter
from app.services.networks.nwfilters.create import create_nwfilter
from app.services.networks.nwfilters.delete import delete_nwfilter
from app.tasks import tasks
from app.web.auth import Visitor
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.networks import nwfilter_form
from app.web.pages.networks.network_tables import FILTERS
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted, Shown, attempt, reading
from app.web.pages.rendering.inventory_options import host_options
from app.web.pages.rendering.render import go, render
from app.web.pages.vms.xml_view import pieces

router = SignedRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class FilterPage:
    """One network filter for one reader."""

    filter: NwfilterDetail
    can: Callable[[str], bool]

    @property
    def is_editable(self) -> bool:
        """The reader may change and delete it; those of libvirt stay as they are."""
        return self.can("network.edit") and not self.filter.built_in

    @property
    def rules(self) -> Sequence[NwfilterRule]:
        """The rules that Vigie knows."""
        return self.filter.plan.rules if self.filter.plan is not None else ()

    @property
    def references(self) -> Sequence[str]:
        """The other filters that count, too."""
        return self.filter.plan.references if self.filter.plan is not None else ()


QUEUED = N_("%(task)s: the task is queued.")


@router.get("/nwfilters")
def filter_list(request: Request, ctx: Reader) -> Response:
    """The list of network filters."""
    query = list_view.query_of(request, NwfilterQuery)
    view = list_view.view(request, FILTERS, nwfilters.list_nwfilters(ctx, query), query)
    return list_view.show(request, ctx, "networks/list.html", view, tab="filters")


@router.get("/nwfilters.csv")
def filter_csv(request: Request, ctx: Reader) -> Response:
    """The list of network filters for spreadsheets."""
    return list_view.as_csv(
        ctx, FILTERS, list_view.query_of(request, NwfilterQuery), nwfilters.list_nwfilters
    )


@router.get("/nwfilters/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The form of a new filter: what nothing allows is dropped."""
    ctx.require("network.edit")
    start = {"default_in": "drop", "default_out": "accept", "host_id": request.query_params.get("host", "")}
    return _draw_new(request, ctx, Shown(start), [])


@router.post("/nwfilters/new", name="nwfilter.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Ask for a new filter, or for more rows to fill in."""
    if form["step"] == "rows":
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, Shown(form.values), nwfilter_form.rows_of(form))

    def work(ctx: Ctx) -> TaskRecord:
        found = nwfilter_form.read(form)
        given = {"name": form["name"], "host_id": form["host_id"]}
        with nwfilter_form.at_their_fields(found, visitor):
            return create_nwfilter(ctx, NwfilterSpec.model_validate(found.plan | given))

    answer = attempt(visitor, form, "nwfilter.create", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, answer, nwfilter_form.rows_of(form))
    return go(request, f"/tasks/{answer.id}", toast=("ok", _queued(visitor, answer)))


@router.get("/nwfilters/{id}")
def show(request: Request, id: PageId, ctx: Reader) -> Response:
    """One filter: its rules, who uses it, its XML."""
    shown = nwfilters.show_nwfilter(ctx, id)
    last = tasks.list_tasks(ctx, TaskQuery(target=id, limit=1)).items
    return render(
        request,
        ctx,
        "networks/nwfilter_show.html",
        filter=shown,
        page=FilterPage(shown, ctx.can),
        pieces=list(pieces(nwfilters.xml_of(ctx, id))),
        last_task=last[0] if last and (not last[0].state.is_final or last[0].error) else None,
    )


@router.get("/nwfilters/{id}/edit")
def edit(request: Request, id: PageId, ctx: Reader) -> Response:
    """The form of a filter that there is."""
    ctx.require("network.edit")
    shown = nwfilters.show_nwfilter(ctx, id)
    values = nwfilter_form.values(shown.plan) if shown.plan else {}
    rows = nwfilter_form.rows(shown.plan) if shown.plan else []
    return _draw_edit(request, ctx, id, Shown(values), rows)


@router.post("/nwfilters/{id}/edit", name="nwfilter.change")
def change(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for the change, unless somebody else changed the filter since; or for more rows to fill in."""
    if form["step"] == "rows":
        with reading(visitor) as ctx:
            return _draw_edit(request, ctx, id, Shown(form.values), nwfilter_form.rows_of(form))
    version = form.version

    def work(ctx: Ctx) -> TaskRecord:
        found = nwfilter_form.read(form)
        defaults = {name: found.plan[name] or "none" for name in ("default_in", "default_out")}
        with nwfilter_form.at_their_fields(found, visitor):
            patch = NwfilterPatch.model_validate(found.plan | defaults)
            return change_nwfilter(ctx, id, patch, version)

    answer = attempt(visitor, form, "nwfilter.change", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_edit(request, ctx, id, answer, nwfilter_form.rows_of(form))
    return go(request, f"/nwfilters/{id}", toast=("ok", _queued(visitor, answer)))


@router.post("/nwfilters/{id}/delete", name="nwfilter.delete")
def delete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask for the end of a filter."""
    task = delete_nwfilter(ctx, id)
    return go(request, "/nwfilters", toast=("ok", ctx.say(QUEUED, {"task": task.title})))


def _queued(visitor: Visitor, task: TaskRecord) -> str:
    return visitor.translate(QUEUED) % {"task": task.title}


def _draw_new(request: Request, ctx: Ctx, form: Shown, rows: list[nwfilter_form.Row]) -> Response:
    return _draw(request, ctx, form, rows, hosts=host_options(ctx), filter=None)


def _draw_edit(request: Request, ctx: Ctx, id: str, form: Shown, rows: list[nwfilter_form.Row]) -> Response:
    return _draw(request, ctx, form, rows, hosts=[], filter=nwfilters.show_nwfilter(ctx, id))


def _draw(
    request: Request, ctx: Ctx, form: Shown, rows: list[nwfilter_form.Row], **context: object
) -> Response:
    return render(
        request,
        ctx,
        "networks/nwfilter_form.html",
        status=form.status,
        form=form,
        rows=nwfilter_form.with_spare(rows),
        **context,
    )
