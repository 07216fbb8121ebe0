from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.hosts.states import HostConnection, HostMode
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.vms.states import VmState
from app.db import models
from app.services.vms import mac_addresses

MakeCtx = Callable[..., Ctx]
MAC = "52:54:00:aa:bb:cc"


def add_vm(ctx: Ctx, name: str, mac: str, state: VmState = VmState.RUNNING) -> tuple[models.Host, models.Vm]:
    now = datetime.now(UTC)
    datacenter = models.Datacenter(id=new_id(ObjectKind.DATACENTER), name=name, name_key=name, created_at=now)
    ctx.session.add(datacenter)
    ctx.session.flush()
    host = models.Host(
        id=new_id(ObjectKind.HOST),
        datacenter_id=datacenter.id,
        name=f"kvm-{name}",
        name_key=f"kvm-{name}",
        transport="local",
        address="",
        port=0,
        user="",
        socket="/s",
        mode=HostMode.MANAGED,
        connection=HostConnection.CONNECTED,
        created_at=now,
    )
    ctx.session.add(host)
    ctx.session.flush()
    vm = models.Vm(
        id=new_id(ObjectKind.VM),
        host_id=host.id,
        uuid="00000000-0000-4000-8000-000000000001",
        name=name,
        name_key=name,
        state=state,
        persistent=True,
        autostart=False,
        search_text=f"{name}\n{mac.lower()}",
        created_at=now,
    )
    ctx.session.add(vm)
    ctx.session.flush()
    parsed = {"nics": [{"mac": mac}]}
    ctx.session.add(models.VmDefinition(vm_id=vm.id, digest="", xml="", parsed=parsed, read_at=now))
    ctx.session.flush()
    return host, vm


def test_a_new_address_is_free(ctx: MakeCtx) -> None:
    mine = ctx()
    mac = mac_addresses.free_mac(mine.session)
    assert mac.startswith("52:54:00:")
    mac_addresses.require_free_mac(mine.session, mac, "nics")


def test_a_taken_address_is_refused_with_who_has_it(ctx: MakeCtx) -> None:
    mine = ctx()
    _, vm = add_vm(mine, "web", MAC.upper(), VmState.MISSING)
    with pytest.raises(InvalidInput) as refused:
        mac_addresses.require_free_mac(mine.session, MAC, "nics")
    assert refused.value.code == "mac_taken"
    assert refused.value.field == "nics"
    assert refused.value.rule_text(str) == f"{MAC} is taken: web (kvm-web) has it"
    mac_addresses.require_free_mac(mine.session, MAC, "nics", vm_id=vm.id)


def test_a_name_that_looks_like_an_address_takes_none(ctx: MakeCtx) -> None:
    mine = ctx()
    add_vm(mine, MAC, "52:54:00:00:00:01")
    mac_addresses.require_free_mac(mine.session, MAC, "nics")


def test_a_task_under_way_takes_its_addresses(ctx: MakeCtx) -> None:
    mine = ctx()
    host, _ = add_vm(mine, "web", "52:54:00:00:00:01")
    target = {"target_kind": "vm", "target_id": new_id(ObjectKind.VM), "target_name": "soon"}
    reported = {"kind": "vm.create", "title": "Create the VM", "actor_name": "ada", "created_at": mine.now}
    task = models.Task(
        id=new_id(ObjectKind.TASK),
        state="queued",
        host_id=host.id,
        params={"nics": [{"mac": MAC.upper()}]},
        params_version=1,
        message_params={},
        **target,
        **reported,
    )
    mine.session.add(task)
    mine.session.flush()
    with pytest.raises(InvalidInput) as refused:
        mac_addresses.require_free_mac(mine.session, MAC, "nics")
    assert "soon" in refused.value.rule_text(str)
    task.state = "failed"
    mine.session.flush()
    mac_addresses.require_free_mac(mine.session, MAC, "nics")
