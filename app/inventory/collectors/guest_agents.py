"""What guests say of themselves: name, operating system, addresses. Each is asked now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from app.core.errors import HostError, HypervisorRefused, VmGone
from app.core.inventory.reports import Hint, Parts
from app.core.vms.observations import GuestInfo, VmObservation
from app.core.vms.states import VmState
from app.hypervisor import Host
from app.inventory.batch import Batch
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Newest, Poll
from app.inventory.collectors.vms import VMS
from app.inventory.merged_report import Reading
from app.inventory.vms.guest_agents import observe_guests

FIRST_S = (3.0, 15.0, 45.0)  # after a start: while the guest boots and gets its address
EVERY_S = 600.0
AT_ONCE = 4
HUNG_RETRY_S = 60.0  # until a guest that hung is asked again
SIMULATED = "test"
_STARTS = frozenset({"started", "agent", "rebooted", "resumed"})
Guests = Mapping[str, GuestInfo]  # by the UUID of the VM


class GuestSchedule:
    """When to ask which guest of one host. All lanes may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, tuple[float, int]] = {}  # by UUID: when to ask, how often asked

    def learn(self, vm: VmObservation, *, started: bool) -> None:
        """Plan to ask the guest of a VM that was read with its definition; do not when it cannot answer."""
        definition = vm.definition
        if definition is None:
            return
        askable = definition.has_agent_channel or any(nic.kind == "network" for nic in definition.nics)
        # Simulated guests have nothing to say, and asking them ends libvirt's test driver.
        askable = askable and definition.hypervisor != SIMULATED
        if vm.state is not VmState.RUNNING or not askable:
            self.forget(vm.uuid)
            return
        with self._lock:
            if started or vm.uuid not in self._due:
                self._due[vm.uuid] = (time.monotonic() + (1.0 if started else FIRST_S[0]), 0)

    def keep_only(self, uuids: Mapping[str, object]) -> None:
        """Forget all other VMs."""
        with self._lock:
            self._due = {uuid: due for uuid, due in self._due.items() if uuid in uuids}

    def forget(self, uuid: str) -> None:
        """Ask this one no more."""
        with self._lock:
            self._due.pop(uuid, None)

    def asked(self, uuid: str) -> None:
        """It was asked: plan the next time."""
        with self._lock:
            if uuid in self._due:
                times = self._due[uuid][1] + 1
                pause = FIRST_S[times] if times < len(FIRST_S) else EVERY_S
                self._due[uuid] = (time.monotonic() + pause, times)

    def put_off(self, uuid: str) -> None:
        """It hangs."""
        with self._lock:
            if uuid in self._due:
                self._due[uuid] = (time.monotonic() + HUNG_RETRY_S, self._due[uuid][1])

    def due(self, now: float) -> list[str]:
        """UUIDs of those to ask now, the longest due first."""
        with self._lock:
            due = sorted((when, uuid) for uuid, (when, _) in self._due.items() if when <= now)
        return [uuid for _, uuid in due[:AT_ONCE]]

    @property
    def next_due(self) -> float | None:
        """When the next is due; None when there is none."""
        with self._lock:
            return min((due for due, _ in self._due.values()), default=None)


def ask_guests(memory: HostMemory, host: Host) -> Parts:
    """Ask the guests that are due, a few at a time. One that hangs is put off, and ends the round."""
    schedule = memory.of(GuestSchedule)
    answers: dict[str, GuestInfo] = {}
    for uuid in schedule.due(time.monotonic()):
        try:
            answers[uuid] = host.guest_info(uuid)
        except VmGone:
            schedule.forget(uuid)
            continue
        except HypervisorRefused:
            pass  # a guest that cannot be asked now is asked again later
        except HostError:
            if not host.is_open:
                raise
            # This guest hangs, not the host: the connection for questions was cut, and is made again.
            schedule.put_off(uuid)
            break
        schedule.asked(uuid)
    return GUESTS.part(answers) if answers else {}


ASK = Poll("guests", Lane.SLOW, slack_s=60.0, read=ask_guests)


class GuestsCollector(Collector[Guests]):
    """Keeps what guests say beside their VMs."""

    name = "guests"
    polls = (ASK,)

    def derive(self, memory: HostMemory, parts: Parts, hints: Sequence[Hint]) -> Parts:
        """Plan whom to ask, from the VMs that were read."""
        vms = VMS.of(parts)
        if vms is None:
            return {}
        schedule = memory.of(GuestSchedule)
        started = {hint.uuid for hint in hints if hint.what in _STARTS}
        for vm in vms.listed.values():
            schedule.learn(vm, started=vm.uuid in started)
        for uuid in vms.gone:
            schedule.forget(uuid)
        if vms.is_full:
            schedule.keep_only(vms.listed)
        return {}

    def wanted(self, memory: HostMemory, now: float) -> Mapping[str, float]:
        """The next guest."""
        due = memory.of(GuestSchedule).next_due
        return {} if due is None else {ASK.name: due}

    def admit(self, value: Guests, newest: Newest, began_s: float) -> Guests | None:
        """Each guest is asked by one thread at a time: answers come in order."""
        return value

    def merge(self, earlier: Guests, later: Guests) -> Guests:
        """The later answer of each guest."""
        return {**earlier, **later}

    def write(self, batch: Batch, readings: Sequence[Reading[Guests]]) -> None:
        """Write answers that are others than before."""
        observe_guests(batch, readings)


GUESTS = GuestsCollector()
