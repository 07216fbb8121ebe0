"""What tasks on images hold, are refused for, and leave when they never begin."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.errors import Busy, Conflict
from app.core.library.images import ImageCopySpec, ImageSpec
from app.db.models import Datacenter, Host, Image, ImageCopy, Pool, Task, TaskLock, Volume
from app.services.library import images
from app.services.library.image_copy import copy_image
from app.services.library.image_register import register_image
from app.tasks import lifecycle
from tests.databases import Contexts

POOLS = [f"pool_{letter * 16}" for letter in "abc"]
VOLUME = "vol_" + "a" * 16
BEGIN = datetime(2026, 11, 29, tzinfo=UTC)
SIZE = {"capacity_bytes": 10, "allocation_bytes": 10}


@pytest.fixture
def library(ctx: Contexts) -> Contexts:
    """Three hosts with a pool each; the first has a volume and, elsewhere, an image that is ready."""
    context = ctx()
    context.session.add(Datacenter(id="dc_1", name="Paris", name_key="paris", created_at=BEGIN))
    context.session.flush()
    for number in (1, 2, 3):
        where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
        state = {"mode": "managed", "connection": "connected", "created_at": BEGIN}
        name = f"kvm-{number}"
        context.session.add(
            Host(id=f"host_{number}", datacenter_id="dc_1", name=name, name_key=name, **where, **state)
        )
        context.session.flush()
        running = {"state": "running", "autostart": True, "persistent": True, "available_bytes": 99, **SIZE}
        ids = {"id": POOLS[number - 1], "host_id": f"host_{number}", "uuid": f"p{number}"}
        context.session.add(Pool(name=f"local-{number}", kind="dir", **ids, **running))
    context.session.flush()
    context.session.add(
        Volume(id=VOLUME, pool_id=POOLS[0], name="new.iso", path="/srv/new.iso", kind="file", **SIZE)
    )
    ready = {"kind": "disk", "state": "ready", "size_bytes": 10, "sha256": "0" * 64}
    reported = {"source": "s", "notes": "", "created_at": BEGIN, "created_by": "t", "version": 1}
    context.session.add(Image(id="img_1", name="golden", name_key="golden", **ready, **reported))
    context.session.flush()
    place = {"pool_uuid": "q", "volume_name": "golden.img", "path": "/q/golden.img", "checked_at": BEGIN}
    context.session.add(ImageCopy(image_id="img_1", host_id="host_1", **place))
    context.session.commit()
    return ctx


def test_an_image_is_copied_to_several_hosts_at_once_but_to_each_one_by_one(library: Contexts) -> None:
    requested = library()
    copy_image(requested, "img_1", ImageCopySpec(pool_id=POOLS[1]))
    copy_image(requested, "img_1", ImageCopySpec(pool_id=POOLS[2]))
    with pytest.raises(Busy):
        copy_image(requested, "img_1", ImageCopySpec(pool_id=POOLS[2]))
    with pytest.raises(Conflict, match="has this image"):
        copy_image(requested, "img_1", ImageCopySpec(pool_id=POOLS[0]))


def test_an_image_in_use_by_a_copy_is_not_taken_out_of_the_library(library: Contexts) -> None:
    requested = library()
    copy_image(requested, "img_1", ImageCopySpec(pool_id=POOLS[1]))
    with pytest.raises(Busy):
        images.remove_image(requested, "img_1")


def test_a_volume_that_is_being_registered_is_held_with_its_image(library: Contexts) -> None:
    requested = library()
    task = register_image(requested, ImageSpec(name="new", volume_id=VOLUME))
    assert task.target is not None
    held = set(requested.session.scalars(sa.select(TaskLock.name).where(TaskLock.task_id == task.id)))
    assert task.target.id in held
    assert any("new.iso" in name for name in held)
    with pytest.raises(Busy):
        register_image(requested, ImageSpec(name="newer", volume_id=VOLUME))


def test_an_image_whose_task_is_refused_as_it_begins_is_shown_as_refused(
    library: Contexts, services: Services
) -> None:
    requested = library()
    image = register_image(requested, ImageSpec(name="new", volume_id=VOLUME)).target
    assert image is not None
    assert images.show_image(requested, image.id).state == "importing"
    task = requested.session.scalars(sa.select(Task)).one()
    place = {"pool_uuid": "p1", "volume_name": "new.iso", "path": "/srv/new.iso", "checked_at": BEGIN}
    requested.session.add(ImageCopy(image_id="img_1", host_id="host_1", **place))
    requested.session.flush()
    assert lifecycle.begin_task(services, requested.session, task.id) is None
    assert task.error is not None
    assert task.error["code"] == "volume_in_use"
    assert images.show_image(requested, image.id).state == "failed"
