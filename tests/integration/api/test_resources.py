"""What holds for all nouns of the API: details, repeated requests, lists as tables, headers, languages."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest
import sqlalchemy as sa

from app.core.access.privileges import Role
from app.core.hosts.records import HostDetail
from app.core.inventory.records import Dashboard
from app.core.vms.records import VmDetail
from app.db import models
from tests.integration.api.conftest import Console


def test_details(shared: Console) -> None:
    client, inventory = shared.client(Role.VIEWER), shared.inventory
    vm = client.get(f"/api/v1/vms/{inventory.vms[0]}")
    assert VmDetail.model_validate_json(vm.content).version == int(vm.headers["etag"].strip('"'))
    host = client.get(f"/api/v1/hosts/{inventory.hosts[0]}")
    assert HostDetail.model_validate_json(host.content).name == "kvm-00"
    Dashboard.model_validate_json(client.get("/api/v1/capacity").content)
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
    assert operator.get(f"/api/v1/vms/{inventory.vms[0]}/screenshot").status_code == 404


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


@pytest.mark.parametrize("payload", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}])
def test_lists_as_tables(console: Console, payload: dict) -> None:
    with console.services.database.begin() as session:
        vm = session.get(models.Vm, console.inventory.vms[0])
        assert vm is not None
        vm.name = '=cmd|" /C calc"!A0'
        vm.tags = ["a", "b"]
    answer = console.client(Role.VIEWER).get("/api/v1/vms", **payload)
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
        f"{host}/actions/reconnect": None,
        f"/api/v1/tasks/{task}/actions/cancel": None,
    }
    for number, (url, body) in enumerate(posts.items()):
        key = {"Idempotency-Key": f"again-{number}"}
        first = client.post(url, json=body, headers=key)
        assert first.status_code in (200, 201, 202), url
        second = client.post(url, json=body, headers=key)
        assert (second.status_code, second.json()) == (first.status_code, first.json()), url


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
