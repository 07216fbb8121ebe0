"""What people paste and keep is stored without its secrets, or sealed."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.errors import InvalidInput
from app.core.vms.create.presets import VmPresetSpec
from app.core.vms.create.spec import CloudInit, VmSpec
from app.db.models import (
    Audit,
    Datacenter,
    Event,
    History,
    Host,
    IdempotencyKey,
    Task,
    Vm,
    VmDefinition,
    VmPreset,
)
from app.hypervisor.xml.domains.read import read_vm
from app.hypervisor.xml.domains.secrets import hidden
from app.inventory.vms.definitions import parsed
from app.services.vms.create import presets
from app.services.vms.definitions import definitions
from tests.databases import Contexts

VM = "vm_aaaaaaaaaaaaaaaa"
UUID = "00000000-0000-4000-8000-000000000001"
SECRET = "s3cret99"
XML = (
    f"<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><memory>1024</memory>"
    "<os><type>hvm</type></os><devices>{0}</devices></domain>"
)
PASTED = XML.format(f"<graphics type='vnc' port='-1' passwd='{SECRET}'/>")
PACKAGES = "packages: [nginx]\nchpasswd: {users: [{name: root, password: from-the-preset}]}"


def stored(ctx: Contexts) -> str:
    """All rows in which a secret could lie, as text."""
    models = (Task, VmDefinition, History, Event, Audit, IdempotencyKey, VmPreset)
    session = ctx().session
    return str([tuple(row) for model in models for row in session.execute(sa.select(model.__table__))])


@pytest.fixture
def vm(ctx: Contexts) -> Contexts:
    """Contexts with a host that is connected, and its VM `web`."""
    context = ctx()
    context.session.add(Datacenter(id="dc_1", name="Paris", name_key="paris", created_at=context.now))
    context.session.flush()
    where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
    state = {
        "mode": "managed",
        "connection": "connected",
        "created_at": context.now,
        "observed_at": datetime.now(UTC),
    }
    context.session.add(
        Host(id="host_1", datacenter_id="dc_1", name="kvm-1", name_key="kvm-1", **where, **state)
    )
    context.session.flush()
    facts = {"state": "shutoff", "persistent": True, "autostart": False, "created_at": context.now}
    context.session.add(Vm(id=VM, host_id="host_1", uuid=UUID, name="web", name_key="web", **facts))
    context.session.flush()
    now = read_vm(XML.format(""))
    context.session.add(
        VmDefinition(vm_id=VM, digest=now.digest, xml=now.xml, parsed=parsed(now), read_at=context.now)
    )
    context.session.flush()
    return ctx


def test_xml_that_is_pasted_with_a_password_is_sealed_in_its_task(vm: Contexts, services: Services) -> None:
    task = definitions.replace(vm(), VM, PASTED, None)
    assert SECRET not in stored(vm)
    params = vm().session.get_one(Task, task.id).params
    assert services.vault.open(params["sealed"].encode())["xml"] == PASTED


def test_a_comparison_and_an_error_show_no_password_that_was_pasted(vm: Contexts) -> None:
    shown = definitions.preview(vm(), VM, PASTED)
    assert SECRET not in shown.model_dump_json()
    assert any("passwd=" in line.text for line in shown.lines if line.kind == "new")
    assert hidden(f"VNC password '{SECRET}' is too long", PASTED) == "VNC password '••••' is too long"


def keep(ctx: Contexts, **cloud: Any) -> str:
    spec = VmSpec.model_validate({"name": "web", "cloud_init": {"user": "bob", **cloud}})
    return presets.save_preset(ctx(), VmPresetSpec(name="web", spec=spec)).id


def used(ctx: Contexts, preset_id: str) -> str | None:
    """The user_data of a VM that is made from what is shown of the kept specification."""
    shown = VmSpec.model_validate(presets.show_preset(ctx(), preset_id).spec)
    return presets.with_user_data(ctx(), shown.cloud_init or CloudInit()).user_data


def test_user_data_of_a_kept_specification_is_sealed_and_never_shown_but_used(ctx: Contexts) -> None:
    preset_id = keep(ctx, user_data=PACKAGES, password="for-bob-alone")
    assert "from-the-preset" not in stored(ctx)
    assert "for-bob-alone" not in stored(ctx)
    shown = presets.show_preset(ctx(), preset_id)
    cloud = shown.spec["cloud_init"]
    assert (cloud["user_data_from"], "user_data" in cloud, "password" in cloud) == (preset_id, False, False)
    assert used(ctx, preset_id) == PACKAGES


def test_a_kept_specification_that_is_sent_back_as_shown_keeps_its_user_data(ctx: Contexts) -> None:
    preset_id = keep(ctx, user_data=PACKAGES)
    shown = presets.show_preset(ctx(), preset_id)
    again = VmPresetSpec(name="web", spec=VmSpec.model_validate(shown.spec))
    presets.replace_preset(ctx(), preset_id, again)
    assert used(ctx, preset_id) == PACKAGES
    other = presets.save_preset(ctx(), VmPresetSpec(name="other", spec=again.spec)).id
    presets.delete_preset(ctx(), preset_id)
    assert used(ctx, other) == PACKAGES
    presets.replace_preset(ctx(), other, VmPresetSpec(name="other", spec=VmSpec(name="web")))
    with pytest.raises(InvalidInput) as reported:
        presets.with_user_data(ctx(), CloudInit(user_data_from=other))
    assert reported.value.field == "cloud_init.user_data_from"


def test_user_data_that_an_older_version_kept_in_clear_is_sealed(ctx: Contexts, services: Services) -> None:
    context = ctx()
    spec = {"name": "old", "cloud_init": {"user": "bob", "user_data": PACKAGES}}
    plain = {"name": "old", "name_key": "old", "created_at": context.now, "created_by": "x", "version": 1}
    context.session.add(VmPreset(id="spec_aaaaaaaaaaaaaaaa", spec=spec, **plain))
    context.session.flush()
    presets.seal_old(ctx().session, services.vault)
    assert "from-the-preset" not in stored(ctx)
    assert used(ctx, "spec_aaaaaaaaaaaaaaaa") == PACKAGES
