"""What is recorded of a volume, on both databases: through every host that has its storage, whatever its content says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.storage.observations import VolumeObservation
from app.core.storage.states import AS_FOUND, BY_VIGIE
from app.db.models import Host, Image, ImageCopy, Pool, Upload, Vm, VmDefinition, Volume
from app.services.storage.pools.pools import show_pool
from app.services.storage.uploads.content import UploadPart
from app.services.storage.volumes.records import find_recorded, note_links, record_created
from app.services.storage.volumes.volumes import show_record
from tests.databases import Contexts
from tests.integration.api.conftest import fill

PATH = "/vms/data.img"


@dataclass
class Made:
    """Two hosts, each with a pool at /vms that lists data.img."""

    hosts: list[str]
    pools: list[str]
    volumes: list[str]
    vm: str


@pytest.fixture
def created(services: Services) -> Made:
    filled = fill(services)
    hosts = filled.hosts[:2]
    pools = [new_id(ObjectKind.POOL) for _ in hosts]
    volumes = [new_id(ObjectKind.VOLUME) for _ in hosts]
    with services.database.begin() as session:
        for number, host_id in enumerate(hosts):
            session.add(
                Pool(
                    id=pools[number], host_id=host_id, uuid=f"p{number}", name="vms", kind="dir", state="running",
                    autostart=True, persistent=True, capacity_bytes=2**40, allocation_bytes=0,
                    available_bytes=2**40, target_path="/vms",
                )
            )  # fmt: skip
            session.flush()
            session.add(
                Volume(
                    id=volumes[number], pool_id=pools[number], name="data.img", path=PATH, kind="file",
                    format="qcow2", format_by=AS_FOUND, capacity_bytes=2**30, allocation_bytes=0,
                )
            )  # fmt: skip
    return Made(hosts, pools, volumes, filled.vms[1])


def record(services: Services, volume_id: str, format: str, by: str) -> None:
    with services.database.begin() as session:
        session.execute(sa.update(Volume).where(Volume.id == volume_id).values(format=format, format_by=by))


def test_a_format_that_was_recorded_through_another_host_of_the_same_storage_counts(
    services: Services, created: Made
) -> None:
    record(services, created.volumes[1], "raw", BY_VIGIE)
    with services.database.begin() as session:
        alone = find_recorded(session, created.hosts[0], PATH)
        session.execute(sa.update(Pool).where(Pool.id.in_(created.pools)).values(shared_mark="mark"))
        shared = find_recorded(session, created.hosts[0], PATH)
    assert alone is not None
    assert shared is not None
    assert (alone.format, shared.format, shared.volume_id) == ("qcow2", "raw", created.volumes[0])


def test_a_definition_that_contradicts_what_vigie_recorded_holds_the_volume_back(
    services: Services, created: Made
) -> None:
    with services.database.begin() as session:
        vm = session.get_one(Vm, created.vm)
        vm.host_id = created.hosts[0]
        definition = session.get_one(VmDefinition, created.vm)
        disk = {"target": "vda", "device": "disk", "bus": "virtio", "source": PATH, "format": "raw",
                "readonly": False, "capacity_bytes": None, "allocation_bytes": None}  # fmt: skip
        definition.parsed = definition.parsed | {"disks": [disk]}
        session.flush()
        found = find_recorded(session, created.hosts[0], PATH)
        assert found is not None
        assert (found.format, found.other_format) == ("raw", None), "the definition goes over what was found"
    record(services, created.volumes[0], "qcow2", BY_VIGIE)
    with services.database.begin() as session:
        held = find_recorded(session, created.hosts[0], PATH)
    assert held is not None
    assert (held.format, held.other_format) == ("qcow2", "raw")


def test_the_length_that_a_file_had_as_an_image_is_known(services: Services, created: Made) -> None:
    image = Image(
        id=new_id(ObjectKind.IMAGE), name="cloud", name_key="cloud", kind="disk", format="qcow2", state="ready",
        size_bytes=12345, source="", notes="", created_at=datetime.now(UTC), created_by="x", version=1,
    )  # fmt: skip
    with services.database.begin() as session:
        session.add(image)
        session.flush()
        copy = ImageCopy(image_id=image.id, host_id=created.hosts[0], pool_uuid="p0", volume_name="data.img")
        copy.path, copy.checked_at = PATH, datetime.now(UTC)
        session.add(copy)
        session.flush()
        found = find_recorded(session, created.hosts[0], PATH)
    assert found is not None
    assert found.image_bytes == 12345


def test_where_links_cannot_be_seen_the_records_say_so(
    services: Services, created: Made, ctx: Contexts
) -> None:
    asker = ctx()
    asker.session.execute(sa.update(Host).where(Host.id == created.hosts[1]).values(transport="tls"))
    assert [show_pool(asker, pool).links_checked for pool in created.pools] == [True, False]
    assert [show_record(asker, volume).links_checked for volume in created.volumes] == [True, False]
    note_links(asker.session, created.hosts[0], "p0", hidden=True)
    assert show_pool(asker, created.pools[0]).links_checked is False, "SFTP is there, but may not look"


def test_an_upload_that_an_earlier_version_began_goes_on_as_it_was() -> None:
    pool, host = Pool(uuid="p", target_path="/vms/"), Host(id="h")
    old = Upload(id="u", volume_name="a", size_bytes=10**6, offset_bytes=1000, head=None)
    new = Upload(id="u", volume_name="a", size_bytes=10**6, offset_bytes=1000, head=b"x" * 1000)
    assert (
        UploadPart.of(old, pool, host, b"y" * 10**5).head,
        UploadPart.of(old, pool, host, b"y").held_bytes,
    ) == (
        b"",
        0,
    )
    assert UploadPart.of(new, pool, host, b"y" * 10**5).head == b"x" * 1000 + b"y" * (65536 - 1000)


def test_a_volume_that_vigie_has_made_counts_with_its_pool_at_once(services: Services, created: Made) -> None:
    new = VolumeObservation("new.img", "/vms/new.img", "file", "raw", 2**20, 0)
    for _ in range(2):  # what repeats a step finds it there
        with services.database.begin() as session:
            record_created(session, created.hosts[0], "p0", new, "raw")
    with services.database.read() as session:
        counts = [session.get_one(Pool, pool_id).volume_count for pool_id in created.pools]
    assert counts == [1, 0]
