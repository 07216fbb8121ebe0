"""The nouns of the API: shapes, versions, repeats, lists as tables, headers."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest
import sqlalchemy as sa

from app.core.access.privileges import Role
from app.core.hosts.records import HostDetail
from app.core.inventory.records import Overview
from app.core.records import Page
from app.core.vms.records import VmDetail, VmRecord
from app.db import models
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


def test_details(shared: Console) -> None:
    client, inventory = shared.client(Role.VIEWER), shared.inventory
    vm = client.get(f"/api/v1/vms/{inventory.vms[0]}")
    assert VmDetail.model_validate_json(vm.content).version == int(vm.headers["etag"].strip('"'))
    host = client.get(f"/api/v1/hosts/{inventory.hosts[0]}")
    assert HostDetail.model_validate_json(host.content).name == "kvm-00"
    Overview.model_validate_json(client.get("/api/v1/capacity").content)
    for path in (
        f"pools/{inventory.pool}",
        f"volumes/{inventory.volume}",
        f"networks/{inventory.network}",
        f"tasks/{inventory.task}",
    ):
        assert client.get(f"/api/v1/{path}").status_code == 200, path
    operator = shared.client(Role.OPERATOR)
    xml = operator.get(f"/api/v1/vms/{inventory.vms[0]}/xml")
    assert xml.headers["content-type"].startswith("application/xml")
    assert xml.text.startswith("<domain>")
    assert operator.get(f"/api/v1/vms/{inventory.vms[0]}/screen").status_code == 404


def test_search_and_tree(shared: Console) -> None:
    client = shared.client(Role.VIEWER)
    assert any(hit["name"] == "web-00-01" for hit in client.get("/api/v1/search?q=web-00-01").json()["items"])
    root = client.get("/api/v1/tree").json()["items"]
    assert [node["name"] for node in root] == ["Paris"]
    path = client.get(f"/api/v1/tree/{shared.inventory.hosts[0]}/path").json()["items"]
    assert [node["name"] for node in path] == ["Paris", "kvm-00"]


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
    assert [each["name"] for each in client.get(f"/api/v1/vms?q={name}").json()["items"]] == [name]
    assert client.get("/api/v1/vms?q=blue").json()["total"] == 0


def test_create_show_delete(console: Console) -> None:
    client = console.client()
    made = client.post("/api/v1/datacenters", json={"name": "Lyon"})
    assert made.status_code == 201
    location = made.headers["location"]
    assert client.get(location).json() == made.json()
    assert client.post("/api/v1/datacenters", json={"name": "lyon"}).status_code == 409
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404


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
    assert {each["problem"]["code"] for each in done["refused"]} == {"wrong_state"}
    assert client.get(answer.headers["location"]).json()["total"] == 1
    audit = console.client().get("/api/v1/audit?outcome=refused").json()["items"]
    assert {(each["action"], each["target"]["id"], each["code"]) for each in audit} == {
        ("vm.start", vm, "wrong_state") for vm in (console.inventory.vms[0], console.inventory.vms[2])
    }


def test_a_repeated_request_is_done_once(console: Console) -> None:
    client, url = console.client(), f"/api/v1/vms/{console.inventory.vms[1]}/actions/start"
    key = {"Idempotency-Key": "a-1"}
    first = client.post(url, json={}, headers=key)
    second = client.post(url, json={}, headers=key)
    assert (second.status_code, second.json(), second.headers["location"]) == (
        202,
        first.json(),
        first.headers["location"],
    )
    other = client.post(f"/api/v1/vms/{console.inventory.vms[3]}/actions/start", json={}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    of_another = console.client(Role.OPERATOR).post(url, json={}, headers=key)
    assert (of_another.status_code, of_another.json()["code"]) == (409, "busy")


def test_a_failed_request_may_be_repeated(console: Console) -> None:
    client, key = console.client(), {"Idempotency-Key": "b-1"}
    assert client.post("/api/v1/datacenters", json={"name": "Paris"}, headers=key).status_code == 409
    client.patch(f"/api/v1/datacenters/{console.inventory.datacenter}", json={"name": "Nice"})
    assert client.post("/api/v1/datacenters", json={"name": "Paris"}, headers=key).status_code == 201


@pytest.mark.parametrize("asked", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
def test_lists_as_tables(console: Console, asked: dict) -> None:
    with console.services.database.begin() as session:
        vm = session.get(models.Vm, console.inventory.vms[0])
        assert vm is not None
        vm.name = '=cmd|" /C calc"!A0'
        vm.tags = ["a", "b"]
    answer = console.client(Role.VIEWER).get("/api/v1/vms", **asked)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="vms.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 12
    hostile = next(row for row in rows if row["id"] == console.inventory.vms[0])
    assert hostile["name"] == '\'=cmd|" /C calc"!A0'
    assert hostile["tags"] == "a b"
    assert "usage.cpu_percent" in hostile


def test_a_table_of_one_part(shared: Console) -> None:
    answer = shared.client().get("/api/v1/vms?format=csv&limit=3")
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 4


@pytest.mark.parametrize(
    "noun",
    [
        "datacenters",
        "hosts",
        "vms",
        "pools",
        "volumes",
        "networks",
        "tasks",
        "events",
        "audit",
        "users",
        "credentials",
    ],
)
def test_every_list_can_be_had_both_ways(shared: Console, noun: str) -> None:
    client = shared.client()
    assert set(client.get(f"/api/v1/{noun}").json()) == {"items", "next", "total"}
    assert client.get(f"/api/v1/{noun}?format=csv").text.startswith("id,")


def test_tokens_are_shown_once(console: Console) -> None:
    client = console.browser(Role.VIEWER)
    made = client.post("/api/v1/tokens", json={"name": "script"}).json()
    assert made["token"].startswith("vigie_")
    listed = client.get("/api/v1/tokens")
    assert made["token"] not in listed.text
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert (
        console.client(None)
        .get("/api/v1/vms", headers={"Authorization": f"Bearer {made['token']}"})
        .status_code
        == 401
    )


def test_credentials_never_come_out(console: Console) -> None:
    client = console.client()
    made = client.post(
        "/api/v1/credentials", json={"name": "root", "kind": "ssh_password", "password": "s3cret-s3cret"}
    )
    assert made.status_code == 201
    shown = client.get(made.headers["location"])
    assert "s3cret" not in made.text + shown.text + client.get("/api/v1/audit").text


def test_headers(shared: Console) -> None:
    answer = shared.client().get("/api/v1/vms")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["server-timing"].startswith("app;dur=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_problems_have_headers_too(shared: Console) -> None:
    for answer in (
        shared.client().get("/api/v1/nothing"),
        shared.client().post("/api/v1/hosts", content=b"x" * 2_000_000),
    ):
        assert "content-security-policy" in answer.headers
        assert answer.headers["cache-control"] == "no-store"


def test_static_files(shared: Console) -> None:
    client = shared.client(None)
    named = client.get("/static/vendor/htmx.min.js?v=abc")
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/vendor/htmx.min.js").headers["cache-control"] == "no-cache"
    for path in (
        "/static/",
        "/static/../pyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static/%00",
        "/static/" + "x" * 5000,
    ):
        assert client.get(path).status_code == 404, path


def test_texts_in_the_askers_language(console: Console) -> None:
    url = f"/api/v1/vms/{console.inventory.vms[0]}/actions/start"
    english = console.client().post(url, json={}).json()
    french = console.client().post(url, json={}, headers={"Accept-Language": "fr"}).json()
    assert french["code"] == english["code"]
    assert french["hint"] != english["hint"]


def test_every_post_that_makes_or_changes_something_may_be_repeated(console: Console) -> None:
    client = console.client()
    host = f"/api/v1/hosts/{console.inventory.hosts[0]}"
    task = client.post(f"/api/v1/vms/{console.inventory.vms[1]}/actions/start").json()["id"]
    posts = {
        "/api/v1/users": {"name": "ana", "password": "long enough 1"},
        "/api/v1/credentials": {"name": "door", "kind": "ssh_password", "password": "S3cret-Word"},
        "/api/v1/datacenters": {"name": "Lyon"},
        f"{host}/reconnect": None,
        f"/api/v1/tasks/{task}/cancel": None,
    }
    for number, (url, body) in enumerate(posts.items()):
        key = {"Idempotency-Key": f"again-{number}"}
        first = client.post(url, json=body, headers=key)
        assert first.status_code in (200, 201, 202), url
        second = client.post(url, json=body, headers=key)
        assert (second.status_code, second.json()) == (first.status_code, first.json()), url


def test_a_repeated_token_is_not_made_twice_and_its_secret_is_not_kept(console: Console) -> None:
    client, key = console.browser(), {"Idempotency-Key": "token-1"}
    made = client.post("/api/v1/tokens", json={"name": "backup"}, headers=key).json()
    again = client.post("/api/v1/tokens", json={"name": "backup"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "token_made")
    assert made["id"] in again.json()["why"]
    named = [each for each in client.get("/api/v1/tokens").json()["items"] if each["name"] == "backup"]
    assert [each["id"] for each in named] == [made["id"]]
    with console.services.database.read() as session:
        kept = session.scalars(sa.select(models.IdempotencyKey)).all()
        assert made["token"] not in str([each.answer for each in kept])


def test_digests_of_requests_do_not_give_passwords_away(console: Console) -> None:
    body = b'{"name":"ana","password":"long enough 1"}'
    headers = {"Idempotency-Key": "user-1", "Content-Type": "application/json"}
    assert console.client().post("/api/v1/users", content=body, headers=headers).status_code == 201
    with console.services.database.read() as session:
        kept = session.scalars(sa.select(models.IdempotencyKey.request_sha256)).one()
    assert kept != hashlib.sha256(b"POST /api/v1/users\n" + body).hexdigest()


@pytest.mark.parametrize("url", ["/api/v1/tokens", "/api/v1/session/logins"])
def test_short_lists_are_paged_as_well(console: Console, url: str) -> None:
    client = console.browser()
    console.browser()  # a second login
    for name in ("one", "two"):
        client.post("/api/v1/tokens", json={"name": name})
    first = client.get(f"{url}?limit=1").json()
    assert (len(first["items"]), first["total"] >= 2) == (1, True)
    second = client.get(url, params={"limit": 1, "cursor": first["next"]}).json()
    assert second["items"][0]["id"] != first["items"][0]["id"]
    assert client.get(f"{url}?sort=nonsense").status_code == 422


def test_filters_by_text_know_capitals_of_every_alphabet(console: Console) -> None:
    inventory = console.inventory
    with console.services.database.begin() as session:
        session.get_one(models.Pool, inventory.pool).name = "Étage"
        session.get_one(models.Network, inventory.network).name = "RÉSEAU"
        session.get_one(models.Volume, inventory.volume).name = "Été.qcow2"
        session.get_one(models.Task, inventory.task).target_name = "Ωmega"
    client = console.client()
    for noun, text in (("pools", "étage"), ("networks", "Réseau"), ("volumes", "été"), ("tasks", "ωM")):
        assert client.get(f"/api/v1/{noun}", params={"q": text}).json()["total"] == 1, noun
    found = client.get("/api/v1/search", params={"q": "étage"}).json()["items"]
    assert [hit["kind"] for hit in found] == ["pool"]


def test_tasks_are_found_by_their_title_in_the_language_of_the_asker(console: Console) -> None:
    client = console.client()
    assert client.get("/api/v1/tasks?q=start").json()["total"] == 1
    french = {"Accept-Language": "fr"}
    assert client.get("/api/v1/tasks?q=start", headers=french).json()["total"] == 0
    assert client.get("/api/v1/tasks?q=démarrer", headers=french).json()["total"] == 1
