"""What the power verbs of a VM have in common: each is a class, which pages, API and command line read."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from app.access.context import Ctx
from app.access.find import ref
from app.core.errors import Conflict
from app.core.hosts.refusals import HOST_DISABLED, HOST_OBSERVED, Refusal
from app.core.hosts.states import HOST_STATUS_TITLES, HostMode, HostStatus, status_of
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.core.vms.states import VM_STATE_TITLES, VmState, titles_of
from app.services.vms.operation import VmOperation, vm_and_host
from app.tasks import catalogue
from app.tasks.operation import Parameters, Plan

RUNNING = frozenset({VmState.RUNNING})
OFF = frozenset({VmState.SHUTOFF, VmState.CRASHED})
ACTIVE = frozenset({VmState.RUNNING, VmState.PAUSED, VmState.SUSPENDED})
KNOWN = ACTIVE | OFF | {VmState.SAVED}
# The host looks at these itself when the task runs, and better than the mirror.
_SEEN_BY_HOST = frozenset({"wrong_state", "already_so", "host_not_connected"})


class PowerFacts(Protocol):
    """What of a VM's row decides which verbs it allows."""

    @property
    def state(self) -> str:
        """The VM's state as last seen."""

    @property
    def persistent(self) -> bool:
        """Whether its host keeps its definition."""

    @property
    def autostart(self) -> bool:
        """Whether it starts with its host."""


class PowerParameters(Parameters):
    """Options of a verb; those of other verbs have their defaults. Times are seconds.

    `host_access`: whoever submitted it may have guests reach their hosts.
    """

    method: Literal["auto", "agent", "acpi"] = "auto"
    timeout_s: int = 120
    force_after_timeout: bool = False
    host_access: bool = False


class PowerOperation(VmOperation[PowerParameters]):
    """A power verb: the states that it is allowed in, and how it is asked for.

    `confirm`: it asks before it acts, since the guest may lose data. `question`: what is said before it stops or
    interrupts many guests at once. `needs_persistent`: not for a VM that its host forgets. `needs_qemu`: the VM's QEMU
    process itself carries it out, so not while it is known not to answer.
    """

    verb: ClassVar[VmVerb]
    parameters = PowerParameters
    privilege: ClassVar[str] = "vm.power"
    states: ClassVar[frozenset[VmState]]
    confirm: ClassVar[bool] = False
    question: ClassVar[str | None] = None
    needs_persistent: ClassVar[bool] = False
    needs_qemu: ClassVar[bool] = False

    def check(self, ctx: Ctx, parameters: PowerParameters) -> Plan:
        """Refuse what the VM's state forbids. Raises Conflict."""
        vm, host = vm_and_host(ctx.session, parameters.target_id)
        refused = self.refuse(vm, status_of(host.connection, host.admin_state), host.mode)
        if refused is not None and not (ctx.begins and refused.code in _SEEN_BY_HOST):
            raise refused_error(refused)
        return Plan(ref(vm), ref(host))

    @classmethod
    def refuse(cls, vm: PowerFacts, host_status: HostStatus, host_mode: str) -> Refusal | None:
        """Why the verb cannot be done on a VM in this state on a host of this status, or None when it can."""
        if host_mode == HostMode.OBSERVE:
            return HOST_OBSERVED
        if host_status is HostStatus.DISABLED:
            return HOST_DISABLED
        if not host_status.is_usable:
            return Refusal(
                "host_not_connected",
                N_("The host is not connected (%(state)s), so the VM's real state is not known."),
                {"state": [HOST_STATUS_TITLES[host_status]]},
                N_("Wait until the host answers again, or look at the host's page for the reason."),
            )
        state = VmState(vm.state)
        if state not in cls.states:
            return Refusal(
                "wrong_state",
                N_("The VM's state is “%(state)s”; this needs: %(allowed)s."),
                {"state": [VM_STATE_TITLES[state]], "allowed": titles_of(cls.states)},
                N_("Bring the VM to one of these states first."),
            )
        if cls.needs_persistent and not vm.persistent:
            return Refusal(
                "not_persistent",
                N_("The VM is transient: the host forgets it when it stops."),
                {},
                N_("Define the VM on its host first, for example with virsh define."),
            )
        return cls.refuse_needless(vm)

    @classmethod
    def refuse_needless(cls, vm: PowerFacts) -> Refusal | None:
        """Why there is nothing to do, or None."""
        return None


def power(cls: type[PowerOperation]) -> type[PowerOperation]:
    """Declare a power verb, as a decorator of its class."""
    cls.kind = f"vm.{cls.verb.value}"
    VERBS[cls.verb] = cls
    return catalogue.declare(cls)


VERBS: dict[VmVerb, type[PowerOperation]] = {}
"""Every power verb, in the order in which they are shown."""


def refused_error(refused: Refusal) -> Conflict:
    """The error for a verb that cannot be done now."""
    return Conflict(
        N_("This cannot be done now."),
        why=refused.reason,
        hint=refused.hint,
        code=refused.code,
        params=refused.params,
    )
