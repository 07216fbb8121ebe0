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
    datacenter = datacenters.create_datacenter(one, spec("Paris"))
    renamed = datacenters.update_datacenter(one, datacenter.id, spec("Lyon"), datacenter.version)
    assert (renamed.id, renamed.name, renamed.version) == (datacenter.id, "Lyon", datacenter.version + 1)
    with pytest.raises(EditConflict):
        datacenters.update_datacenter(one, datacenter.id, spec("Nice"), datacenter.version)
    datacenters.delete_datacenter(one, datacenter.id)
    one.session.flush()
    with pytest.raises(NotFound):
        datacenters.show_datacenter(one, datacenter.id)


def test_one_with_hosts_stays(ctx) -> None:
    one = ctx()
    datacenter = datacenters.create_datacenter(one, spec("Paris"))
    row = host("")
    row.credential_id, row.datacenter_id = None, datacenter.id
    one.session.add(row)
    one.session.flush()
    with pytest.raises(Conflict) as reported:
        datacenters.delete_datacenter(one, datacenter.id)
    assert reported.value.code == "not_empty"
    assert "1" in str(reported.value.texts().why)


def test_names_are_taken_in_any_case(ctx) -> None:
    one = ctx()
    datacenters.create_datacenter(one, spec("Paris"))
    with pytest.raises(Conflict) as reported:
        datacenters.create_datacenter(one, spec("PARIS"))
    assert reported.value.code == "name_taken"


def test_search_has_no_wildcards(ctx) -> None:
    one = ctx()
    for name in ("Paris", "100% Lyon", "under_score"):
        datacenters.create_datacenter(one, spec(name))

    def found(text: str) -> list[str]:
        return [item.name for item in datacenters.list_datacenters(one, ListQuery(q=text)).items]

    assert found("PAR") == ["Paris"]
    assert found("%") == ["100% Lyon"]
    assert found("_") == ["under_score"]
    assert found("nul\0") == []


def test_viewers_see_and_do_not_change(ctx) -> None:
    datacenter = datacenters.create_datacenter(ctx(), spec("Paris"))
    one = ctx("viewer")
    assert [item.id for item in datacenters.list_datacenters(one, ListQuery()).items] == [datacenter.id]
    with pytest.raises(NotAllowed):
        datacenters.create_datacenter(one, spec("Lyon"))
    with pytest.raises(NotAllowed):
        datacenters.update_datacenter(one, datacenter.id, spec("Lyon"))
    with pytest.raises(NotAllowed):
        datacenters.delete_datacenter(one, datacenter.id)
