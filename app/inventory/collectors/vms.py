"""VMs of hosts: complete readings, listings of states, single re-readings after events, saved definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.errors import VmGone
from app.core.inventory.rates import usage_between
from app.core.inventory.reports import Hint, Parts
from app.core.vms.observations import VmObservation
from app.hypervisor import Host
from app.inventory.batch import Batch
from app.inventory.collectors.collector import (
    EVENTS,
    FIRST_HOSTS_PER_S,
    Collector,
    HostMemory,
    Lane,
    Load,
    Newest,
    Poll,
)
from app.inventory.collectors.usage import USAGE, UsageReading
from app.inventory.collectors.vm_memory import UsageMemory, VmMemory
from app.inventory.merged_report import Reading
from app.inventory.vms.mirror import VmMirror
from app.inventory.vms.readings import VmReading, VmReadings, admit, join_saved, merge

READ_ALL_ABOVE = 50  # VMs of one host to be read again: from here on a complete reading is cheaper
# After a reconnect states are read again and again for a while: a daemon that restarted first lists VMs as it
# remembers them, and finds out later, without an event, which of them have died meanwhile.
SETTLING_POLL_S = 1.5
FIRST_SAVED_PER_S = 40.0  # hosts whose saved definitions are read first in a fleet that connects
DEFINITIONS_CALLS_PER_S = (
    300.0  # round trips that this poll may cost over all hosts; beyond, hosts are read less often
)


def read_all(memory: HostMemory, host: Host) -> Parts:
    """All VMs with their definitions."""
    vms = host.read_vms()
    memory.of(VmMemory).learn_all(vms)
    return VMS.part(VmReadings.listing(vms))


def read_states(memory: HostMemory, host: Host) -> Parts:
    """States and usage. States that are as they were last time are not reported again."""
    known, usage = memory.of(VmMemory), memory.of(UsageMemory)
    readings = known.readings
    vms, sample = host.poll()
    host_usage, vm_usage = usage_between(usage.sample, sample)
    usage.sample = sample
    known.learn_sample(sample)
    parts = USAGE.part(UsageReading(host_usage, vm_usage, sample))
    if known.is_new_listing(vms, readings):
        parts |= VMS.part(VmReadings.listing(vms))
    return parts


def read_saved(memory: HostMemory, host: Host) -> Parts:
    """What running VMs will be after their power-off: a complete reading does not tell it."""
    known = memory.of(VmMemory)
    wanted = known.take_unsaved()
    try:
        found, marks = host.read_saved(wanted)
    except BaseException:
        known.put_back_unsaved(wanted)
        raise
    known.saved_marks |= marks
    return VMS.part(VmReadings(saved=found)) if found else {}


def check_definitions(memory: HostMemory, host: Host) -> Parts:
    """Saved definitions of running VMs that are not as they were reported last.

    VMs that are off with another definition than was read last are read with the next events.
    """
    known = memory.of(VmMemory)
    found, known.saved_marks = host.read_saved(marks=known.saved_marks)
    off = host.read_marks()
    known.compare_marks(off)
    memory.calls[DEFINITIONS.name] = 2 + len(known.saved_marks) + len(off)
    return VMS.part(VmReadings(saved=found)) if found else {}


def first_states_s(load: Load) -> float:
    """The first polls of a large fleet come when its first reading is about done."""
    return load.hosts / FIRST_HOSTS_PER_S + load.soon * load.settings.refresh_s


def first_saved_s(load: Load) -> float:
    """Saved definitions follow the facts."""
    return min(1.0, load.hosts / FIRST_HOSTS_PER_S) + load.soon * load.hosts / FIRST_SAVED_PER_S


def definitions_s(load: Load) -> float:
    """Seconds between two looks at the definitions of a host."""
    return max(load.settings.recheck_s, load.hosts * load.calls / DEFINITIONS_CALLS_PER_S)


SYNC = Poll(
    "sync",
    Lane.PROMPT,
    slack_s=1.0,
    read=read_all,
    every_s=lambda load: load.settings.resync_s * load.spread,
)
STATES = Poll(
    "poll",
    Lane.STATISTICS,
    slack_s=20.0,  # the first reading of a whole fleet goes before what only refreshes
    read=read_states,
    every_s=lambda load: load.settings.refresh_s,
    first_s=first_states_s,
    settling_s=SETTLING_POLL_S,
)
SAVED = Poll("saved", Lane.SLOW, slack_s=120.0, read=read_saved, first_s=first_saved_s)
DEFINITIONS = Poll(
    "definitions",
    Lane.SLOW,
    slack_s=15.0,
    read=check_definitions,
    every_s=definitions_s,
    first_s=lambda load: load.first_recheck_s,
    hangs_alone=True,
)


class VmsCollector(Collector[VmReadings]):
    """Mirrors VMs: see `inventory.vms`. SYNC is the reading with which a connection comes in sync."""

    name = "vms"
    events = "vm"
    polls = (SYNC, STATES, SAVED, DEFINITIONS)

    def follow(self, memory: HostMemory, host: Host, hints: Sequence[Hint]) -> Parts:
        """The VMs that events named, and those that were found changed without an event."""
        known = memory.of(VmMemory)
        uuids = dict.fromkeys([*(hint.uuid for hint in hints if hint.uuid), *known.take_unread()])
        if len(uuids) > READ_ALL_ABOVE:
            return read_all(memory, host)
        vms: list[VmObservation] = []
        gone: list[str] = []
        for uuid in uuids:
            try:
                vms.append(host.read_vm(uuid))
                known.learn(vms[-1])
            except VmGone:
                gone.append(uuid)
                known.forget(uuid)
        known.count_readings(len(uuids))
        return self.part(VmReadings.single(*vms, gone=gone)) if uuids else {}

    def reconnected(self, memory: HostMemory) -> None:
        """Counters of an earlier connection are of no use."""
        memory.of(UsageMemory).sample = None

    def wanted(self, memory: HostMemory, now: float) -> Mapping[str, float]:
        """VMs that were found changed without an event, at once."""
        return {EVENTS: now} if memory.of(VmMemory).has_unread else {}

    def admit(self, value: VmReadings, newest: Newest, began_s: float) -> VmReadings | None:
        """See `vms.readings.admit`."""
        return admit(value, newest.times, began_s)

    def merge(self, earlier: VmReadings, later: VmReadings) -> VmReadings:
        """See `vms.readings.merge`."""
        return merge(earlier, later)

    def write(self, batch: Batch, readings: Sequence[VmReading]) -> None:
        """Write VMs that appeared, changed, moved or are missing, with their definitions and events."""
        joined = {reading.host_id: Reading(reading.merged, join_saved(reading.value)) for reading in readings}
        VmMirror(batch, joined).run()


VMS = VmsCollector()
