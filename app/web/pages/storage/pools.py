"""Pages of storage: pools, one pool with its volumes, all volumes."""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from app.access.context import Ctx
from app.core.messages import N_
from app.core.storage.pools import FIELDS, NEEDS, PoolSpec, kinds_with
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.tasks.records import TaskRecord
from app.services.storage.pools.create import create_pool
from app.services.storage.pools.lifecycle import delete_pool, start_pool, stop_pool
from app.services.storage.pools.pools import list_pools, show_pool
from app.services.storage.pools.refresh import refresh_pool
from app.services.storage.pools.verify_shared import verify_shared
from app.services.storage.volumes.volumes import list_volumes
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import FormInvalid, Posted, Shown, attempt, broken_rules, reading
from app.web.pages.rendering.inventory_options import host_options
from app.web.pages.rendering.render import go, render
from app.web.pages.rendering.tables import POOLS, VOLUMES

router = SignedRouter(include_in_schema=False)

POOL_KIND_TITLES: dict[str, str] = {
    "dir": N_("a folder of the host"),
    "fs": N_("a file system on a device"),
    "netfs": N_("NFS or another network file system"),
    "logical": N_("a volume group of LVM"),
    "disk": N_("a disk with partitions"),
    "iscsi": N_("disks of an iSCSI target"),
    "iscsi-direct": N_("iSCSI by QEMU itself"),
    "scsi": N_("disks of a SCSI adapter"),
    "mpath": N_("multipath devices"),
    "rbd": N_("a Ceph pool"),
    "gluster": N_("a Gluster volume"),
    "zfs": N_("a ZFS dataset"),
}
QUEUED = N_("%(task)s: the task is queued.")


@router.get("/storage")
def pool_list(request: Request, ctx: Reader) -> Response:
    """The list of storage pools."""
    query = list_view.query_of(request, PoolQuery)
    view = list_view.view(request, POOLS, list_pools(ctx, query), query)
    return list_view.show(request, ctx, "storage/list.html", view, tab="pools")


@router.get("/storage.csv")
def pool_csv(request: Request, ctx: Reader) -> Response:
    """The list of storage pools for spreadsheets."""
    return list_view.as_csv(ctx, POOLS, list_view.query_of(request, PoolQuery), list_pools)


@router.get("/storage/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The form of a new pool."""
    ctx.require("pool.edit")
    start = {
        "kind": "dir",
        "autostart": "true",
        "start": "true",
        "host_id": request.query_params.get("host", ""),
    }
    return _draw_new(request, ctx, Shown(start))


@router.post("/storage/new", name="pool.create")
def create(request: Request, form: Posted, visitor: Signed) -> Response:
    """Ask for a pool."""

    def work(ctx: Ctx) -> TaskRecord:
        fields = (
            "name",
            "host_id",
            "kind",
            "target_path",
            "source_host",
            "source_path",
            "source_device",
            "source_name",
            "initiator",
            "auth_user",
            "auth_secret",
        )
        given: dict[str, object] = {name: form[name] for name in fields if form[name]}
        given |= {name: form[name] == "true" for name in ("autostart", "start")}
        try:
            spec = PoolSpec.model_validate(given)
        except ValidationError as error:
            raise FormInvalid(broken_rules(error)) from None
        return create_pool(ctx, spec)

    answer = attempt(visitor, form, "pool.create", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, answer)
    return go(
        request, f"/tasks/{answer.id}", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title})
    )


@router.post("/storage/{id}/act/{verb}", name="pool.act")
def act(
    request: Request,
    id: PageId,
    verb: Literal["start", "stop", "refresh", "verify-shared", "delete"],
    ctx: Writer,
) -> Response:
    """Submit a task to start, stop, refresh or delete a storage pool, or to verify that it is shared."""
    services = {
        "start": start_pool,
        "stop": stop_pool,
        "refresh": refresh_pool,
        "verify-shared": verify_shared,
        "delete": delete_pool,
    }
    task = services[verb](ctx, id)
    where = "/storage" if verb == "delete" else f"/storage/{id}"
    return go(request, where, toast=("ok", ctx.say(QUEUED, {"task": task.title})))


def _draw_new(request: Request, ctx: Ctx, form: Shown) -> Response:
    return render(
        request,
        ctx,
        "storage/pool_new.html",
        status=form.status,
        form=form,
        hosts=host_options(ctx),
        kinds=[(kind, f"{kind} · {ctx.translate(POOL_KIND_TITLES[kind])}") for kind in NEEDS],
        kinds_with={field: kinds_with(field) for field in FIELDS},
    )


@router.get("/storage/volumes")
def volume_list(request: Request, ctx: Reader) -> Response:
    """The list of volumes."""
    query = list_view.query_of(request, VolumeQuery)
    view = list_view.view(request, VOLUMES, list_volumes(ctx, query), query)
    return list_view.show(request, ctx, "storage/list.html", view, tab="volumes")


@router.get("/storage/volumes.csv")
def volume_csv(request: Request, ctx: Reader) -> Response:
    """The list of volumes for spreadsheets."""
    return list_view.as_csv(ctx, VOLUMES, list_view.query_of(request, VolumeQuery), list_volumes)


@router.get("/storage/{id}")
def pool(request: Request, id: PageId, ctx: Reader) -> Response:
    """One pool and its volumes."""
    shown = show_pool(ctx, id)
    query = list_view.query_of(request, VolumeQuery, pool=id)
    page = list_volumes(ctx, query)
    view = list_view.view(request, VOLUMES, page, query, base=f"/storage/{id}", fixed={"pool": id})
    return list_view.show(request, ctx, "storage/pool_show.html", view, pool=shown)
