"""Datacenters, on both databases."""

import pytest

from app.core.errors import Conflict, EditConflict, NotAllowed, NotFound
from app.core.inventory.specs import DatacenterSpec
from app.core.specs import ListQuery
from app.services.inventory import datacenters
from tests.unit.services.hosts.test_credentials import host


def spec(name: str) -> DatacenterSpec:
    return DatacenterSpec(name=name)


def test_make_rename_and_remove(ctx) -> None:
    one = ctx()
    made = datacenters.create_datacenter(one, spec("Paris"))
    renamed = datacenters.update_datacenter(one, made.id, spec("Lyon"), made.version)
    assert (renamed.id, renamed.name, renamed.version) == (made.id, "Lyon", made.version + 1)
    with pytest.raises(EditConflict):
        datacenters.update_datacenter(one, made.id, spec("Nice"), made.version)
    datacenters.delete_datacenter(one, made.id)
    one.session.flush()
    with pytest.raises(NotFound):
        datacenters.show_datacenter(one, made.id)


def test_one_with_hosts_stays(ctx) -> None:
    one = ctx()
    made = datacenters.create_datacenter(one, spec("Paris"))
    row = host("")
    row.credential_id, row.datacenter_id = None, made.id
    one.session.add(row)
    one.session.flush()
    with pytest.raises(Conflict) as told:
        datacenters.delete_datacenter(one, made.id)
    assert told.value.code == "not_empty"
    assert "1" in str(told.value.texts().why)


def test_names_are_taken_in_any_case(ctx) -> None:
    one = ctx()
    datacenters.create_datacenter(one, spec("Paris"))
    with pytest.raises(Conflict) as told:
        datacenters.create_datacenter(one, spec("PARIS"))
    assert told.value.code == "name_taken"


def test_search_has_no_wildcards(ctx) -> None:
    one = ctx()
    for name in ("Paris", "100% Lyon", "under_score"):
        datacenters.create_datacenter(one, spec(name))

    def found(text: str) -> list[str]:
        return [each.name for each in datacenters.list_datacenters(one, ListQuery(q=text)).items]

    assert found("PAR") == ["Paris"]
    assert found("%") == ["100% Lyon"]
    assert found("_") == ["under_score"]
    assert found("nul\0") == []


def test_viewers_see_and_do_not_change(ctx) -> None:
    made = datacenters.create_datacenter(ctx(), spec("Paris"))
    one = ctx("viewer")
    assert [each.id for each in datacenters.list_datacenters(one, ListQuery()).items] == [made.id]
    with pytest.raises(NotAllowed):
        datacenters.create_datacenter(one, spec("Lyon"))
    with pytest.raises(NotAllowed):
        datacenters.update_datacenter(one, made.id, spec("Lyon"))
    with pytest.raises(NotAllowed):
        datacenters.delete_datacenter(one, made.id)
