"""A new kind of thing in the mirror is one collector: here one that is declared in the test itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from app.core.inventory.reports import Parts
from app.core.inventory.usage import UsageSample
from app.core.kinds import ObjectKind
from app.db.models import Event
from app.hypervisor import Host
from app.inventory.batch import Batch
from app.inventory.collectors.all_collectors import COLLECTORS, Collectors
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Poll
from app.inventory.merged_report import Reading
from app.lab.fleets.fleet import Fleet
from tests.integration.conftest import MakeSite
from tests.integration.engine.test_fleet import register
from tests.integration.site import eventually


class Turns:
    """How often a host was read."""

    def __init__(self) -> None:
        self.number = 0


def read_devices(memory: HostMemory, host: Host) -> Parts:
    memory.of(Turns).number += 1
    return DEVICES.part({memory.of(Turns).number: len(host.read_devices())})


class DevicesCollector(Collector[dict[int, int]]):
    """Writes how many devices a host has, by the number of the reading."""

    name = "devices"
    polls = (
        Poll(
            "devices",
            Lane.SLOW,
            slack_s=0.1,
            read=read_devices,
            every_s=lambda load: 0.05,
            first_s=lambda load: 0.0,
        ),
    )

    def merge(self, earlier: dict[int, int], later: dict[int, int]) -> dict[int, int]:
        return earlier | later

    def write(self, batch: Batch, readings: Sequence[Reading[dict[int, int]]]) -> None:
        for reading in readings:
            batch.publish(
                "host.devices",
                "%(count)d devices.",
                {"numbers": list(reading.value), "count": max(reading.value.values())},
                object_kind=ObjectKind.HOST,
                object_id=reading.host_id,
                object_name=reading.host[1],
                host=reading.host,
            )


DEVICES = DevicesCollector()
IS_OURS = Event.kind == "host.devices"


def test_a_collector_of_its_own_is_read_merged_and_written(
    make_site: MakeSite, make_fleet: Callable[..., Fleet]
) -> None:
    site = make_site(collectors=Collectors([*COLLECTORS, DEVICES]))
    register(site, make_fleet(1))

    def written() -> list[list[int]]:
        with site.services.database.read() as session:
            return [row["numbers"] for row in session.scalars(sa.select(Event.params).where(IS_OURS))]

    eventually(lambda: len(written()) > 2, 20, "events of the collector")
    found = written()
    numbers = [number for item in found for number in item]
    assert numbers == list(range(1, len(numbers) + 1)), "each reading once, in order"
    assert any(len(item) > 1 for item in found), "readings that waited together were merged"


def test_samples_of_usage_are_handed_out_before_they_are_rounded(
    make_site: MakeSite, make_fleet: Callable[..., Fleet]
) -> None:
    site = make_site(refresh_s=0.2)
    heard: list[tuple[str, UsageSample]] = []
    site.engine.usage_listeners.append(lambda host_id, sample: heard.append((host_id, sample)))
    register(site, make_fleet(1))
    eventually(lambda: len(heard) > 2, 20, "samples")
    assert len({host_id for host_id, _ in heard}) == 1
    assert all(sample.vms for _, sample in heard)
    assert heard[0][1].taken_at_s < heard[-1][1].taken_at_s
