"""Pages of the library of images."""

from __future__ import annotations

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from app.access.context import Ctx
from app.core.library.images import ImageCopySpec, ImageImport, ImagePatch, ImageSpec
from app.core.messages import N_
from app.core.specs import ListQuery
from app.core.tasks.records import TaskRecord
from app.services.library import image_copy, image_import, image_register, images, os_variants
from app.web.deps import PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import FormInvalid, Posted, Shown, attempt, broken_rules, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.rendering.tables import IMAGES

router = SignedRouter(include_in_schema=False)
QUEUED = N_("%(task)s: the task is queued.")


@router.get("/images")
def image_list(request: Request, ctx: Reader) -> Response:
    """The list of images."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, IMAGES, images.list_images(ctx, query), query)
    return list_view.show(request, ctx, "library/list.html", view)


@router.get("/images.csv")
def image_csv(request: Request, ctx: Reader) -> Response:
    """The list of images for spreadsheets."""
    return list_view.as_csv(ctx, IMAGES, list_view.query_of(request, ListQuery), images.list_images)


@router.get("/images/new")
def ask(request: Request, ctx: Reader) -> Response:
    """Which volume shall be an image."""
    values = {"volume_id": request.query_params.get("volume", "")}
    return _draw_new(request, ctx, Shown(values))


@router.post("/images/new", name="image.register")
def add(request: Request, form: Posted, visitor: Signed) -> Response:
    """Ask for an image."""

    def work(ctx: Ctx) -> TaskRecord:
        given = {
            "name": form["name"],
            "volume_id": form["volume_id"],
            "os": form["os"] or None,
            "notes": form["notes"],
        }
        return image_register.register_image(ctx, _spec(given))

    answer = attempt(visitor, form, "image.register", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, answer)
    return go(request, "/images", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title}))


@router.post("/images/import", name="image.import")
def import_(request: Request, form: Posted, visitor: Signed) -> Response:
    """Ask for a file of another server to be fetched."""

    def work(ctx: Ctx) -> TaskRecord:
        empty = {key: form[key] or None for key in ("os", "sha256", "volume_name")}
        return image_import.import_image(ctx, form.read(ImageImport, **empty))

    answer = attempt(visitor, form, "image.import", work)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, Shown(), answer)
    return go(request, "/images", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title}))


@router.get("/images/{id}")
def show(request: Request, id: PageId, ctx: Reader) -> Response:
    """One image: what it is, where it is."""
    return _draw(request, ctx, id, Shown())


@router.post("/images/{id}", name="image.update")
def update(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Change name, system or notes."""
    version = form.version

    def work(ctx: Ctx) -> object:
        return images.update_image(ctx, id, form.read(ImagePatch, os=form["os"] or None), version)

    answer = attempt(visitor, form, "image.update", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw(request, ctx, id, answer)
    return go(request, f"/images/{id}", toast=("ok", visitor.translate(N_("Saved."))))


@router.post("/images/{id}/copy", name="image.copy")
def copy(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for a copy on another host."""

    def work(ctx: Ctx) -> TaskRecord:
        return image_copy.copy_image(ctx, id, form.read(ImageCopySpec))

    answer = attempt(visitor, form, "image.copy", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw(request, ctx, id, answer)
    return go(request, f"/images/{id}", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title}))


@router.post("/images/{id}/remove", name="image.remove")
def forget(request: Request, id: PageId, ctx: Writer) -> Response:
    """Take it out of the library."""
    images.remove_image(ctx, id)
    return go(
        request, "/images", toast=("ok", ctx.translate(N_("The image is not in the library any more.")))
    )


def _spec(given: dict[str, str | None]) -> ImageSpec:
    try:
        return ImageSpec.model_validate(given)
    except ValidationError as error:
        raise FormInvalid(broken_rules(error)) from None


def _draw_new(request: Request, ctx: Ctx, form: Shown, fetch: Shown | None = None) -> Response:
    return render(
        request,
        ctx,
        "library/new.html",
        status=(fetch or form).status,
        form=form,
        fetch=fetch or Shown(),
        volumes=images.volume_options(ctx),
        pools=images.pool_options(ctx),
        servers=image_import.imports_from(ctx),
        os_variants=os_variants.list_os_variants(ctx).items,
    )


def _draw(request: Request, ctx: Ctx, id: str, form: Shown) -> Response:
    image = images.show_image(ctx, id)
    pools = images.pool_options(ctx, id) if ctx.can("image.edit") else []
    may_copy = ctx.can("image.edit") and image.state == "ready"
    return render(
        request,
        ctx,
        "library/show.html",
        status=form.status,
        image=image,
        form=form,
        pools=pools,
        may_copy=may_copy,
    )
