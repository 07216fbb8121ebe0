"""A database that was restored from an older copy is told from the one that was worked on last."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.notices import Hub
from app.core.tasks.states import TaskState
from app.db.epoch import EpochFile, Mark, is_restored, note_step, settle
from app.db.models import Epoch, Event, Task
from app.db.session import Database
from app.tasks import lifecycle


@pytest.fixture
def file(tmp_path: Path) -> EpochFile:
    return EpochFile(tmp_path / "epoch")


@pytest.fixture
def worked_on(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database on which a server has started."""
    database = Database(database_url, epoch_file=tmp_path / "epoch")
    start(database)
    yield database
    database.close()


def start(database: Database) -> bool:
    """What a start does; whether it took the database for a restored copy."""
    assert database.epoch is not None
    with database.begin() as session:
        restored = is_restored(session, database.epoch)
        mark = settle(session, database.epoch)
    database.epoch.make(mark)
    return restored


def step(database: Database, times: int = 1) -> None:
    for _ in range(times):
        with database.begin() as session:
            note_step(session)


def set_back(database: Database, number: int) -> None:
    """What a restored copy holds."""
    with database.begin() as session:
        session.execute(sa.update(Epoch).values(number=number))


def now(database: Database) -> int:
    with database.read() as session:
        return session.scalars(sa.select(Epoch.number)).one()


def test_a_restart_is_no_restore(worked_on: Database) -> None:
    step(worked_on, 3)
    assert worked_on.epoch is not None
    assert worked_on.epoch.read() is not None
    assert worked_on.epoch.read().number == now(worked_on) == 4
    assert not start(worked_on)
    assert not start(worked_on)


def test_a_copy_from_before_the_last_step_is_a_restored_one(worked_on: Database) -> None:
    before = now(worked_on)
    step(worked_on)
    set_back(worked_on, before)
    assert start(worked_on)
    assert now(worked_on) > before + 1  # ahead of what was lost, so that the next start is none
    assert not start(worked_on)


def test_a_step_that_was_rolled_back_counts_nowhere(worked_on: Database) -> None:
    before = now(worked_on)
    with suppress(KeyError), worked_on.begin() as session:
        note_step(session)
        raise KeyError
    assert worked_on.epoch is not None
    assert now(worked_on) == before == worked_on.epoch.read().number


def test_a_file_that_lags_is_no_restore(worked_on: Database, tmp_path: Path) -> None:
    set_back(worked_on, 100)  # the server was killed between commit and file
    assert not start(worked_on)


@pytest.mark.parametrize("how", ["gone", "garbage", "copied", "copied over", "of another database"])
def test_a_data_directory_that_is_not_the_one_of_the_last_start(
    worked_on: Database, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "epoch"
    step(worked_on)
    if how == "gone":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(b"\xff{")
    elif how == "of another database":
        EpochFile(path).make(Mark("another", 1))
    else:
        age(path)
        shutil.copy2(path, tmp_path / "backup")
        if how == "copied":
            path.unlink()
        shutil.copy2(tmp_path / "backup", path)
    assert start(worked_on)
    assert not start(worked_on)


def age(path: Path) -> None:
    """Have the file say that it was made an hour ago, as that of an older backup does."""
    text = path.read_text()
    created = text[text.index('"made_ns": ') + 11 :].rstrip("}")
    path.write_text(text.replace(created, str(int(created) - 3600 * 10**9)))


def test_the_first_start_with_an_epoch_goes_on_with_its_tasks(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, epoch_file=tmp_path / "epoch")
    assert not start(database)
    database.close()


def test_a_backup_from_before_the_epoch_is_an_older_copy(worked_on: Database) -> None:
    with worked_on.begin() as session:
        session.execute(sa.delete(Epoch))
    assert start(worked_on)


def test_two_processes_keep_the_greater_number(file: EpochFile, tmp_path: Path) -> None:
    file.make(Mark("d", 1))
    file.follow(Mark("d", 7))
    EpochFile(tmp_path / "epoch").follow(Mark("d", 6))
    assert file.read() == Mark("d", 7)
    assert os.listdir(tmp_path) == ["epoch"]


def test_a_file_that_was_taken_away_stays_away(worked_on: Database) -> None:
    assert worked_on.epoch is not None
    worked_on.epoch.remove()
    step(worked_on)
    assert not worked_on.epoch.exists
    assert start(worked_on)


def task(state: TaskState, requested: list[dict[str, str]] | None = None) -> Task:
    return Task(
        id=new_id(ObjectKind.TASK),
        kind="vm.create",
        title="Create",
        params={},
        state=state.value,
        message_params={},
        actor_name="ada",
        created_at=datetime.now(UTC),
        created_resources=requested,
    )


def test_a_restored_database_does_not_repeat_work_that_was_under_way_in_it(worked_on: Database) -> None:
    note = [{"kind": "volume", "pool": "p", "name": "disk-1.qcow2"}]
    with worked_on.begin() as session:
        session.add_all([task(state, note) for state in TaskState])
    with worked_on.begin() as session:
        lifecycle.end_restored(session, Hub(), {"code": "interrupted", "title": "t"})
    with worked_on.read() as session:
        rows = session.scalars(sa.select(Task)).all()
        assert all(TaskState(row.state).is_final for row in rows)
        interrupted = [row for row in rows if row.error and row.error["code"] == "interrupted"]
        assert len(interrupted) == sum(not state.is_final for state in TaskState)
        # What a task had noted may be a disk of a VM by now: nothing of it is removed.
        assert lifecycle.created_by_ended_tasks(session) == []
        assert session.scalars(sa.select(Event.params)).all() == [{"count": len(interrupted)}]


def test_every_step_of_a_task_lets_the_number_grow(worked_on: Database) -> None:
    one, hub = task(TaskState.QUEUED), Hub()
    with worked_on.begin() as session:
        session.add(one)
    for item in (
        lambda session: lifecycle.mark_sent(session, one.id),
        lambda session: lifecycle.note_created(session, one.id, []),
        lambda session: lifecycle.finish_task(session, hub, one.id, lifecycle.Ending(TaskState.SUCCEEDED)),
    ):
        before = now(worked_on)
        with worked_on.begin() as session:
            item(session)
        assert now(worked_on) == before + 1
