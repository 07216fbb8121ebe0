"""Adding a host in three steps: where it is and how to sign in, who it is, what works on it.

Every step is one POST of the whole form to the same address; `step` says what its button asked for. The
values of earlier steps travel along in hidden fields, so nothing is lost by an error or by going back. A
secret that is typed here becomes a credential at once and is never sent back to the browser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fastapi import Request
from starlette.responses import Response

from app.access import audit
from app.access.context import Ctx
from app.core.access.specs import CredentialSpec
from app.core.errors import IdentityUnconfirmed, VigieError
from app.core.hosts.endpoints import Endpoint, make_endpoint, parse_uri
from app.core.hosts.records import HostCheck, HostDetail
from app.core.hosts.specs import HostSpec, HostTarget
from app.core.hosts.states import Transport
from app.core.messages import N_
from app.services.hosts import credentials, hosts
from app.web.auth import Visitor
from app.web.deps import HostCaller, Reader, SignedRouter
from app.web.pages.rendering.forms import Form, Posted, Shown, reading, refused, transaction
from app.web.pages.rendering.inventory_options import credential_options, datacenter_options
from app.web.pages.rendering.render import go, is_htmx, render

router = SignedRouter(include_in_schema=False)

Step = Literal["where", "identity", "check"]
SECRETS = ("private_key", "passphrase", "password", "certificate", "ca_certificate")
WHERE = ("uri", "transport", "address", "port", "user", "socket")


@dataclass(frozen=True, slots=True)
class Wizard:
    """What the page draws: the step, the form so far, and what was learned of the host."""

    step: Step
    form: Shown
    fingerprint: str | None = None
    endpoint: Endpoint | None = None
    check: HostCheck | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is the step of address and sign-in."""
        return self.step == "where"


@router.get("/hosts/new")
def ask(request: Request, ctx: Reader) -> Response:
    """The empty form."""
    ctx.require("host.add")
    start = {"way": "uri", "sign_in": "", "datacenter_id": request.query_params.get("datacenter_id", "")}
    return _draw(request, ctx, Wizard("where", Shown(start)))


@router.post("/hosts/new", name="host.add")
def go_on(request: Request, form: Posted, visitor: HostCaller) -> Response:
    """Do what the button of the step asked for, and show the step that follows."""
    if form["step"] == "where":
        with reading(visitor) as ctx:
            return _draw(request, ctx, Wizard("where", Shown(form.values)))
    try:
        form = _with_credential(visitor, form)
        if form["step"] == "add":
            host = hosts.add_host(visitor.services, visitor.actor, visitor.translate, _spec(form))
            return _added(request, visitor, host)
        wizard = _look(visitor, form)
    except VigieError as error:
        audit.record_refusal(visitor.services, visitor.actor, "host.add", error)
        wizard = _after_error(visitor, form, error)
    with reading(visitor) as ctx:
        return _draw(request, ctx, wizard)


def _added(request: Request, visitor: Visitor, host: HostDetail) -> Response:
    message = visitor.translate(N_("%(name)s is added; its VMs appear in a moment.")) % {"name": host.name}
    return go(request, f"/hosts/{host.id}", toast=("ok", message))


def _look(visitor: Visitor, form: Form) -> Wizard:
    """Ask the host who it is, or, once that is confirmed, what works on it."""
    target = form.read(HostTarget, **_where(form))
    try:
        check = hosts.check_host(visitor.services, visitor.actor, visitor.translate, target)
    except IdentityUnconfirmed as seen:
        return Wizard("identity", Shown(form.values), seen.fingerprint, _endpoint(target))
    values = dict(form.values)
    values.setdefault("name", check.hostname.partition(".")[0])
    if not values["name"]:
        values["name"] = check.hostname.partition(".")[0]
    return Wizard("check", Shown(values), check=check)


def _endpoint(target: HostTarget) -> Endpoint:
    """Where the target is, for the commands that compare identities; it was checked before."""
    if target.uri:
        return parse_uri(target.uri)
    return make_endpoint(
        Transport(target.transport or Transport.SSH),
        address=target.address or "",
        port=target.port,
        user=target.user,
        socket=target.socket,
    )


def _after_error(visitor: Visitor, form: Form, error: VigieError) -> Wizard:
    """Stay at the first step, which holds the fields, unless the name or the like was wrong at the last."""
    shown = refused(form, error, visitor)
    if form["step"] == "add" and not set(shown.errors) & {*WHERE, "credential_id"}:
        try:
            return replace(_look(visitor, form), form=shown)
        except VigieError as again:
            shown = refused(form, again, visitor)
    return Wizard("where", shown)


def _with_credential(visitor: Visitor, form: Form) -> Form:
    """Make the credential that was typed, and go on with it as if it had been chosen."""
    kind = form["sign_in"]
    if kind not in ("ssh_key", "ssh_password", "tls"):
        return form
    name = form["credential_name"] or form["address"] or form["name"] or kind
    spec = form.read(CredentialSpec, kind=kind, name=name)
    with transaction(visitor) as ctx:
        credential = credentials.create_credential(ctx, spec)
    values = {key: value for key, value in form.values.items() if key not in SECRETS}
    return Form({**values, "sign_in": "", "credential_id": credential.id}, form.lists)


def _where(form: Form) -> dict[str, object]:
    """Only one of the two ways counts: what was typed in the other is kept, but not used."""
    if form["way"] == "fields":
        return {"uri": None, **({} if form["transport"] else {"transport": None})}
    return dict.fromkeys(WHERE[1:]) | {"uri": form["uri"]}


def _spec(form: Form) -> HostSpec:
    return form.read(HostSpec, **_where(form), tags=form.tags, notes=form["notes"])


def _draw(request: Request, ctx: Ctx, wizard: Wizard) -> Response:
    alone = is_htmx(request) and request.headers.get("hx-target", "").endswith("#host-new")
    return render(
        request,
        ctx,
        "hosts/_new.html" if alone else "hosts/new.html",
        status=wizard.form.status,
        wizard=wizard,
        form=wizard.form,
        credentials=credential_options(ctx),
        datacenters=datacenter_options(ctx),
    )
