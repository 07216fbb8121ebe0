"""Hostile and broken requests: each gets a clean answer, and the next request works."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.integration.api.conftest import Console
from tests.integration.api.routes import operations

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _still_works(shared: Console) -> Iterator[None]:
    yield
    assert shared.client().get("/api/v1/vms?limit=1").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": 1e999}',
        b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": {"a": ' * 40 + b"1" + b"}}" * 40,
        b'{"name": null}',
        b'{"name": 7}',
        b'{"name": ["Lyon"]}',
        b'{"name": ""}',
        b'{"name": "   "}',
        b'{"name": "a\\nb"}',
        b'{"name": "' + b"x" * 64 + b'"}',
        b'{"name": "Lyon", "surprise": 1}',
        b'{"name": "Lyon", "__class__": "x"}',
    ],
)
def test_bodies(shared: Console, body: bytes) -> None:
    answer = shared.client().post("/api/v1/datacenters", content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"].startswith("urn:vigie:problem:")
    assert problem["status"] == 422
    assert problem["errors"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "nonsense"]
)
def test_only_json_is_read(shared: Console, kind: str) -> None:
    answer = shared.client().post(
        "/api/v1/datacenters", content=b'{"name": "Lyon"}', headers={"Content-Type": kind}
    )
    assert answer.status_code == 422


def test_secrets_are_not_echoed(shared: Console) -> None:
    secret = "hunter2-hunter2"
    for body in (
        {"name": "x", "kind": "nonsense", "password": secret},
        {"name": "x", "kind": "tls", secret: 1, "private_key": [secret]},
    ):
        text = shared.client().post("/api/v1/credentials", json=body).text
        assert "hunter2-hunter2" not in text.replace(f'"field":"{secret}"', "")
    too_short = shared.client().post("/api/v1/users", json={"name": "bob", "password": "hunter2"})
    assert too_short.status_code == 422
    assert "hunter2" not in too_short.text
    assert too_short.json()["errors"][0]["field"] == "password"


def test_many_errors_are_cut(shared: Console) -> None:
    body = {"verb": "start", "ids": ["not an id"] * 4000}
    answer = shared.client().post("/api/v1/vms/actions", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=NaN",
        "limit=1e3",
        "limit=" + "9" * 5000,
        "cursor=nonsense",
        "cursor=%00",
        "sort=password_hash",
        "sort=name;drop",
        "q=%00",
        "q=" + "x" * 201,
        "state=dead",
        "host=nonsense",
        "surprise=1",
        "limit=1&surprise=",
        "tag=%00",
        "stale=perhaps",
    ],
)
def test_queries(shared: Console, query: str) -> None:
    answer = shared.client().get(f"/api/v1/vms?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    "query", ["q=%25_%5C", "q=%ff%fe", "q=%27%22%3B--", "q=%F0%9F%98%80", "name=%3Cscript%3E"]
)
def test_odd_text_finds_nothing_quietly(shared: Console, query: str) -> None:
    answer = shared.client().get(f"/api/v1/vms?{query}")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    "id",
    [
        "nonsense",
        "vm_aaaaaaaaaaaaaaaa",
        "vm_AAAAAAAAAAAAAAAA",
        "%00",
        "vm_%00aaaaaaaaaaaaaaa",
        "..%2f..",
        "x" * 3000,
    ],
)
def test_ids_that_name_nothing(shared: Console, id: str) -> None:
    answer = shared.client().get(f"/api/v1/vms/{id}")
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_unknown_addresses_and_methods(shared: Console) -> None:
    client = shared.client()
    missing = client.get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = client.put("/api/v1/vms")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]
    assert client.request("BREW", "/api/v1/vms").status_code == 405


def test_announced_huge_body_is_refused_at_once(shared: Console) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = shared.client().post("/api/v1/datacenters", content=b"x" * 2_000_000, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_chunked_huge_body_is_counted(shared: Console) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    answer = shared.client().post("/api/v1/datacenters", content=chunks(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_lying_content_length(shared: Console) -> None:
    for length in ("-1", "abc", "9" * 30, "1e9"):
        answer = shared.client().post(
            "/api/v1/datacenters", content=b"{}", headers={**JSON, "Content-Length": length}
        )
        assert answer.status_code in (413, 422), length


def test_deep_and_wide_json_costs_little(shared: Console) -> None:
    wide = json.dumps({"name": [[1, 2, 3]] * 60_000}).encode()
    client = shared.client()
    started = time.process_time()
    client.post("/api/v1/datacenters", content=wide, headers=JSON)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("tag", ["abc", 'W/"1"', "-1", '"99999999999999999999"', "1e3", '"0"'])
def test_if_match_that_is_no_version(shared: Console, tag: str) -> None:
    assert renamed(shared, tag) == 412


def test_if_match_without_its_closing_quote_is_a_version_all_the_same(console: Console) -> None:
    assert renamed(console, '"1') == 200


def renamed(console: Console, tag: str) -> int:
    """How a change of a datacenter with this If-Match is answered."""
    path = f"/api/v1/datacenters/{console.inventory.datacenter}"
    return console.client().patch(path, json={"name": "Paris"}, headers={"If-Match": tag}).status_code


@pytest.mark.parametrize("key", ["", "x" * 201, "with space", "\x7f"])
def test_idempotency_keys(shared: Console, key: str) -> None:
    answer = shared.client().post(
        "/api/v1/datacenters", json={"name": "Never"}, headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("last", ["-1", "abc", "9" * 40])
def test_last_event_id(shared: Console, last: str) -> None:
    answer = shared.client().get("/api/v1/events/stream?seconds=1", headers={"Last-Event-ID": last})
    assert answer.status_code == 422


def _wrong(value: object) -> list[object]:
    """What another type of JSON says about the same."""
    if isinstance(value, bool):
        return [1, "true", "on"]
    if isinstance(value, int):
        return [True, str(value), float(value)]
    if isinstance(value, str):
        return [7, False]
    return []


def _spoilt(body: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """The body with one value of another type, at any depth, and the name of that field."""
    for name, value in body.items():
        for wrong in _wrong(value):
            yield name, {**body, name: wrong}
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", {**body, name: spoilt}) for inner, spoilt in _spoilt(value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from (
                (f"{name}.0.{inner}", {**body, name: [spoilt]}) for inner, spoilt in _spoilt(value[0])
            )


def test_values_of_another_json_type_are_refused_by_their_field(shared: Console) -> None:
    client = shared.client()
    tried = 0
    for operation in operations(shared.app):
        for field, body in _spoilt(operation.body or {}):
            answer = client.request(operation.method, operation.url, json=body)
            assert answer.status_code == 422, f"{operation} {body}: {answer.status_code}"
            assert field.partition(".")[0] in {
                item["field"].partition(".")[0] for item in answer.json()["errors"]
            }
            tried += 1
    assert tried > 200


@pytest.mark.parametrize("name", ["a\u202eb", "a\u200bb", "a\x85b", "a\u2028b", "\ufeffa"])
def test_a_name_with_what_cannot_be_seen_is_refused(shared: Console, name: str) -> None:
    answer = shared.client().post("/api/v1/datacenters", json={"name": name})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")
