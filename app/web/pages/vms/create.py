"""A new VM on one page: every button posts the whole form, which comes back as it is then.

The summary beside the form is asked for with every change; it says what would be made or what is still missing.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access import audit
from app.access.context import Ctx
from app.core.errors import InvalidInput, VigieError
from app.core.messages import N_
from app.core.vms.create.presets import VmPresetSpec
from app.core.vms.create.spec import DiskSpec, NicSpec, VmSpec
from app.services.library import os_variants
from app.services.vms.create import choices, create, presets
from app.web.auth import Visitor
from app.web.deps import HostCaller, Reader, SignedRouter
from app.web.pages.rendering.forms import Form, Posted, Shown, reading, refused, transaction
from app.web.pages.rendering.render import go, is_htmx, render
from app.web.pages.vms import create_form
from app.web.pages.vms.new_vm_page import NewVmPage

router = SignedRouter(include_in_schema=False)


@router.get("/vms/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The form, with what the address names: a host, or a specification that was kept."""
    ctx.require("vm.create")
    values = dict(create_form.START)
    if preset_id := request.query_params.get("spec"):
        kept = VmSpec.model_validate(presets.show_preset(ctx, preset_id).spec)
        values = create_form.values_of(kept) | {"spec": preset_id}
    if host_id := request.query_params.get("host"):
        values["host_id"] = host_id
    return _draw(request, ctx, Shown(values))


@router.post("/vms/new", name="vm.create")
def go_on(request: Request, form: Posted, visitor: HostCaller) -> Response:
    """Do what the button asked for: another row, another host's choices, keep the specification, or create."""
    step = form["step"]
    if step not in ("create", "save"):
        with reading(visitor) as ctx:
            ctx.require("vm.create")
            return _draw(request, ctx, Shown(create_form.with_rows_changed(form.values, step)))
    try:
        return _save(request, form, visitor) if step == "save" else _create(request, form, visitor)
    except VigieError as error:
        audit.record_refusal(visitor.services, visitor.actor, "vm.create", error)
        shown = refused(form, create_form.named_as_in_form(error, form), visitor)
    with reading(visitor) as ctx:
        ctx.require("vm.create")
        return _draw(request, ctx, shown)


@router.post("/vms/new/summary", name="vm.preview")
def summary(request: Request, form: Posted, visitor: HostCaller) -> Response:
    """What would be made, or what is still missing."""
    with reading(visitor) as ctx:
        ctx.require("vm.create")
        try:
            spec = create_form.spec_of(form)
            names = create_form.batch_of(form, spec).names()
            plan = create.preview_vm(ctx, spec.model_copy(update={"name": names[0]}))
        except VigieError as error:
            shown = refused(form, create_form.named_as_in_form(error, form), visitor)
            return render(request, ctx, "vms/_new_summary.html", plan=None, names=[], form=shown)
        return render(request, ctx, "vms/_new_summary.html", plan=plan, names=names, form=Shown(form.values))


@router.post("/vms/new/delete-preset", name="preset.delete")
def delete_preset(request: Request, form: Posted, visitor: HostCaller) -> Response:
    """Delete a VM preset."""
    with transaction(visitor) as ctx:
        presets.delete_preset(ctx, form["spec"])
        message = ctx.translate(N_("The preset was deleted."))
    return go(request, "/vms/new", toast=("ok", message))


def _create(request: Request, form: Form, visitor: Visitor) -> Response:
    spec = create_form.spec_of(form)
    batch = create_form.batch_of(form, spec)
    with transaction(visitor) as ctx:
        if not create_form.is_batch(form):
            (name,) = batch.names()
            task = create.create_vm(ctx, spec.model_copy(update={"name": name}))
            message = ctx.say(N_("%(name)s is being made."), {"name": name})
            return go(request, f"/tasks/{task.id}", toast=("ok", message))
        done = create.create_many(ctx, batch)
        if not done.tasks:
            why = done.refused[0].problem
            raise InvalidInput("name", why.why or why.title)
        message = ctx.say(
            N_("%(count)d VMs are being made; %(refused)d could not be."),
            {"count": len(done.tasks), "refused": len(done.refused)},
        )
        return go(request, f"/tasks?batch={done.batch_id}", toast=("warn" if done.refused else "ok", message))


def _save(request: Request, form: Form, visitor: Visitor) -> Response:
    spec = create_form.spec_of(form)
    with transaction(visitor) as ctx:
        created = presets.save_preset(ctx, VmPresetSpec(name=form["spec_name"] or spec.name, spec=spec))
        message = ctx.say(N_("The preset “%(name)s” was saved."), {"name": created.name})
    return go(request, f"/vms/new?spec={created.id}", toast=("ok", message))


def _draw(request: Request, ctx: Ctx, form: Shown) -> Response:
    alone = is_htmx(request) and request.headers.get("hx-target", "").endswith("#vm-new")
    offered = choices.list_choices(ctx, form.values.get("host_id") or None)
    response = render(
        request,
        ctx,
        "vms/_new.html" if alone else "vms/new.html",
        status=form.status,
        form=form,
        choices=offered,
        os_variants=os_variants.list_os_variants(ctx).items,
        specs=presets.list_presets(ctx).items,
        page=NewVmPage(form, offered),
        is_opened=not alone,
        disk_words={name: create_form.options_of(DiskSpec, name) for name in ("cache", "io")},
        nic_words={name: create_form.options_of(NicSpec, name) for name in ("model", "direct_mode")},
    )
    response.headers["HX-Trigger"] = "vigie:redrawn"  # the summary is asked for again
    return response
