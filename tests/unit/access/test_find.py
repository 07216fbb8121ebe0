"""Finding objects: by whom, with which privilege, and in which queries."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.access.context import Ctx, Services
from app.access.find import FINDABLE, find, known, look_up, preload, ref, unrestricted, visible, visible_part
from app.core.access.privileges import PRIVILEGES
from app.core.errors import NotAllowed, NotFound
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db.models import DeletedVm, Host, Login, Task, Token, User, Vm
from tests.databases import Contexts
from tests.integration.api.conftest import Inventory, fill


@pytest.fixture
def inventory(services: Services) -> Inventory:
    return fill(services)


def user(ctx: Ctx, name: str) -> str:
    """A user with a token and a login, each of the same id as the user."""
    created = new_id(ObjectKind.USER)
    ctx.session.add(
        User(id=created, name=name, name_key=name, display=name, role="viewer", created_at=ctx.now, version=1)
    )
    ctx.session.flush()
    own = {"id": created, "user_id": created, "secret_sha256": name, "created_at": ctx.now}
    ctx.session.add(Token(**own, name=name, prefix="vigie_"))
    ctx.session.add(Login(**own, last_seen_at=ctx.now, expires_at=ctx.now + timedelta(hours=1)))
    ctx.session.flush()
    return created


def test_an_object_is_found_with_the_privilege(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx("operator")
    vm = find(context, Vm, inventory.vms[0], "vm.power", lock=True)
    assert ref(vm).model_dump() == {"kind": ObjectKind.VM, "id": vm.id, "name": vm.name}
    assert known(context, Host, vm.host_id).id == vm.host_id


def test_who_lacks_the_privilege_learns_of_no_object(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx("viewer")
    for vm_id in (inventory.vms[0], "vm_none"):
        with pytest.raises(NotAllowed):
            find(context, Vm, vm_id, "vm.power")
    with pytest.raises(NotFound) as missing:
        find(context, Vm, "vm_none", "vm.view")
    assert missing.value.title == FINDABLE[Vm].missing


def test_what_was_preloaded_is_at_hand(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx("viewer")
    assert {item.id for item in preload(context, Vm, [*inventory.vms, "vm_none"])} == set(inventory.vms)
    assert find(context, Vm, inventory.vms[0], "vm.view") is context.visible_rows[inventory.vms[0]]
    with pytest.raises(NotAllowed):
        find(context, Vm, inventory.vms[0], "vm.power")
    with pytest.raises(NotFound):  # an id of another kind
        find(context, Host, inventory.vms[0], "host.view")


def test_one_who_may_not_see_finds_nothing(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx("viewer")
    assert look_up(context, DeletedVm, inventory.vms[0]) is None
    hidden = visible(context, sa.select(Vm.id), Vm, "vm.edit")
    assert context.session.scalars(hidden).all() == []
    assert len(context.session.scalars(visible(context, sa.select(Vm.id), Vm, "vm.view")).all()) == 12
    assert len(context.session.scalars(unrestricted(sa.select(Vm.id))).all()) == 12


def test_counts_are_of_what_is_seen(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx("viewer")
    context.session.execute(sa.update(Host).values(vm_count=6))
    for privilege, item in (("vm.view", 6), ("vm.edit", 0)):
        total = sa.select(sa.func.sum(visible_part(context, Host.vm_count, privilege))).select_from(Host)
        assert context.session.scalar(total) == 2 * item


def test_ones_own_is_found_without_the_privilege(ctx: Contexts, services: Services) -> None:
    context = ctx()
    own, other = user(context, "ann"), user(context, "ben")
    context = ctx("viewer", user_id=own)
    for model in (User, Token, Login):
        privilege = FINDABLE[model].view
        assert find(context, model, own, privilege).id == own
        assert context.session.scalars(visible(context, sa.select(model.id), model, privilege)).all() == [own]
        with pytest.raises(NotFound):
            find(context, model, other, privilege)
    with pytest.raises(NotAllowed):  # to see oneself is not to change oneself
        find(context, User, own, "user.edit")


def test_an_administrator_finds_those_of_all(ctx: Contexts) -> None:
    own = user(ctx(), "ann")
    context = ctx()
    assert find(context, Token, own, "token.edit-any").user_id == own
    assert find(context, User, own, "user.edit").name == "ann"


def test_a_task_is_named_by_its_kind(ctx: Contexts, inventory: Inventory) -> None:
    assert ref(find(ctx("viewer"), Task, inventory.task, "task.view")).name == "vm.start"


def test_all_that_is_found_has_ids_and_privileges_that_exist() -> None:
    for model, about in FINDABLE.items():
        assert about.view in PRIVILEGES
        assert list(model.__table__.primary_key) == [model.__table__.c.id]
        assert hasattr(model, about.name)
