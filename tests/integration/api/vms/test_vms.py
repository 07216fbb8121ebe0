"""VMs in the API: lists and filters, edits, actions as tasks, bulk."""

from __future__ import annotations

from app.core.access.privileges import Role
from app.core.records import Page
from app.core.vms.records import VmRecord
from tests.integration.api.conftest import Console


def test_list_pages_through_everything_once(shared: Console) -> None:
    client = shared.client(Role.VIEWER)
    seen: list[str] = []
    url = "/api/v1/vms?limit=5&sort=-name"
    while url:
        answer = client.get(url)
        page = Page[VmRecord].model_validate_json(answer.content)
        assert page.total == 12
        seen += [vm.name for vm in page.items]
        url = f"/api/v1/vms?limit=5&sort=-name&cursor={page.next}" if page.next else ""
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 12


def test_filters(shared: Console) -> None:
    client = shared.client(Role.VIEWER)
    running = client.get("/api/v1/vms?state=running&state=paused").json()
    assert {vm["state"] for vm in running["items"]} == {"running", "paused"}
    silent = client.get(f"/api/v1/vms?host={shared.inventory.hosts[1]}").json()["items"]
    assert len(silent) == 6
    assert all(vm["stale"] and vm["observed_at"] for vm in silent)


def test_edit_with_etag(console: Console) -> None:
    client, vm = console.client(), f"/api/v1/vms/{console.inventory.vms[0]}"
    tag = client.get(vm).headers["etag"]
    first = client.patch(vm, json={"notes": "mine", "tags": ["blue"]}, headers={"If-Match": tag})
    assert (first.status_code, first.json()["notes"], first.json()["tags"]) == (200, "mine", ["blue"])
    late = client.patch(vm, json={"notes": "theirs"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "edit_conflict")
    assert (
        client.patch(vm, json={"notes": "last"}, headers={"If-Match": first.headers["etag"]}).status_code
        == 200
    )
    assert client.patch(vm, json={"notes": "anyway"}).json()["tags"] == ["blue"]


def test_a_vm_is_found_by_name_after_a_tag_of_that_name_is_gone(console: Console) -> None:
    client, vm = console.client(), f"/api/v1/vms/{console.inventory.vms[0]}"
    name = client.get(vm).json()["name"]
    client.patch(vm, json={"tags": [name, "blue"]})
    client.patch(vm, json={"tags": []})
    assert [item["name"] for item in client.get(f"/api/v1/vms?q={name}").json()["items"]] == [name]
    assert client.get("/api/v1/vms?q=blue").json()["total"] == 0


def test_an_action_is_a_task(console: Console) -> None:
    client, stopped = console.client(Role.OPERATOR), console.inventory.vms[1]
    answer = client.post(f"/api/v1/vms/{stopped}/actions/start")
    assert answer.status_code == 202
    task = answer.json()
    assert answer.headers["location"] == f"/api/v1/tasks/{task['id']}"
    assert client.get(answer.headers["location"]).json()["state"] == "queued"
    assert client.get(answer.headers["location"] + "?wait=1").json()["state"] == "queued"
    again = client.post(f"/api/v1/vms/{stopped}/actions/start", json={})
    assert (again.status_code, again.json()["code"], again.json()["task"]) == (409, "busy", task["id"])
    assert again.json()["why"]


def test_refusals_say_why(console: Console) -> None:
    client, inventory = console.client(), console.inventory
    running = client.post(f"/api/v1/vms/{inventory.vms[0]}/actions/start", json={})
    assert (running.status_code, running.json()["code"]) == (409, "wrong_state")
    assert "Running" in running.json()["why"]
    silent = client.post(f"/api/v1/vms/{inventory.vms[7]}/actions/start", json={})
    assert (silent.status_code, silent.json()["code"]) == (409, "host_not_connected")
    assert client.post(f"/api/v1/vms/{inventory.vms[0]}/actions/explode", json={}).status_code == 404


def test_bulk(console: Console) -> None:
    client = console.client(Role.OPERATOR)
    answer = client.post("/api/v1/vms/actions", json={"verb": "start", "ids": console.inventory.vms[:3]})
    assert answer.status_code == 202
    done = answer.json()
    assert len(done["tasks"]) == 1
    assert {item["problem"]["code"] for item in done["refused"]} == {"wrong_state"}
    assert client.get(answer.headers["location"]).json()["total"] == 1
    audit = console.client().get("/api/v1/audit?outcome=refused").json()["items"]
    assert {(item["action"], item["target"]["id"], item["code"]) for item in audit} == {
        ("vm.start", vm, "wrong_state") for vm in (console.inventory.vms[0], console.inventory.vms[2])
    }
