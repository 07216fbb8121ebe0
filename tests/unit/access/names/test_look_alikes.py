"""Names that could be taken for one another are told, on both databases."""

from datetime import UTC, datetime

import pytest

from app.access.names import look_alikes
from app.core.inventory.specs import DatacenterSpec, EventQuery
from app.db.models import Vm
from app.services.inventory import datacenters, events
from tests.unit.services.hosts.test_credentials import host


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("web-O1", "web-01"),
        ("web-l", "web-1"),
        ("рrоd", "prod"),
        ("modern", "modem"),
        ("ԁb", "db"),
        ("sqlI", "sql1"),
    ],
)
def test_look_alikes_are_seen_both_ways(name: str, other: str) -> None:
    assert look_alikes.look_alike(name, ["else", other]) == (look_alikes.LOOKS_LIKE, other)
    assert look_alikes.look_alike(other, ["else", name]) == (look_alikes.LOOKS_LIKE, name)


def test_names_that_differ_only_in_case_are_told_as_such() -> None:
    assert look_alikes.look_alike("Web", ["WEB"]) == (look_alikes.ONLY_CASE, "WEB")


@pytest.mark.parametrize(
    ("name", "other"), [("web-1", "web-2"), ("a", "b"), ("web", "web"), ("host-5", "host-S")]
)
def test_other_names_are_not(name: str, other: str) -> None:
    assert look_alikes.look_alike(name, [other]) is None


def vm(host_id: str, number: int, name: str) -> Vm:
    return Vm(
        id=f"vm_{'a' * 15}{'abcdefg'[number]}",
        host_id=host_id,
        uuid=f"00000000-0000-4000-9000-{number:012}",
        name=name,
        name_key=name.lower(),
        state="shutoff",
        persistent=True,
        autostart=False,
        vcpus=1,
        memory_bytes=1,
        addresses=[],
        search_text=name,
        created_at=datetime.now(UTC),
    )


def test_a_vm_is_compared_on_its_host_and_letters_of_other_scripts_everywhere(ctx) -> None:
    one = ctx()
    datacenter = datacenters.create_datacenter(one, DatacenterSpec(name="Paris"))
    rows = [host("", 1), host("", 2)]
    for row in rows:
        row.credential_id, row.datacenter_id = None, datacenter.id
    one.session.add_all(rows)
    one.session.flush()
    one.session.add_all([vm(rows[0].id, 0, "Web"), vm(rows[1].id, 1, "prod")])
    one.session.flush()
    assert look_alikes.warning(one, Vm, "web", rows[0].id) == "“web” differs only in case from “Web”."
    assert look_alikes.warning(one, Vm, "web", rows[1].id) is None
    assert look_alikes.warning(one, Vm, "рrоd", rows[0].id) == "“рrоd” looks like “prod”."


def test_a_look_alike_that_was_saved_is_an_event(ctx) -> None:
    one = ctx()
    datacenters.create_datacenter(one, DatacenterSpec(name="Paris1"))
    datacenter = datacenters.create_datacenter(one, DatacenterSpec(name="Parisl"))
    datacenters.update_datacenter(
        one, datacenter.id, DatacenterSpec(name="Parisl"), datacenter.version
    )  # said once
    one.session.flush()
    found = events.list_events(one, EventQuery(kind="datacenter.look_alike")).items
    assert [(item.message, item.severity, item.target and item.target.id) for item in found] == [
        ("“Parisl” looks like “Paris1”.", "warning", datacenter.id)
    ]
