"""A database is restored from an older copy: what was under way in it is not done a second time."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.tasks.states import TaskState
from app.core.vms.delete import DeleteSpec
from app.core.vms.states import VmState
from app.db.models import Vm
from app.lab.lab import Lab
from app.services.vms.delete import delete
from tests.integration.conftest import MakeSite
from tests.integration.site import eventually

pytestmark = [pytest.mark.lab]


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@pytest.mark.parametrize("restored", [("vigie.db",), ("vigie.db", "tasks.db"), ("vigie.db", "epoch")])
def test_a_vm_that_was_defined_again_is_not_deleted_again_after_a_restore(
    fresh_lab: Lab, make_site: MakeSite, tmp_path: Path, restored: tuple[str, ...]
) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("doomed")
    definition = host.virsh("dumpxml", "doomed")
    site = make_site()
    site.add(host)
    site.wait_vm("doomed", VmState.SHUTOFF)
    vm = site.vm("doomed")
    assert vm is not None
    site.engine.stop()
    with site.services.database.begin() as session:
        task_id = delete.delete_vm(site.ctx(session), vm.id, DeleteSpec()).id
    backup = tmp_path / "backup"
    backup.mkdir()
    copy(tmp_path / "vigie.db", backup / "vigie.db")
    copy(tmp_path / "tasks.db", backup / "tasks.db")
    shutil.copy2(tmp_path / "epoch", backup)
    site.services.database.close()

    site = make_site()
    assert site.task(task_id).state is TaskState.SUCCEEDED
    (tmp_path / "doomed.xml").write_text(definition)
    host.virsh("define", str(tmp_path / "doomed.xml"))
    site.engine.stop()
    site.services.database.close()

    for name in restored:
        for item in tmp_path.glob(f"{name}*"):
            item.unlink()
        shutil.copy2(backup / name, tmp_path / name)
    site = make_site()
    ended = site.now(task_id)
    assert (ended.state, ended.error.code if ended.error else None) == (TaskState.FAILED, "interrupted")
    eventually(lambda: site.engine.health().hosts.get("connected") == 1, 10, "the host is connected")
    assert "doomed" in host.virsh("list", "--all", "--name")
    with site.services.database.read() as session:
        assert session.scalars(sa.select(Vm.name)).all() == ["doomed"]
