"""Which host a new VM goes to: what was asked for counts as much as what runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.access.context import Actor, Ctx, Services
from app.capacity.placement import allocated_memory
from app.core.errors import Conflict
from app.core.vms.create.spec import VmBatch, VmSpec
from app.core.vms.power import VmVerb
from app.core.vms.specs import ActionOptions
from app.db.models import Host, Task
from app.services.vms import power
from app.services.vms.create import create
from tests.databases import Contexts
from tests.unit import fleet
from tests.unit.fleet import GIB


@pytest.fixture
def hosts(ctx: Contexts) -> dict[str, str]:
    """Ids of three hosts by name: one with 64 GiB, two with 32."""
    context = ctx()
    datacenter = fleet.add_datacenter(context)
    sizes = {"big": 64, "small-1": 32, "small-2": 32}
    created = {name: fleet.add_host(context, datacenter, name, size * GIB).id for name, size in sizes.items()}
    ctx.commit()
    return created


def spec(name: str, gib: int = 2, **fields: object) -> VmSpec:
    return VmSpec(name=name, memory_bytes=gib * GIB, **fields)  # type: ignore[arg-type]


def given(ctx: Contexts) -> dict[str, int]:
    """GiB that each host has given out, as placement counts it."""
    context = ctx()
    found = context.session.scalars(sa.select(Host))
    return {host.name: allocated_memory(context.session, host.id) // GIB for host in found}


def test_vms_that_are_asked_for_count_before_they_run(ctx: Contexts, hosts: dict[str, str]) -> None:
    done = create.create_many(ctx(), VmBatch(spec=spec("web-##"), count=80))
    assert len(done.tasks) == 64, "as many as 128 GiB take"
    assert {item.problem.code for item in done.refused} == {"no_host_fits"}
    assert "0 MiB" in (done.refused[0].problem.why or "")
    ctx.commit()
    assert given(ctx) == {"big": 64, "small-1": 32, "small-2": 32}


def test_requests_at_the_same_time_do_not_give_the_same_memory_twice(
    services: Services, ctx: Contexts, hosts: dict[str, str], actor: Callable[..., Actor]
) -> None:
    def ask(number: int) -> str:
        try:
            with services.database.begin() as session:
                create.create_vm(Ctx(services, session, actor()), spec(f"web-{number:02}", 8))
        except Conflict as refused:
            return refused.code
        return "queued"

    with ThreadPoolExecutor(8) as threads:
        done = Counter(threads.map(ask, range(20)))
    assert done == {"queued": 16, "no_host_fits": 4}
    assert given(ctx) == {"big": 64, "small-1": 32, "small-2": 32}


def test_a_start_that_waits_counts(ctx: Contexts, hosts: dict[str, str]) -> None:
    context = ctx()
    vm = fleet.add_vm(context, context.session.get_one(Host, hosts["big"]), "idle", memory_bytes=40 * GIB)
    power.act(ctx(), vm.id, VmVerb.START, ActionOptions())
    ctx.commit()
    assert given(ctx)["big"] == 40
    task = create.create_vm(ctx(), spec("web", 30))
    assert task.host is not None
    assert task.host.name != "big"


def test_what_a_task_gave_is_free_again_when_it_fails_and_counted_once_when_the_vm_runs(
    ctx: Contexts, hosts: dict[str, str]
) -> None:
    task = create.create_vm(ctx(), spec("web", 10))
    context = ctx()
    row = context.session.get_one(Task, task.id)
    vm = fleet.add_vm(
        context, context.session.get_one(Host, hosts["big"]), "web", memory_bytes=10 * GIB, state="running"
    )
    row.target_id = vm.id
    assert given(ctx)["big"] == 10, "the VM runs, and its task has not ended yet"
    context = ctx()
    context.session.delete(context.session.get_one(type(vm), vm.id))
    context.session.get_one(Task, task.id).state = "failed"
    assert given(ctx)["big"] == 0


def test_vms_that_are_made_and_not_started_are_spread_too(ctx: Contexts, hosts: dict[str, str]) -> None:
    context = ctx()
    fleet.add_vm(context, context.session.get_one(Host, hosts["big"]), "idle", memory_bytes=48 * GIB)
    plan = create.preview_vm(ctx(), spec("web"))
    assert plan.host.name == "small-1"
    context = ctx()
    fleet.add_vm(context, context.session.get_one(Host, hosts["small-1"]), "idle-1", memory_bytes=30 * GIB)
    fleet.add_vm(context, context.session.get_one(Host, hosts["small-2"]), "idle-2", memory_bytes=30 * GIB)
    plan = create.preview_vm(ctx(), spec("web"))
    assert plan.host.name == "big"
    assert "65536 MiB are free" in (plan.reason or "")
