"""Change a network, or have an earlier definition count again."""

from __future__ import annotations

import hashlib

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import Conflict, EditConflict
from app.core.messages import N_
from app.core.networks.rules import check
from app.core.networks.specs import NetworkPatch, NetworkPlan
from app.core.tasks.records import TaskRecord
from app.db.models import Network
from app.services.networks.create import check_place
from app.services.networks.networks import version_of
from app.services.networks.operation import (
    NetworkOperation,
    NetworkParameters,
    look,
    network_and_host,
    plan_of,
    show,
)
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import changed_meanwhile
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit

CHANGE = "change"  # the note that the change has begun: from then on the definition may be another


class ChangeNetworkParameters(NetworkParameters):
    """The network as it is to be. `digest` is that of the definition which the submitter saw."""

    plan: NetworkPlan | None = None
    digest: str | None = None
    autostart: bool | None = None


@declare
class ChangeNetwork(NetworkOperation[ChangeNetworkParameters]):
    """Change the lasting definition, what runs as far as libvirt can, and the start with the host."""

    kind = "network.change"
    title = N_("Change the network")
    parameters = ChangeNetworkParameters
    redefines = True
    explains = frozenset({"network.changed"})

    def check(self, ctx: Ctx, parameters: ChangeNetworkParameters) -> Plan:
        """Bridge and subnets must be free on the host. Raises Conflict, InvalidInput naming the field."""
        plan = super().check(ctx, parameters)
        network, host = network_and_host(ctx.session, parameters.target_id)
        if not network.persistent:
            raise Conflict(
                N_("This cannot be done now."),
                why=N_("The network is transient: the host forgets it when it stops."),
                hint=N_("Define it on its host first, for example with virsh net-define."),
                code="not_persistent",
            )
        if parameters.plan is not None:
            check_place(ctx, host, parameters.plan, but=network.id)
        return plan

    def run(self, context: TaskContext, parameters: ChangeNetworkParameters) -> Outcome:
        """Change it, unless it is not what the submitter saw any more."""
        uuid, plan, on = parameters.uuid, parameters.plan, parameters.autostart
        seen = look(context, uuid)
        if (
            plan is not None
            and not context.created_resources
            and parameters.digest not in (None, seen.digest)
        ):
            raise changed_meanwhile()
        context.note_creating(kind=CHANGE, uuid=uuid)
        if plan is not None:
            context.call(lambda host: host.networks.change(uuid, plan))
        if on is not None and on is not seen.autostart:
            context.call(lambda host: host.networks.set_autostart(uuid, on))
        networks = show(context)
        found = next((network for network in networks if network.uuid == uuid), None)
        if found is not None and found.live_xml is not None:
            return Outcome(
                N_("The definition is changed; a part of it counts after the network restarts."),
                result={"after_restart": True},
            )
        return Outcome(N_("The network is changed."), result={"after_restart": False})


class RestoreNetworkParameters(NetworkParameters):
    """The definition that is to count again. `digest` is that of the definition which the submitter saw."""

    xml: str
    digest: str | None = None


@declare
class RestoreNetwork(NetworkOperation[RestoreNetworkParameters]):
    """Have an earlier definition count again; what runs stays until the network restarts."""

    kind = "network.define"
    title = N_("Restore the definition of the network")
    parameters = RestoreNetworkParameters
    redefines = True
    explains = frozenset({"network.changed"})

    def check(self, ctx: Ctx, parameters: RestoreNetworkParameters) -> Plan:
        """The network must have a lasting definition. Raises Conflict (not_persistent)."""
        plan = super().check(ctx, parameters)
        if not network_and_host(ctx.session, parameters.target_id)[0].persistent:
            raise Conflict(
                N_("This cannot be done now."),
                why=N_("Its host forgets it when it stops."),
                hint=N_("Define it on its host first."),
                code="not_persistent",
            )
        return plan

    def run(self, context: TaskContext, parameters: RestoreNetworkParameters) -> Outcome:
        """Define it, unless it is not what the submitter saw any more."""
        seen = look(context, parameters.uuid)
        if not context.created_resources and parameters.digest != seen.digest:
            raise changed_meanwhile()
        context.note_creating(kind=CHANGE, uuid=parameters.uuid)
        context.call(lambda host: host.networks.redefine(parameters.xml))
        show(context)
        if seen.active:
            return Outcome(N_("The definition counts again after the network restarts."))
        return Outcome(N_("The definition counts again."))


def change_network(
    ctx: Ctx, network_id: str, patch: NetworkPatch, expected_version: int | None = None
) -> TaskRecord:
    """Ask for a change. Raises EditConflict when the definition is not the one that was seen, InvalidInput."""
    network = find(ctx, Network, network_id, "network.edit")
    if expected_version is not None and expected_version != version_of(network):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
    changes = patch.model_dump(exclude_unset=True, exclude={"autostart"})
    plan, digest = None, None
    if changes:
        before = plan_of(network)
        plan = NetworkPlan.model_validate({**before.model_dump(), **_kept(before, changes)})
        check(plan)
        digest = hashlib.sha256((network.xml or "").encode(errors="surrogatepass")).hexdigest()
    parameters = ChangeNetworkParameters(
        target_id=network.id,
        host_id=network.host_id,
        uuid=network.uuid,
        plan=plan,
        digest=digest,
        autostart=patch.autostart,
    )
    return tasks.record_of(ctx, submit(ctx, ChangeNetwork, parameters))


def restore_network(ctx: Ctx, network_id: str, xml: str) -> TaskRecord:
    """Have this definition of a network count again. Raises Conflict (not_persistent), Busy."""
    network = find(ctx, Network, network_id, "network.edit")
    digest = hashlib.sha256((network.xml or "").encode(errors="surrogatepass")).hexdigest()
    parameters = RestoreNetworkParameters(
        target_id=network.id, host_id=network.host_id, uuid=network.uuid, xml=xml, digest=digest
    )
    return tasks.record_of(ctx, submit(ctx, RestoreNetwork, parameters))


def editable(ctx: Ctx, network_id: str) -> NetworkPlan:
    """What the edit form begins with. Raises NotFound, Conflict (not_editable)."""
    return plan_of(find(ctx, Network, network_id, "network.edit"))


def _kept(before: NetworkPlan, changes: dict[str, object]) -> dict[str, object]:
    """The changes; null stands for the default where there is one that is not null."""
    defaults = {name: about.default for name, about in NetworkPlan.model_fields.items()}
    return {
        name: (defaults[name] if defaults[name] is not None and value is None else value)
        for name, value in changes.items()
        if name in NetworkPlan.model_fields
    }
