"""Power verbs as they are asked for: for one VM, for many at once, and as buttons that say why they cannot be used."""

from __future__ import annotations

from app.access import audit
from app.access.context import Ctx
from app.access.find import preload
from app.core.errors import VigieError
from app.core.hosts.states import status_of
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.problems import problem_of
from app.core.records import Ref
from app.core.tasks.records import BulkRecord, BulkRefusal, TaskRecord
from app.core.vms.power import VmVerb
from app.core.vms.records import VerbRecord, VmRecord
from app.core.vms.specs import ActionOptions, BulkAction
from app.db.models import Host, Vm
from app.services.vms.host_access import HOST_ACCESS
from app.services.vms.power.power_operation import VERBS, PowerOperation, PowerParameters
from app.tasks import tasks
from app.tasks.locks import busy
from app.tasks.submit import submit, supersedes


def act(ctx: Ctx, vm_id: str, verb: VmVerb, options: ActionOptions) -> TaskRecord:
    """Ask for a power verb; the answer is the task. Raises Conflict with the reason, Busy with the other task."""
    return tasks.record_of(ctx, submit(ctx, VERBS[verb], _parameters(ctx, vm_id, options)))


def act_many(ctx: Ctx, action: BulkAction) -> BulkRecord:
    """Ask for one verb on many VMs: a task for each that allows it, a reason for each other."""
    operation = VERBS[action.verb]
    ctx.require(operation.privilege)
    batch_id = new_id(ObjectKind.TASK)
    names = {vm.id: vm.name for vm in preload(ctx, Vm, action.ids)}
    started: list[TaskRecord] = []
    refused: list[BulkRefusal] = []
    for vm_id in sorted(set(action.ids)):  # in one order, so that two requests never wait for each other
        try:
            task = submit(ctx, operation, _parameters(ctx, vm_id, action), batch_id=batch_id)
            started.append(tasks.record_of(ctx, task))
        except VigieError as error:
            vm = Ref(kind=ObjectKind.VM, id=vm_id, name=names.get(vm_id, vm_id))
            audit.record(ctx, operation.kind, target=vm, outcome="refused", code=error.code)
            refused.append(BulkRefusal(vm=vm, problem=problem_of(error, ctx.translate)))
    return BulkRecord(batch_id=batch_id, tasks=started, refused=refused)


def allowed_verbs(ctx: Ctx, vm: Vm, host: Host, record: VmRecord) -> list[VerbRecord]:
    """The verbs that the reader may use on the VM; those that cannot be used now say why."""
    return [
        _offer(ctx, operation, vm, host, record)
        for operation in VERBS.values()
        if ctx.can(operation.privilege, vm)
    ]


def _offer(ctx: Ctx, operation: type[PowerOperation], vm: Vm, host: Host, record: VmRecord) -> VerbRecord:
    refused = operation.refuse(vm, status_of(host.connection, host.admin_state), host.mode)
    code = why = hint = None
    if refused is not None:
        code, why, hint = refused.code, ctx.say(refused.reason, refused.params), ctx.translate(refused.hint)
    elif record.task is not None and not supersedes(operation, record.task):
        error = busy(ctx, record.task)
        code = error.code
        _, why, hint = error.texts(ctx.translate)
    return VerbRecord(
        verb=operation.verb.value,
        title=ctx.translate(operation.title),
        allowed=code is None,
        confirm=operation.confirm,
        code=code,
        why=why,
        hint=hint,
    )


def _parameters(ctx: Ctx, vm_id: str, options: ActionOptions) -> PowerParameters:
    values = options.model_dump(include=set(ActionOptions.model_fields))
    return PowerParameters(target_id=vm_id, **values, host_access=ctx.can(HOST_ACCESS))
