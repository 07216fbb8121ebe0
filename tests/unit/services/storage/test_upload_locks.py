"""One request at a time writes a part of an upload, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.access.context import Actor, Ctx, Services
from app.core.errors import Conflict, NotFound
from app.core.storage.created_volumes import CREATED, volume_note
from app.core.storage.uploads import UploadSpec
from app.core.tasks.states import TaskState
from app.db.models import Pool, Task, TaskLock, Upload
from app.db.session import Database
from app.services.storage.uploads.abandoned import end_abandoned, give_up
from app.services.storage.uploads.claims import PartClaim
from app.services.storage.uploads.uploads import begin_upload
from app.services.storage.uploads.volume import _note
from tests.databases import Contexts
from tests.integration.api.conftest import fill


@pytest.fixture
def upload_id(services: Services, ctx: Contexts) -> str:
    pool = fill(services).pool
    with services.database.begin() as session:
        session.execute(sa.update(Pool).values(available_bytes=2**30))
    created = begin_upload(ctx(), pool, UploadSpec(name="file.img", size_bytes=4096)).id
    ctx.commit()
    return created


def state_of(services: Services, upload_id: str) -> tuple[str, int]:
    """The state of its task, and how many locks that holds."""
    with services.database.read() as session:
        locks = sa.select(sa.func.count()).select_from(TaskLock).where(TaskLock.task_id == upload_id)
        return session.get_one(Task, upload_id).state, session.scalars(locks).one()


def test_a_part_that_is_sent_twice_at_the_same_time_is_refused_the_second_time(
    services: Services, ctx: Contexts, upload_id: str
) -> None:
    claim = PartClaim.take(ctx(), upload_id)
    ctx.commit()
    with claim:
        with pytest.raises(Conflict) as reported:
            PartClaim.take(ctx(), upload_id)
        ctx.roll_back()
        assert reported.value.code == "part_under_way"
    assert PartClaim.take(ctx(), upload_id)


def test_another_process_on_the_same_database_may_not_write_either(
    services: Services, ctx: Contexts, upload_id: str, actor: Callable[..., Actor]
) -> None:
    claim = PartClaim.take(ctx(), upload_id)
    ctx.commit()
    elsewhere = replace(services, database=Database(services.settings.database))

    def take_there() -> None:
        with elsewhere.database.begin() as session:
            PartClaim.take(Ctx(elsewhere, session, actor()), upload_id)

    with claim, pytest.raises(Conflict) as reported:
        take_there()
    assert reported.value.code == "part_under_way"
    take_there()
    elsewhere.database.close()


def test_an_upload_that_is_given_up_keeps_its_locks_until_its_writer_has_left(
    services: Services, ctx: Contexts, upload_id: str
) -> None:
    _, locks = state_of(services, upload_id)
    claim = PartClaim.take(ctx(), upload_id)
    ctx.commit()
    with claim:
        give_up(ctx(), upload_id)
        ctx.commit()
        end_abandoned(services)
        assert state_of(services, upload_id) == (TaskState.CANCELLING.value, locks)
        with pytest.raises(NotFound), services.database.begin() as session:
            claim.require(session)
    end_abandoned(services)
    assert state_of(services, upload_id) == (TaskState.CANCELLED.value, 0)


def test_a_claim_ends_when_its_process_has_died_and_the_dead_one_changes_no_note(
    services: Services, ctx: Contexts, upload_id: str
) -> None:
    dead = PartClaim.take(ctx(), upload_id)
    ctx.commit()
    with services.database.begin() as session:
        session.execute(sa.update(Upload).values(claimed_until=datetime.now(UTC) - timedelta(seconds=1)))
    living = PartClaim.take(ctx(), upload_id)
    ctx.commit()
    note = volume_note("p", "file.img") | {"state": CREATED}
    _note(services, living, note)
    with pytest.raises(Conflict) as reported:
        _note(services, dead, None)
    assert reported.value.code == "part_under_way"
    with services.database.read() as session:
        assert session.get_one(Task, upload_id).created_resources == [note]
