"""Lists in parts: every row comes exactly once in every order, and a cursor cannot be misused. On both databases."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.access.paging import page
from app.core.errors import InvalidInput
from app.core.vms.specs import VmQuery
from app.db.models import Datacenter, Host, Vm
from app.services.vms import vms
from tests.unit.services.hosts.test_credentials import host

AT = datetime(2026, 1, 31, tzinfo=UTC)
COUNT = 23
SORTS = [f"{sign}{name}" for name in vms.SORT_KEYS.columns for sign in ("", "-")]


def vm(number: int) -> Vm:
    """Many equal values, some missing, so that ties and gaps meet the ends of parts."""
    return Vm(
        id=f"vm_{number:02}",
        host_id=f"host_{1 + number % 2}",
        uuid=f"{number:08}-0000-4000-8000-000000000000",
        name=f"Web {number % 4}",
        name_key=f"web {number % 4}",
        state=("running", "shutoff", "paused")[number % 3],
        state_since=None if number % 5 == 0 else AT + timedelta(microseconds=number % 7),
        cpu_percent=None if number % 2 else number % 3 / 3,
        memory_used_bytes=None if number % 3 else 2**40 + number % 2,
        persistent=True,
        autostart=False,
        vcpus=number % 3,
        memory_bytes=2**33 * (number % 2),
        disk_bytes=None,
        search_text=f"web {number % 4}",
        created_at=AT,
    )


@pytest.fixture
def filled(ctx):
    one = ctx()
    one.session.add(Datacenter(id="dc_1", name="Main", name_key="main", created_at=AT, version=1))
    one.session.flush()
    for number in (1, 2):
        row = host("", number)
        row.credential_id = None
        one.session.add(row)
    one.session.flush()
    one.session.add_all(vm(number) for number in range(COUNT))
    one.session.flush()
    return one


def walk(ctx, **requested: object) -> list[tuple[str, object]]:
    """Ids and sort values of a whole list, part by part."""
    query = VmQuery.model_validate(requested)
    column = vms.SORT_KEYS.columns[str(requested["sort"]).removeprefix("-")]
    found: list[tuple[str, object]] = []
    for _ in range(COUNT + 1):
        part = page(
            ctx,
            sa.select(Vm.id, column).join(Host, Host.id == Vm.host_id),
            query,
            vms.SORT_KEYS,
            lambda rows: list(map(tuple, rows)),
        )
        assert part.total == COUNT
        assert len(part.items) <= query.limit
        found += part.items
        if part.next is None:
            return found
        query = query.model_copy(update={"cursor": part.next})
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("sort", SORTS)
def test_every_row_comes_once_and_in_order(filled, sort: str) -> None:
    found = walk(filled, sort=sort, limit=4)
    assert len({row_id for row_id, _value in found}) == len(found) == COUNT
    values = [value for _row_id, value in found]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (COUNT - len(known))  # those without a value come last, both ways
    assert known == sorted(known, reverse=sort.startswith("-"))
    assert found == walk(filled, sort=sort, limit=100)


@pytest.mark.parametrize("sort", SORTS)
def test_the_list_of_vms_in_parts(filled, sort: str) -> None:
    query, found = VmQuery(sort=sort, limit=10, q="WEB"), []
    while True:
        part = vms.list_vms(filled, query)
        found += [item.id for item in part.items]
        assert part.total == COUNT
        if part.next is None:
            break
        query = query.model_copy(update={"cursor": part.next})
    # What is sought is sorted in another way than what is walked: both give the same.
    assert found == [row_id for row_id, _value in walk(filled, sort=sort, limit=100)]


def test_rows_that_come_and_go_between_parts(filled) -> None:
    first = vms.list_vms(filled, VmQuery(limit=10))
    last = first.items[-1].id
    filled.session.execute(sa.delete(Vm).where(Vm.id == last))
    rest = vms.list_vms(filled, VmQuery(limit=100, cursor=first.next))
    assert {item.id for item in first.items}.isdisjoint(item.id for item in rest.items)
    assert len(first.items) + len(rest.items) == COUNT
    assert rest.total == COUNT - 1


def cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "%%%",
        "é",
        "A" * 4000,
        base64.urlsafe_b64encode(b"[" * 2500).decode(),
        cursor(),
        cursor("memory", 1),
        cursor("memory", 1, "vm_01", 1),
        cursor("-memory", 1, "vm_01"),
        cursor("name", "a", "vm_01"),
        cursor("memory", "1", "vm_01"),
        cursor("memory", True, "vm_01"),
        cursor("memory", 1.5, "vm_01"),
        cursor("memory", 2**63, "vm_01"),
        cursor("memory", 10**400, "vm_01"),
        cursor("memory", [1], "vm_01"),
        cursor("memory", {}, "vm_01"),
        cursor("memory", 1, None),
        cursor("memory", 1, 5),
        cursor("memory", 1, "nul\0"),
        cursor("memory", 1, "\ud800"),
    ],
)
def test_cursors_that_nobody_was_given(filled, bad: str) -> None:
    with pytest.raises(InvalidInput) as reported:
        vms.list_vms(filled, VmQuery(sort="memory", cursor=bad))
    assert reported.value.field == "cursor"


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("cpu", float("nan")),
        ("cpu", float("inf")),
        ("cpu", "0.5"),
        ("state_since", "yesterday"),
        ("state_since", "2026-01-31T00:00:00"),
        ("state_since", "0001-01-01T00:00:00+23:59"),
        ("state_since", 5),
        ("name", "nul\0"),
        ("name", 7),
    ],
)
def test_values_are_of_their_columns(filled, sort: str, value: object) -> None:
    with pytest.raises(InvalidInput) as reported:
        vms.list_vms(filled, VmQuery(sort=sort, cursor=cursor(sort, value, "vm_01")))
    assert reported.value.field == "cursor"


def test_a_cursor_of_another_order(filled) -> None:
    first = vms.list_vms(filled, VmQuery(limit=5))
    with pytest.raises(InvalidInput, match="cursor"):
        vms.list_vms(filled, VmQuery(limit=5, sort="-name", cursor=first.next))


def test_an_unknown_order_is_refused_with_those_that_there_are(filled) -> None:
    with pytest.raises(InvalidInput) as reported:
        vms.list_vms(filled, VmQuery(sort="password_hash"))
    assert reported.value.field == "sort"
    assert all(name in reported.value.rule_text(str) for name in vms.SORT_KEYS.columns)


def test_the_last_part_has_no_next(filled) -> None:
    assert vms.list_vms(filled, VmQuery(limit=COUNT)).next is None
    assert vms.list_vms(filled, VmQuery(limit=COUNT - 1)).next is not None
    nothing = vms.list_vms(filled, VmQuery(q="nobody"))
    assert (nothing.items, nothing.total, nothing.next) == ([], 0, None)
