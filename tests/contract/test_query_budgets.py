"""What a console with 45,000 VMs asks for most takes few SQL statements, and no more of them when there are more rows.

Each service is counted over a small inventory and over one that fills a list's page, and the writer's batches with few
and many VMs and hosts. A budget is the number of statements that it takes now, at most one more; a failure shows them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pprint import pformat

import sqlalchemy as sa

from app.access.context import Ctx, Services
from app.core.hosts.specs import HostQuery
from app.core.ids import new_id
from app.core.inventory.conditions import NOT_ANSWERING, ObservedCondition
from app.core.inventory.reports import HostReport, Parts
from app.core.inventory.specs import EventQuery, TreeQuery
from app.core.inventory.usage import Usage
from app.core.kinds import ObjectKind
from app.core.networks.observations import NetworkObservation
from app.core.networks.specs import NetworkQuery
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.tasks.specs import TaskQuery
from app.core.vms.observations import GuestInfo, VmObservation
from app.core.vms.power import VmVerb
from app.core.vms.specs import ActionOptions, VmQuery
from app.core.vms.states import VmState
from app.db import models
from app.db.session import Database
from app.engine.writer import Writer
from app.services.hosts import hosts
from app.services.inventory import dashboard, events, search, tree
from app.services.inventory.readiness import Readiness
from app.services.networks import networks
from app.services.operations import load_operations
from app.services.storage.pools import pools
from app.services.storage.volumes import volumes
from app.services.vms import power, vms
from app.tasks import tasks
from tests.bench.inventory import vm as observed_vm
from tests.databases import Contexts
from tests.unit.fleet import add_datacenter, add_host, add_vm
from tests.unit.inventory.parts import parts_of

SHOWN = 50
SMALL, MORE = (2, 2), (4, 25)  # hosts, and VMs of each


@dataclass(frozen=True)
class Inventory:
    """Ids of what the database holds. `idle`: a VM that is off, with which no task has to do."""

    datacenter: str
    host: str
    vm: str
    idle: str
    pool: str
    vms: list[str]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are executed meanwhile; many rows of one INSERT or UPDATE are one."""
    seen: list[str] = []

    def execute(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", execute)
    try:
        yield seen
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", execute)


def fill(ctx: Ctx, datacenter: str, size: tuple[int, int], prefix: str) -> Inventory:
    """Hosts with VMs that have tags, conditions, events and tasks that hold them, volumes and networks."""
    created = [add_host(ctx, datacenter, f"{prefix}-{number}", 1 << 38) for number in range(size[0])]
    found = []
    for host in created:
        for number in range(size[1]):
            vm = add_vm(ctx, host, f"web-{host.name}-{number}", state="running", tags=["web"])
            _add_around(ctx, host, vm)
            found.append(vm.id)
        ctx.session.add(_network(host))
    idle = add_vm(ctx, created[0], f"{prefix}-idle")
    pool = ctx.session.scalars(sa.select(models.Pool.id).where(models.Pool.host_id == created[0].id)).one()
    return Inventory(datacenter, created[0].id, found[0], idle.id, pool, found)


def _network(host: models.Host) -> models.Network:
    return models.Network(
        id=new_id(ObjectKind.NETWORK),
        host_id=host.id,
        uuid="00000000-0000-4000-b000-000000000001",
        name="default",
        active=True,
        autostart=True,
        persistent=True,
        forward_mode="nat",
    )


def _add_around(ctx: Ctx, host: models.Host, vm: models.Vm) -> None:
    """A tag, a task that runs, a condition and an event of a VM."""
    about = {"target_kind": "vm", "target_id": vm.id, "target_name": vm.name}
    task = models.Task(
        id=new_id(ObjectKind.TASK),
        kind="vm.shutdown",
        title="Shut down",
        state="running",
        host_id=host.id,
        host_name=host.name,
        actor_name="tester",
        created_at=ctx.now,
        **about,
    )
    ctx.session.add(task)
    ctx.session.flush()
    ctx.session.add_all(
        [
            models.Tag(object_id=vm.id, name="web"),
            models.TaskLock(name=vm.id, task_id=task.id, exclusive=True),
            models.Condition(
                object_id=vm.id,
                code=NOT_ANSWERING,
                subject="",
                object_kind="vm",
                host_id=host.id,
                since=ctx.now,
            ),
            models.Event(
                at=ctx.now,
                kind="vm.started",
                severity="info",
                message="VM %(name)s was started.",
                params={"name": vm.name},
                object_kind="vm",
                object_id=vm.id,
                object_name=vm.name,
                host_id=host.id,
                host_name=host.name,
            ),
        ]
    )


Service = Callable[[Ctx, Inventory], object]
SERVICES: dict[str, tuple[int, Service]] = {
    "list of VMs": (5, lambda ctx, _: vms.list_vms(ctx, VmQuery(limit=SHOWN))),
    "VMs of live updates": (3, lambda ctx, there: vms.vms_by_id(ctx, there.vms[:SHOWN])),
    "page of a VM": (10, lambda ctx, there: vms.show_vm(ctx, there.vm)),
    "request of Start": (
        12,
        lambda ctx, there: power.act(ctx, there.idle, VmVerb.START, ActionOptions()),
    ),
    "list of hosts": (3, lambda ctx, _: hosts.list_hosts(ctx, HostQuery(limit=SHOWN))),
    "page of a host": (2, lambda ctx, there: hosts.show_host(ctx, there.host)),
    "tree, root": (1, lambda ctx, _: tree.children(ctx, TreeQuery())),
    "tree, datacenter": (1, lambda ctx, there: tree.children(ctx, TreeQuery(parent=there.datacenter))),
    "tree, host": (1, lambda ctx, there: tree.children(ctx, TreeQuery(parent=there.host))),
    "dashboard": (13, lambda ctx, _: dashboard.show_dashboard(ctx)),
    "search": (8, lambda ctx, _: search.search(ctx, "web")),
    "drawer of tasks": (3, lambda ctx, _: tasks.list_tasks(ctx, TaskQuery(limit=SHOWN))),
    "drawer of events": (3, lambda ctx, _: events.list_events(ctx, EventQuery(limit=SHOWN))),
    "volumes of a pool": (
        6,
        lambda ctx, there: volumes.list_volumes(ctx, VolumeQuery(limit=SHOWN, pool=there.pool)),
    ),
    "list of volumes": (5, lambda ctx, _: volumes.list_volumes(ctx, VolumeQuery(limit=SHOWN))),
    "list of networks": (4, lambda ctx, _: networks.list_networks(ctx, NetworkQuery(limit=SHOWN))),
    "list of pools": (4, lambda ctx, _: pools.list_pools(ctx, PoolQuery(limit=SHOWN))),
    "readiness": (1, lambda ctx, _: Readiness(ctx.services, dict).check()),
}


def statements_of(services: Services, ctx: Contexts, there: Inventory) -> dict[str, list[str]]:
    """What each service executes; what it changes is rolled back."""
    ctx.commit()
    found: dict[str, list[str]] = {}
    for name, (_, service) in SERVICES.items():
        context = ctx()
        with counted(services.database) as found[name]:
            service(context, there)
            context.session.flush()
        ctx.roll_back()
    return found


def test_services_take_few_statements_and_no_more_in_a_large_inventory(
    services: Services, ctx: Contexts
) -> None:
    load_operations()
    context = ctx()
    datacenter = add_datacenter(context)
    small = statements_of(services, ctx, fill(context, datacenter, SMALL, "few"))
    large = statements_of(services, ctx, fill(ctx(), datacenter, MORE, "more"))
    over = {
        name: {"budget": budget, "small": small[name], "large": large[name]}
        for name, (budget, _) in SERVICES.items()
        if not len(large[name]) <= len(small[name]) <= budget
    }
    assert over == {}, shown(over)


def shown(over: Mapping[str, object]) -> str:
    """What is over its budget, with the statements."""
    return pformat(over, width=160)


@dataclass(frozen=True)
class Seen:
    """What one report says of a host; `number` tells hosts apart."""

    number: int
    vms: tuple[VmObservation, ...]

    def full(self) -> Parts:
        """All that is read of a host, with a guest, a volume and a condition for each VM."""
        used = Usage(12.5, 2**30, 2**31, 1000.0, 2000.0, 10.0, 300.0, 400.0)
        volumes = tuple(
            VolumeObservation(f"{vm.name}-vda", f"/images/{vm.name}-vda", "file", "qcow2", 2**34, 2**30)
            for vm in self.vms
        )
        pool = ("00000000-0000-4000-a000-000000000001", "local", "dir", "running", True, True)
        return parts_of(
            listing=self.vms,
            pools=(PoolObservation(*pool, 2**42, 2**40, 2**41, "/images", volumes),),
            networks=(NetworkObservation("n" * 36, "default", True, True, True, "virbr0", "nat"),),
            guests={vm.uuid: GuestInfo(True, vm.name, "Linux") for vm in self.vms},
            host_usage=used,
            vm_usage={vm.uuid: used for vm in self.vms},
            conditions={NOT_ANSWERING: tuple(ObservedCondition(vm.uuid) for vm in self.vms)},
        )

    def usage(self) -> Parts:
        """Other usage of all VMs."""
        used = Usage(50.0, 2**29, 2**31, 5000.0, 6000.0, 70.0, 800.0, 900.0)
        return parts_of(host_usage=used, vm_usage={vm.uuid: used for vm in self.vms})

    def stopped(self) -> Parts:
        """All VMs are off."""
        off = tuple(replace(vm, state=VmState.SHUTOFF, domain_id=None, definition=None) for vm in self.vms)
        return parts_of(listing=off)


BATCHES: dict[str, tuple[int, Callable[[Seen], Parts]]] = {
    "first reading": (37, Seen.full),
    "usage": (4, Seen.usage),
    "nothing new": (3, Seen.usage),
    "all VMs stopped": (14, Seen.stopped),
    "a full reading again": (31, Seen.full),
}
SIZES = ((2, 3), (2, 60), (12, 3))  # hosts of a batch, and VMs of each


def written(services: Services, reports: Sequence[HostReport]) -> list[str]:
    """The statements with which the writer writes these reports, in one batch."""
    writer, done = Writer(services), threading.Event()
    for report in reports[:-1]:
        writer.put(report)
    writer.put(reports[-1], done)
    with counted(services.database) as statements:
        writer.start()
        assert done.wait(60)
    writer.stop()
    return statements


def test_a_batch_of_the_writer_takes_few_statements_and_no_more_for_more_rows(
    services: Services, ctx: Contexts
) -> None:
    load_operations()
    datacenter = add_datacenter(ctx())
    found: dict[str, list[list[str]]] = {name: [] for name in BATCHES}
    for count, vms_of_host in SIZES:
        numbers = [count * vms_of_host * 100 + item for item in range(count)]
        context = ctx()
        ids = [add_host(context, datacenter, f"kvm-{number}", 1 << 38).id for number in numbers]
        ctx.commit()
        seen = [
            Seen(number, tuple(observed_vm(number, item, definition=True) for item in range(vms_of_host)))
            for number in numbers
        ]
        for name, (_, parts) in BATCHES.items():
            reports = [
                HostReport(host_id, datetime.now(UTC), parts=parts(item))
                for host_id, item in zip(ids, seen, strict=True)
            ]
            found[name].append(written(services, reports))
    over = {
        name: {"budget": budget, **dict(zip(SIZES, found[name], strict=True))}
        for name, (budget, _) in BATCHES.items()
        if len(found[name][0]) > budget or len({len(item) for item in found[name]}) > 1
    }
    assert over == {}, shown(over)
