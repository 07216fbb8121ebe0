"""Create a network filter on a host."""

from __future__ import annotations

import hashlib
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import known, look_up, ref, unrestricted
from app.core.errors import Conflict, InvalidInput
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.nwfilters import NwfilterPlan, NwfilterSpec
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.db.models import Host, Nwfilter
from app.hypervisor.xml.nwfilters import read_plan
from app.services.hosts.manageable import require_manageable
from app.services.networks.nwfilters.operation import NwfilterParameters, show
from app.services.networks.undo import NWFILTER
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import IdentityClaim, Locks, Operation, Outcome, Plan, Touch
from app.tasks.submit import submit


class CreateNwfilterParameters(NwfilterParameters):
    """The filter to be, and the UUID that it gets."""

    plan: NwfilterPlan


@declare
class CreateNwfilter(Operation[CreateNwfilterParameters]):
    """Define a filter."""

    kind = "nwfilter.create"
    title = N_("Create the network filter")
    parameters = CreateNwfilterParameters
    creates = True
    explains = frozenset({"nwfilter.appeared"})

    def touches(self, parameters: CreateNwfilterParameters) -> tuple[Touch, ...]:
        """The host."""
        return (Touch(Host, parameters.host_id, "network.edit"),)

    def check(self, ctx: Ctx, parameters: CreateNwfilterParameters) -> Plan:
        """The name must be free on the host, and what it refers to be there. Raises Conflict, InvalidInput."""
        host = known(ctx, Host, parameters.host_id)
        require_manageable(ctx, host)
        _check_name(ctx, host, parameters.plan.name)
        check_references(ctx.session, host.id, parameters.plan)
        return Plan(
            Ref(kind=ObjectKind.NWFILTER, id=parameters.target_id, name=parameters.plan.name),
            ref(host),
            Locks(holds={_name_lock(host.id, parameters.plan.name)}),
            claims=(IdentityClaim(host.id, parameters.uuid, parameters.target_id),),
        )

    def run(self, context: TaskContext, parameters: CreateNwfilterParameters) -> Outcome:
        """Define it, unless the host has another of its name by now."""
        uuid, plan = parameters.uuid, parameters.plan
        if context.note_creating(kind=NWFILTER, uuid=uuid) and context.call(
            lambda host: host.nwfilters.find(plan.name)
        ):
            raise TaskFailed(
                "name_taken",
                N_("The name is taken."),
                why=N_("The host has a network filter “%(name)s” already."),
                hint=N_("Choose another name."),
                params={"name": plan.name},
            )
        if context.call(lambda host: host.nwfilters.find(uuid)) is None:
            context.call(lambda host: host.nwfilters.create(plan, uuid))
        show(context)
        result = {"uuid": uuid, "nwfilter_id": parameters.target_id}
        return Outcome(N_("The network filter is created."), result=result)


def create_nwfilter(ctx: Ctx, spec: NwfilterSpec) -> TaskRecord:
    """Ask for a new network filter. Raises InvalidInput naming the field, Conflict, Busy."""
    ctx.require("network.edit")
    host = look_up(ctx, Host, spec.host_id)
    if host is None:
        raise InvalidInput("host_id", N_("names no host that you can see"))
    parameters = CreateNwfilterParameters(
        target_id=new_id(ObjectKind.NWFILTER),
        host_id=host.id,
        uuid=str(uuid4()),
        plan=NwfilterPlan.model_validate(spec.model_dump(exclude={"host_id"})),
    )
    return tasks.record_of(ctx, submit(ctx, CreateNwfilter, parameters))


def check_references(session: Session, host_id: str, plan: NwfilterPlan) -> None:
    """Filters that are referred to exist on the host, and none leads back to this one. Raises InvalidInput."""
    rows = session.execute(sa.select(Nwfilter.name, Nwfilter.xml).where(Nwfilter.host_id == host_id))
    texts: dict[str, str] = {row.name: row.xml for row in rows}
    for number, name in enumerate(plan.references):
        if name not in texts:
            raise InvalidInput(f"references.{number}", N_("names no network filter of this host"))
        if plan.name in _reached(name, texts):
            raise InvalidInput(f"references.{number}", N_("leads back to this filter"))


def _reached(name: str, texts: dict[str, str]) -> set[str]:
    """The filter and all that it refers to, also by way of others."""
    seen: set[str] = set()
    left = [name]
    while left:
        other = left.pop()
        if other not in seen and other in texts:
            seen.add(other)
            plan, _ = read_plan(texts[other])
            left += plan.references if plan else []
    return seen | {name}


def _name_lock(host_id: str, name: str) -> str:
    """One at a time with this name on a host; whatever its length, the lock fits."""
    return "filter " + hashlib.sha256(f"{host_id} {name}".encode()).hexdigest()


def _check_name(ctx: Ctx, host: Host, name: str) -> None:
    taken = sa.select(Nwfilter.id).where(Nwfilter.host_id == host.id, Nwfilter.name == name)
    if ctx.session.scalar(unrestricted(taken)):
        raise Conflict(
            N_("The name is taken."),
            why=N_("Host %(host)s has a network filter “%(name)s” already."),
            hint=N_("Choose another name."),
            code="name_taken",
            params={"host": host.name, "name": name},
        )
