"""What a coordinator reads of its host, and what it must remember to read no more than needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from app.core.errors import HostError, HypervisorRefused, VmGone
from app.core.hosts.compatibility import report as compatibility
from app.core.inventory.rates import usage_between
from app.core.inventory.reports import Hint, HostReport, HostSnapshot
from app.core.inventory.usage import UsageSample
from app.core.storage.observations import PoolObservation
from app.core.vms.observations import GuestInfo, VmObservation
from app.core.vms.states import VmState
from app.engine import chores
from app.engine.chores import DEFINITIONS, FILES, FILL, GUESTS, HINTS, NETWORKS, POLL, POOLS
from app.engine.disk_watch import DiskWatch
from app.engine.watch import LOOK_AGAIN_S, Watch
from app.hypervisor import Host

GUEST_FIRST_S = (3.0, 15.0, 45.0)  # after a start: while the guest boots and gets its address
GUEST_EVERY_S = 600.0
GUESTS_AT_ONCE = 4
HUNG_RETRY_S = 60.0  # until a guest or a pool that hung is asked again
SIMULATED = "test"
STIRRED_S = 0.5  # from the event of a pool to the reading of its volumes
STIRRED_EVERY_S = 10.0  # each part of an upload makes libvirt read the pool anew
READ_AGAIN = 3
READ_ALL_ABOVE = 50  # hinted VMs of one host: from here on a complete reading is cheaper


class Reader:
    """Reads one host. All lanes of its coordinator use it at the same time: what they share is behind the lock.

    What one lane hands to another is taken out as a whole when the work on it begins, so that what comes in
    meanwhile is kept for the next time.
    """

    def __init__(self, host_id: str) -> None:
        self._host_id = host_id
        self._lock = threading.Lock()
        self._seen: dict[
            str, int
        ] = {}  # by UUID: digest of the state that was last reported with a definition
        self._readings = (
            0  # single and complete ones: a listing that was begun before one of them is old news
        )
        self._listing = 0
        self._listed: tuple[VmObservation, ...] | None = None
        self._listed_at = 0
        self._sample: UsageSample | None = None
        self._watch = Watch()
        self._disks = DiskWatch()
        self._unsaved: set[str] = set()  # running VMs whose saved definition is still to be read
        # VMs of the last complete reading, until the facts are read; None once they were.
        self._whole: tuple[VmObservation, ...] | None = None
        self._guest_due: dict[str, tuple[float, int]] = {}  # by UUID: when to ask the guest, how often asked
        self._stirred: set[str] = set()  # pools that an event named, whose volumes are still to be read
        self._stirred_due = 0.0  # when they may be read
        self.calls: dict[str, int] = {}  # round trips that looks for changes took last, by chore
        self._networks = 0  # mark of the networks that were reported last
        # Marks of what was reported last; the third lane alone writes them.
        self._saved_marks: dict[str, int] = {}  # by UUID of the VM
        self._filters: int | None = None
        self._fill: dict[str, int] = {}  # by UUID of the pool
        self._unread: list[Hint] = []  # VMs that a listing showed changed though no event said so
        # Marks of the definitions of VMs that are off, by UUID, as they were read last.
        self._marks: dict[str, int] = {}
        # VMs whose definitions are not as they were read last, though no event said so.
        self._reworded: set[str] = set()

    def forget_rates(self) -> None:
        """A new connection: counters before it are of no use."""
        self._sample = None
        self._watch.forget_told()

    def wants(self, now: float) -> dict[str, float]:
        """Chores that what was read so far asks for, and when."""
        with self._lock:
            wanted = {HINTS: now} if self._unread or self._reworded else {}
            if self._watch.poll_soon:
                wanted[POLL] = now + LOOK_AGAIN_S
            if self._watch.files_hung_until > now:
                wanted[FILES] = self._watch.files_hung_until
            if self._stirred:
                wanted[POOLS] = self._stirred_due
            if self._guest_due:
                wanted[GUESTS] = min(due for due, _ in self._guest_due.values())
        return wanted

    def sync(self, host: Host) -> HostReport:
        """A complete reading of the VMs; the rest of the host follows with its facts."""
        snapshot = host.read_vms()
        vms = snapshot.vms or ()
        self._watch.learn(vms, complete=True)
        self._disks.learn(vms, complete=True)
        with self._lock:
            self._readings += 1
            self._seen = {vm.uuid: _digest(vm) for vm in vms}
            self._marks = {vm.uuid: vm.text_mark for vm in vms if vm.text_mark is not None}
            self._listing = 0
            self._whole = _without_xml(vms)
            self._unsaved = {vm.uuid for vm in vms if vm.domain_id is not None and vm.persistent}
        for vm in vms:
            self._plan_guest(vm, started=False)
        with self._lock:
            self._guest_due = {uuid: due for uuid, due in self._guest_due.items() if uuid in self._seen}
        return HostReport(self._host_id, None, snapshot=snapshot)

    def facts(self, host: Host) -> HostReport:
        """What the host is and has, and what that means for its VMs."""
        with self._lock:
            vms, self._whole = self._whole, None
        try:
            facts, offers = host.read_facts(), host.read_offers()
            # Last: what a task makes meanwhile must be in it.
            stock = host.read_stock()
        except BaseException:
            with self._lock:
                self._whole = vms if self._whole is None else self._whole
            raise
        self._watch.learn_pools(stock.pools or ())
        checks = tuple(compatibility(facts, replace(stock, vms=vms)))
        return HostReport(self._host_id, None, snapshot=stock, facts=facts, checks=checks, offers=offers)

    def poll(self, host: Host) -> HostReport:
        """States and usage. States that are as they were last time are not reported again."""
        readings = self._readings
        snapshot, sample = host.poll()
        host_usage, vm_usage = usage_between(self._sample, sample)
        self._sample = sample
        if self._disks.is_resized(sample):
            self._stir(tuple(self._fill))  # it lies in one of the pools
        elsewhere = self._disks.elsewhere(sample)
        with self._lock:
            self._reworded |= elsewhere
        vms = snapshot.vms or ()
        news: HostSnapshot | None = None
        if vms is not self._listed or readings != self._listed_at:
            listing = hash(vms)
            with self._lock:
                self._unread = [
                    Hint("vm", vm.uuid, "listed") for vm in vms if self._seen.get(vm.uuid) != _digest(vm)
                ]
                news = HostSnapshot(vms=snapshot.vms)
                if readings != self._readings:
                    news, listing = None, 0
                elif listing == self._listing:
                    news = None
                self._listing = listing
            # The host hands out the same tuple again as long as nothing changed.
            self._listed, self._listed_at = (vms, readings) if listing else (None, 0)
        silent = self._watch.silent(sample)
        return HostReport(
            self._host_id, None, snapshot=news, host_usage=host_usage, vm_usage=vm_usage, conditions=silent
        )

    def follow(self, host: Host, hints: Sequence[Hint]) -> HostReport:
        """Read again what the events named, and only that."""
        with self._lock:
            named = [*hints, *self._unread, *(Hint("vm", uuid, "reworded") for uuid in self._reworded)]
            self._unread, self._reworded = [], set()
        uuids = _named(named, "vm")
        if len(uuids) > READ_ALL_ABOVE:
            snapshot = self.sync(host).snapshot
            return HostReport(self._host_id, None, snapshot=snapshot, hints=tuple(hints))
        vms, gone = self._read_vms(host, uuids, named)
        stirred = _named(named, "pool")
        with self._lock:
            self._readings += len(uuids)
        self._stir(stirred)
        pools = host.read_pools(volumes=False) if stirred else None
        if pools is not None:
            self._watch.learn_pools(pools)
        networks = host.read_networks() if _named(named, "network") else None
        snapshot = (
            HostSnapshot(pools=pools, networks=networks)
            if pools is not None or networks is not None
            else None
        )
        return HostReport(
            self._host_id, None, snapshot=snapshot, vms=tuple(vms), gone_vms=tuple(gone), hints=tuple(hints)
        )

    def saved(self, host: Host) -> HostReport | None:
        """What running VMs will be after their power-off: a complete reading does not tell it."""
        with self._lock:
            wanted, self._unsaved = self._unsaved, set()
        try:
            found, marks = host.read_saved(wanted)
        except BaseException:
            with self._lock:
                self._unsaved |= wanted
            raise
        self._saved_marks |= marks
        return HostReport(self._host_id, None, saved=found) if found else None

    def networks(self, host: Host) -> HostReport | None:
        """The networks, when any is not as it was reported last."""
        mark, self.calls[NETWORKS] = host.network_mark()
        if mark == self._networks:
            return None
        self._networks = mark
        return HostReport(self._host_id, None, snapshot=HostSnapshot(networks=host.read_networks()))

    def definitions(self, host: Host) -> HostReport | None:
        """Saved definitions of running VMs, and network filters, that are not as they were reported last.

        VMs that are off with another definition than was read last are read with the next hints.
        """
        found, self._saved_marks = host.read_saved(marks=self._saved_marks)
        filters, off = host.filters.read(), host.read_marks()
        with self._lock:
            self._reworded |= {uuid for uuid, mark in off.items() if self._marks.get(uuid, mark) != mark}
        self.calls[DEFINITIONS] = 3 + len(self._saved_marks) + len(filters or ()) + len(off)
        mark = hash(filters)
        news = mark != self._filters
        self._filters = mark
        if not found and not news:
            return None
        snapshot = HostSnapshot(filters=filters) if news else None
        return HostReport(self._host_id, None, saved=found, snapshot=snapshot)

    def fill(self, host: Host) -> HostReport | None:
        """Have the volumes read of pools that hold something else than when they were read last."""
        marks, self.calls[FILL] = host.pool_marks()
        changed = {uuid for uuid, mark in marks.items() if self._fill.get(uuid, mark) != mark}
        self._fill = marks
        self._stir(changed)
        return None

    def volumes(self, host: Host) -> HostReport:
        """Pools with their volumes, the leases of networks, and traffic filters."""
        self._fill, _ = host.pool_marks()
        leases, filters = host.networks.all_leases(), host.filters.read()
        pools = _with_volumes(host)
        self._watch.learn_pools(pools)
        snapshot = HostSnapshot(pools=pools, leases=leases, filters=filters)
        return HostReport(self._host_id, None, snapshot=snapshot)

    def pools(self, host: Host) -> HostReport:
        """The volumes of the pools that events named."""
        with self._lock:
            stirred, self._stirred = self._stirred, set()
            self._stirred_due = time.monotonic() + STIRRED_EVERY_S
        try:
            pools = _with_volumes(host, stirred)
        except BaseException:
            with self._lock:
                self._stirred |= stirred
                self._stirred_due = time.monotonic() + HUNG_RETRY_S
            raise
        return HostReport(self._host_id, None, snapshot=HostSnapshot(pools=pools))

    def files(self, host: Host) -> HostReport | None:
        """Files of disks and folders of pools: what is gone or cannot be written."""
        conditions = self._watch.files(host)
        return HostReport(self._host_id, None, conditions=conditions) if conditions else None

    def guests(self, host: Host) -> HostReport | None:
        """Ask the guests that are due, a few at a time. One that hangs is put off, and ends the round."""
        now = time.monotonic()
        with self._lock:
            due = sorted((when, uuid) for uuid, (when, _) in self._guest_due.items() if when <= now)
        answers: dict[str, GuestInfo] = {}
        for _, uuid in due[:GUESTS_AT_ONCE]:
            try:
                answers[uuid] = host.guest_info(uuid)
            except VmGone:
                self._forget_guest(uuid)
                continue
            except HypervisorRefused:
                pass  # a guest that cannot be asked now is asked again later
            except HostError:
                if not host.is_open:
                    raise
                # This guest hangs, not the host: the connection for questions was cut, and is made again.
                self._put_off(uuid)
                break
            self._asked(uuid)
        return HostReport(self._host_id, None, guests=answers) if answers else None

    def _stir(self, pools: Collection[str]) -> None:
        with self._lock:
            if pools and not self._stirred:
                self._stirred_due = max(self._stirred_due, time.monotonic() + STIRRED_S)
            self._stirred.update(pools)

    def _read_vms(
        self, host: Host, uuids: Iterable[str], hints: Sequence[Hint]
    ) -> tuple[list[VmObservation], list[str]]:
        started = {hint.uuid for hint in hints if hint.what in ("started", "agent", "rebooted", "resumed")}
        vms, gone = [], []
        for uuid in uuids:
            try:
                vm = host.read_vm(uuid)
            except VmGone:
                gone.append(uuid)
                with self._lock:
                    self._seen.pop(uuid, None)
                    self._marks.pop(uuid, None)
                self._watch.forget(uuid)
                self._disks.forget(uuid)
                self._forget_guest(uuid)
                continue
            vms.append(vm)
            self._watch.learn((vm,))
            self._disks.learn((vm,))
            with self._lock:
                self._unsaved.discard(uuid)
                self._seen[uuid] = _digest(vm)
                self._marks.pop(uuid, None)
                if vm.text_mark is not None:
                    self._marks[uuid] = vm.text_mark
            self._plan_guest(vm, started=uuid in started)
        return vms, gone

    def _plan_guest(self, vm: VmObservation, *, started: bool) -> None:
        definition = vm.definition
        if definition is None:
            return
        askable = definition.has_agent_channel or any(nic.kind == "network" for nic in definition.nics)
        # Simulated guests have nothing to say, and asking them ends libvirt's test driver.
        askable = askable and definition.hypervisor != SIMULATED
        if vm.state is not VmState.RUNNING or not askable:
            self._forget_guest(vm.uuid)
            return
        with self._lock:
            if started or vm.uuid not in self._guest_due:
                self._guest_due[vm.uuid] = (time.monotonic() + (1.0 if started else GUEST_FIRST_S[0]), 0)

    def _asked(self, uuid: str) -> None:
        with self._lock:
            if uuid in self._guest_due:
                times = self._guest_due[uuid][1] + 1
                pause = GUEST_FIRST_S[times] if times < len(GUEST_FIRST_S) else GUEST_EVERY_S
                self._guest_due[uuid] = (time.monotonic() + pause, times)

    def _put_off(self, uuid: str) -> None:
        with self._lock:
            if uuid in self._guest_due:
                self._guest_due[uuid] = (time.monotonic() + HUNG_RETRY_S, self._guest_due[uuid][1])

    def _forget_guest(self, uuid: str) -> None:
        with self._lock:
            self._guest_due.pop(uuid, None)


# What is read by chore; a reading without news is None.
READINGS: Mapping[str, Callable[[Reader, Host], HostReport | None]] = {
    chores.SYNC: Reader.sync,
    chores.POLL: Reader.poll,
    chores.FACTS: Reader.facts,
    chores.NETWORKS: Reader.networks,
    chores.SAVED: Reader.saved,
    chores.VOLUMES: Reader.volumes,
    chores.POOLS: Reader.pools,
    chores.DEFINITIONS: Reader.definitions,
    chores.FILL: Reader.fill,
    chores.GUESTS: Reader.guests,
    chores.FILES: Reader.files,
}


def _without_xml(vms: tuple[VmObservation, ...]) -> tuple[VmObservation, ...]:
    return tuple(
        replace(vm, definition=replace(vm.definition, xml="", devices=())) if vm.definition else vm
        for vm in vms
    )


def _digest(vm: VmObservation) -> int:
    return hash((vm.name, vm.state, vm.domain_id, vm.persistent, vm.autostart, vm.has_managed_save))


def _with_volumes(host: Host, only: Collection[str] | None = None) -> tuple[PoolObservation, ...]:
    """Pools with their volumes; without, while tasks change some: these have told more than the listing knows."""
    for _ in range(READ_AGAIN):
        changes = host.storage.changes
        pools = host.read_pools(volumes=True, only=only)
        if host.storage.changes == changes:
            return pools
    return host.read_pools(volumes=False)


def _named(hints: Iterable[Hint], kind: str) -> list[str]:
    return list(dict.fromkeys(hint.uuid for hint in hints if hint.kind == kind and hint.uuid))
