"""Pages of earlier definitions of storage pools and networks. Those of VMs are tabs of the VM."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.services.inventory import versions
from app.services.storage.pools.pools import show_pool
from app.web.deps import PageId, Reader, Signed, SignedRouter
from app.web.pages.networks.networks import draw_tab
from app.web.pages.rendering.forms import Posted, Shown, attempt, number_in, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.vms.xml_view import pieces

router = SignedRouter(include_in_schema=False)
QUEUED = N_("%(task)s: the task is queued.")


@router.get("/storage/{id}/history")
def of_pool(request: Request, id: PageId, ctx: Reader) -> Response:
    """A pool's definition and its versions, two of them compared."""
    return _draw_pool(request, ctx, id, Shown())


@router.post("/storage/{id}/history/restore", name="pool.restore-version")
def restore_pool(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask that a version of a pool's definition counts again."""

    def work(ctx: Ctx) -> TaskRecord:
        return versions.restore_version(ctx, ObjectKind.POOL, id, number_in(form["number"]) or -1)

    answer = attempt(visitor, form, "pool.restore-version", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_pool(request, ctx, id, answer)
    return go(
        request, f"/storage/{id}/history", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title})
    )


@router.get("/networks/{id}/history")
def of_network(request: Request, id: PageId, ctx: Reader) -> Response:
    """A network's versions, two of them compared."""
    return draw_tab(request, ctx, id, "history", **_compared(request, ctx, ObjectKind.NETWORK, id))


@router.post("/networks/{id}/history/restore", name="network.restore-version")
def restore_network(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask that a version of a network's definition counts again."""

    def work(ctx: Ctx) -> TaskRecord:
        return versions.restore_version(ctx, ObjectKind.NETWORK, id, number_in(form["number"]) or -1)

    answer = attempt(visitor, form, "network.restore-version", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            shown = _compared(request, ctx, ObjectKind.NETWORK, id)
            return draw_tab(request, ctx, id, "history", form=answer, status=answer.status, **shown)
    return go(request, f"/networks/{id}", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title}))


def _draw_pool(request: Request, ctx: Ctx, id: str, form: Shown) -> Response:
    pool = show_pool(ctx, id)
    may_edit, is_off = ctx.can("pool.edit"), pool.state == "inactive"
    text = list(pieces(versions.show_version(ctx, ObjectKind.POOL, id, 0)))
    return render(
        request,
        ctx,
        "storage/pool_history.html",
        status=form.status,
        pool=pool,
        form=form,
        may_restore=may_edit and is_off,
        must_stop=may_edit and not is_off,
        text=text,
        **_compared(request, ctx, ObjectKind.POOL, id),
    )


def _compared(request: Request, ctx: Ctx, kind: ObjectKind, id: str) -> dict[str, object]:
    pair = [number_in(request.query_params.get(name, "")) for name in ("from", "to")]
    diff = versions.diff_versions(ctx, kind, id, pair[0], pair[1] or 0) if pair[0] is not None else None
    return {"versions": versions.list_versions(ctx, kind, id).items, "pair": pair, "diff": diff}
