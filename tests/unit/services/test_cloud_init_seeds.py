"""When the seed of a VM's first boot goes, and who may not touch it meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from app.core.vmspec import CloudInit
from app.db.models import CloudInitSeed, Datacenter, Host, Pool, Task, Vm, Volume
from app.services import cloud_init_seeds, creation_choices, images
from app.services.cloud_init_seeds import AFTER_AGENT, REMOVE, WITHOUT_AGENT, remove_due
from app.services.context import Services
from app.services.seeds import seed_texts
from tests.databases import Contexts

VM = "vm_aaaaaaaaaaaaaaaa"
BEGIN = datetime(2026, 11, 29, tzinfo=UTC)
SOON = timedelta(seconds=15)


@pytest.fixture
def seed(ctx: Contexts) -> Contexts:
    """Contexts with a VM that is off and has a seed in the pool of its host."""
    asked = ctx()
    asked.session.add(Datacenter(id="dc_1", name="Paris", name_key="paris", created_at=BEGIN))
    asked.session.flush()
    where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
    state = {"mode": "managed", "state": "connected", "created_at": BEGIN}
    asked.session.add(
        Host(id="host_1", datacenter_id="dc_1", name="kvm-1", name_key="kvm-1", **where, **state)
    )
    asked.session.flush()
    facts = {"state": "shutoff", "persistent": True, "autostart": False, "created_at": BEGIN}
    asked.session.add(Vm(id=VM, host_id="host_1", uuid="u", name="web", name_key="web", **facts))
    size = {"capacity_bytes": 1, "allocation_bytes": 1}
    running = {"state": "running", "autostart": True, "persistent": True, "available_bytes": 1, **size}
    asked.session.add(Pool(id="pool_1", host_id="host_1", uuid="p", name="local", kind="dir", **running))
    asked.session.flush()
    for name in ("web-seed.iso", "tools.iso"):
        path = f"/srv/{name}"
        asked.session.add(
            Volume(id=f"vol_{name}", pool_id="pool_1", name=name, path=path, kind="file", **size)
        )
    place = {"host_id": "host_1", "pool_uuid": "p", "volume_name": "web-seed.iso", "target": "sda"}
    asked.session.add(CloudInitSeed(vm_id=VM, keep=False, created_at=BEGIN, **place))
    asked.session.flush()
    ctx.commit()
    return ctx


def removed(ctx: Contexts, services: Services, after: timedelta, **vm: Any) -> bool:
    """Whether the removal is asked for when the VM is like this, that long after the beginning."""
    session = ctx().session
    if vm:
        session.execute(sa.update(Vm).where(Vm.id == VM).values(**vm))
    ctx.commit()
    remove_due(services, now=BEGIN + after)
    return ctx().session.scalar(sa.select(Task.id).where(Task.kind == REMOVE)) is not None


def test_a_vm_that_never_ran_keeps_its_seed(seed: Contexts, services: Services) -> None:
    assert not removed(seed, services, timedelta(days=9))


def test_a_seed_goes_some_time_after_the_agent_answered(seed: Contexts, services: Services) -> None:
    assert not removed(seed, services, SOON, state="running", agent_connected=True)
    assert not removed(seed, services, AFTER_AGENT)
    assert removed(seed, services, AFTER_AGENT + SOON)


def test_without_an_agent_a_seed_goes_after_an_hour(seed: Contexts, services: Services) -> None:
    assert not removed(seed, services, SOON, state="running")
    assert not removed(seed, services, WITHOUT_AGENT)
    assert removed(seed, services, WITHOUT_AGENT + SOON)


def test_a_seed_goes_when_the_guest_shut_itself_down(seed: Contexts, services: Services) -> None:
    assert not removed(seed, services, SOON, state="running")
    assert removed(seed, services, 2 * SOON, state="shutoff", state_reason="shutdown")


def test_after_a_forced_power_off_the_next_boot_counts(seed: Contexts, services: Services) -> None:
    assert not removed(seed, services, SOON, state="running")
    assert not removed(seed, services, 2 * SOON, state="shutoff", state_reason="destroyed")
    assert not removed(seed, services, WITHOUT_AGENT + SOON, state="running", state_reason=None)
    assert removed(seed, services, 2 * WITHOUT_AGENT + SOON)


def test_a_seed_that_shall_be_kept_stays_until_its_vm_is_gone(seed: Contexts, services: Services) -> None:
    seed().session.execute(sa.update(CloudInitSeed).values(keep=True))
    assert not removed(seed, services, timedelta(days=1), state="running", agent_connected=True)
    assert not removed(seed, services, timedelta(days=2))
    seed().session.execute(sa.delete(Vm).where(Vm.id == VM))
    assert removed(seed, services, timedelta(days=3))


@pytest.mark.parametrize("host", [{"state": "not_answering"}, {"mode": "observe"}])
def test_a_host_that_cannot_be_worked_on_is_left_alone(
    seed: Contexts, services: Services, host: dict[str, str]
) -> None:
    seed().session.execute(sa.update(Host).values(**host))
    seed().session.execute(sa.delete(Vm).where(Vm.id == VM))
    assert not removed(seed, services, timedelta(days=3))


def test_a_seed_is_offered_neither_as_an_image_nor_to_other_vms(seed: Contexts) -> None:
    asked = seed()
    assert [each.id for each in images.volume_options(asked)] == ["vol_tools.iso"]
    offered = str(creation_choices.list_choices(asked, "host_1"))
    assert "tools.iso" in offered
    assert "web-seed.iso" not in offered
    assert cloud_init_seeds.of_vm(asked.session, VM) is not None


def test_a_guest_knows_itself_without_its_seed_unless_that_stays() -> None:
    mine = "write_files: [{path: /etc/motd, content: hello}]"
    told = yaml.safe_load(seed_texts(CloudInit(user_data=mine), "web", "the-id", [])["user-data"])
    paths = [each["path"] for each in told["write_files"]]
    assert paths == [
        "/etc/motd",
        *(f"/var/lib/cloud/seed/nocloud/{name}" for name in ("meta-data", "user-data")),
    ]
    assert yaml.safe_load(told["write_files"][1]["content"]) == {"instance-id": "the-id"}
    kept = yaml.safe_load(seed_texts(CloudInit(keep_seed=True), "web", "the-id", [])["user-data"])
    assert "write_files" not in kept
