"""Conditions of VMs and pools: begun and ended by what hosts report, on both databases."""

import sqlalchemy as sa

from app.access.context import Services
from app.core.inventory.conditions import DISK_MISSING, NOT_ANSWERING, READ_ONLY, ObservedCondition
from app.db import models
from app.inventory import condition_rows
from app.services.storage.pools.pools import show_pool
from app.services.vms import vms
from tests.databases import Contexts
from tests.unit.inventory.test_observe import WEB, World, pool, vm


def severities(world: World, kind: str) -> list[str]:
    return [event.severity for event in world.events() if event.kind == kind]


def test_a_condition_is_shown_from_its_first_reading_until_it_is_over(
    services: Services, ctx: Contexts
) -> None:
    world = World(services)
    world.observe(world.report("a", listing=(vm(),), pools=(pool(),)))
    stuck = {NOT_ANSWERING: (ObservedCondition(WEB),)}
    gone = {DISK_MISSING: (ObservedCondition(WEB, "/x", {"path": "/x", "target": "vda"}),)}
    locked = {READ_ONLY: (ObservedCondition(pool().uuid, "", {"path": "/pool"}),)}
    world.observe(world.report("a", conditions=stuck | gone | locked))
    world.observe(world.report("a", conditions=stuck | gone))  # what is not looked for now holds on
    row = world.vm()
    shown = vms.show_vm(ctx(), row.id).conditions
    assert sorted(item.code for item in shown) == [DISK_MISSING, NOT_ANSWERING]
    assert any("/x" in item.text for item in shown)
    with services.database.read() as session:
        pool_id = session.scalars(sa.select(models.Pool.id)).one()
    assert [condition.code for condition in show_pool(ctx(), pool_id).conditions] == [READ_ONLY]
    ctx.commit()
    assert severities(world, "vm.not_answering") == ["error"]
    over = {NOT_ANSWERING: (), READ_ONLY: ()}
    world.observe(world.report("a", conditions=gone | over))
    assert [condition.code for condition in vms.show_vm(ctx(), row.id).conditions] == [DISK_MISSING]
    ctx.commit()
    assert severities(world, "vm.not_answering_ended") == ["info"]
    assert severities(world, "pool.read_only_ended") == ["info"]


def test_conditions_go_with_their_vm(services: Services) -> None:
    world = World(services)
    world.observe(world.sees("a", vm()))
    world.observe(world.report("a", conditions={NOT_ANSWERING: (ObservedCondition(WEB),)}))
    world.observe(world.sees("a"))
    with services.database.read() as session:
        assert session.scalars(sa.select(models.Condition)).all() == []


def test_a_list_page_asks_once_for_all_its_conditions(services: Services, ctx: Contexts) -> None:
    context = ctx()
    seen: list[str] = []
    sa.event.listen(context.session.get_bind(), "before_cursor_execute", lambda *args: seen.append(args[2]))
    condition_rows.records(context, [f"vm_{number}" for number in range(200)])
    assert len([item for item in seen if "FROM condition" in item]) == 1
