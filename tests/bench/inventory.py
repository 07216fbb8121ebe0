"""Speed of the mirror and of what reads it, at 2,500 hosts and 45,000 VMs, without libvirt.

Run: python -m tests.bench.inventory [hosts]. Prints figures and asserts nothing; SQLite in a temporary directory.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from app.access.context import Actor, Ctx, Services
from app.access.vault import Vault
from app.config import Settings
from app.core.access.privileges import Role
from app.core.hosts.specs import HostQuery
from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.inventory.reports import HostReport
from app.core.inventory.specs import TreeQuery
from app.core.inventory.usage import Usage
from app.core.kinds import ObjectKind
from app.core.notices import Hub
from app.core.vms.observations import DefinitionObservation, DeviceView, DiskView, NicView, VmObservation
from app.core.vms.specs import VmQuery
from app.core.vms.states import VmState
from app.db import migrate, models
from app.db.session import Database
from app.inventory.collectors.usage import USAGE, UsageReading
from app.inventory.collectors.vms import VMS as VM_COLLECTOR
from app.inventory.observe import observe, record_changes
from app.inventory.vms.readings import VmReadings
from app.services.hosts import hosts
from app.services.inventory import dashboard, search, tree
from app.services.vms import vms
from app.tasks.explain import explain

VMS = 18
BATCH = 30
XML = "<domain>" + "x" * 3000 + "</domain>"


def vm(host: int, number: int, *, definition: bool) -> VmObservation:
    """A VM as a host would list it."""
    key = f"{host:08x}-0000-4000-8000-{number:012x}"
    running = number % 3 != 0
    mac = f"52:54:{host >> 8:02x}:{host & 255:02x}:00:{number:02x}"
    read = DefinitionObservation(
        *(XML, key, "hvm", "x86_64", "q35", "efi", "kvm", 1 + number % 8, 8, "host-model", None),
        *((1 + number % 16) * 2**30, 2**34),
        disks=tuple(
            DiskView(f"vd{c}", "disk", "virtio", f"/p/{key}-{c}", "qcow2", capacity_bytes=2**34) for c in "ab"
        ),
        nics=(NicView(mac, "network", "default"),),
        devices=tuple(DeviceView("controller", f"controller {item}") for item in range(8)),
    )
    state = VmState.RUNNING if running else VmState.SHUTOFF
    name = f"{('web', 'db', 'mail')[number % 3]}-{host:04d}-{number:02d}"
    number_of_run = number + 1 if running else None
    return VmObservation(
        key, name, state, None, number_of_run, True, False, False, definition=read if definition else None
    )


def add_hosts(services: Services, count: int) -> list[str]:
    """Register hosts that nobody connects to."""
    now = datetime.now(UTC)
    with services.database.begin() as session:
        datacenter = session.scalar(sa.select(models.Datacenter.id).limit(1))
        if datacenter is None:
            datacenter = new_id(ObjectKind.DATACENTER)
            session.add(models.Datacenter(id=datacenter, name="dc", name_key="dc", created_at=now))
            session.flush()
        created = [
            models.Host(
                **{"id": new_id(ObjectKind.HOST), "datacenter_id": datacenter, "name": f"kvm-{n:04d}"},
                **{
                    "name_key": f"kvm-{n:04d}",
                    "transport": "ssh",
                    "address": f"10.{n >> 8}.{n & 255}.1",
                    "port": 22,
                },
                **{
                    "user": "root",
                    "socket": "/s",
                    "mode": "managed",
                    "connection": "connecting",
                    "created_at": now,
                },
                **{"search_text": f"kvm-{n:04d}"},
            )
            for n in range(count)
        ]
        session.add_all(created)
        return [host.id for host in created]


def listing(vms: tuple[VmObservation, ...]) -> dict[str, object]:
    """The part of a report that lists all VMs of a host."""
    return VM_COLLECTOR.part(VmReadings.listing(vms))


def run(services: Services, ids: list[str], make: Callable[[int], HostReport]) -> tuple[float, float]:
    """Seconds of wall and CPU time of observe() over all hosts in batches."""
    wall = cpu = 0.0
    for start in range(0, len(ids), BATCH):
        reports = [make(number) for number in range(start, min(start + BATCH, len(ids)))]
        began, used = time.perf_counter(), time.thread_time()
        with services.database.begin() as session:
            changes = observe(session, reports)
            explain(session, changes)
            record_changes(session, services.hub, changes)
        wall, cpu = wall + time.perf_counter() - began, cpu + time.thread_time() - used
    return wall, cpu


def mirror(services: Services, ids: list[str]) -> None:
    """First reading, then polls in which nothing, and in which all usage, changes."""
    usage = Usage(12.5, 2**30, 2**31, 1000.0, 2000.0, 10.0, 300.0, 400.0)
    other = Usage(13.5, 2**30, 2**31, 1010.0, 2010.0, 11.0, 310.0, 410.0)

    def first(n: int) -> HostReport:
        seen = tuple(vm(n, number, definition=True) for number in range(VMS))
        return HostReport(ids[n], datetime.now(UTC), HostConnection.CONNECTED, parts=listing(seen))

    def poll(values: Usage) -> Callable[[int], HostReport]:
        def make(n: int) -> HostReport:
            seen = tuple(vm(n, number, definition=False) for number in range(VMS))
            used = {item.uuid: values for item in seen if item.state.is_active}
            parts = listing(seen) | USAGE.part(UsageReading(None, used))
            return HostReport(ids[n], datetime.now(UTC), parts=parts)

        return make

    for name, make in (
        ("first reading", first),
        ("poll, usage new", poll(usage)),
        ("poll, nothing changed", poll(usage)),
        ("poll, all usage changed", poll(other)),
        ("complete reading, nothing changed", first),
    ):
        wall, cpu = run(services, ids, make)
        share = cpu / len(ids) * 125 * 100
        print(f"{name:36} {wall:7.2f} s wall {cpu:7.2f} s CPU   at 125 hosts/s: {share:5.1f} % of a core")  # noqa: T201


def lists(services: Services, ids: list[str]) -> None:
    """Times of what pages call, each in its own transaction."""
    actor = Actor(None, "bench", Role.ADMINISTRATOR, "system")

    def ctx_do(call: Callable[[Ctx], object]) -> float:
        with services.database.read() as session:
            began = time.perf_counter()
            call(Ctx(services, session, actor))
            return (time.perf_counter() - began) * 1000

    with services.database.read() as session:
        one = session.scalars(sa.select(models.Vm.id).offset(len(ids) * 9).limit(1)).one()
        datacenter = session.scalars(sa.select(models.Datacenter.id).limit(1)).one()
    running = [VmState.RUNNING]
    cases: dict[str, Callable[[Ctx], object]] = {
        "list vms": lambda ctx: vms.list_vms(ctx, VmQuery(limit=100)),
        "tree: root": lambda ctx: tree.children(ctx, TreeQuery()),
        "tree: datacenter": lambda ctx: tree.children(ctx, TreeQuery(parent=datacenter)),
        "tree: host": lambda ctx: tree.children(ctx, TreeQuery(parent=ids[7])),
        "show vm": lambda ctx: vms.show_vm(ctx, one),
        "show host": lambda ctx: hosts.show_host(ctx, ids[7]),
        "dashboard": dashboard.show_dashboard,
        "list vms, of a host": lambda ctx: vms.list_vms(ctx, VmQuery(limit=100, host=ids[7])),
        "list vms, running": lambda ctx: vms.list_vms(ctx, VmQuery(limit=100, state=running)),
        "list vms, q=web-1": lambda ctx: vms.list_vms(ctx, VmQuery(limit=100, q="web-1")),
        "list vms, q of nothing": lambda ctx: vms.list_vms(ctx, VmQuery(limit=100, q="nothing at all")),
        "list vms, running, q, by cpu": lambda ctx: vms.list_vms(
            ctx, VmQuery(limit=100, state=running, q="web", sort="-cpu")
        ),
        "list vms, stale": lambda ctx: vms.list_vms(ctx, VmQuery(limit=100, stale=True)),
        "list hosts, by VMs, q": lambda ctx: hosts.list_hosts(
            ctx, HostQuery(limit=100, sort="-vm_count", q="kvm-1")
        ),
        "list hosts": lambda ctx: hosts.list_hosts(ctx, HostQuery(limit=100)),
    }
    for name in vms.SORT_KEYS.columns:
        cases[f"list vms, by -{name}"] = lambda ctx, name=name: vms.list_vms(  # type: ignore[misc]
            ctx, VmQuery(limit=100, sort=f"-{name}")
        )
    for text in ("web-1000-01", "web", "10.0.0", "52:54:03:e8", "start web-1000-01", "nothing at all"):
        cases[f"search {text}"] = lambda ctx, text=text: search.search(ctx, text)  # type: ignore[misc]
    for name, call in cases.items():
        times = sorted(ctx_do(call) for _ in range(20))
        print(f"{name:36} median {statistics.median(times):6.1f} ms   p95 {times[18]:6.1f} ms")  # noqa: T201


def main() -> None:
    """Fill a database and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2500
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        services = Services(settings, Database(settings.database), Hub(), Vault(settings.key_path))
        migrate.upgrade(services.database)
        ids = add_hosts(services, count)
        gc.collect()
        gc.freeze()  # as the engine does
        mirror(services, ids)
        lists(services, ids)
        services.database.close()


if __name__ == "__main__":
    main()
