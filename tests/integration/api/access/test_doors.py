"""Who may come in: every operation without credentials, with a viewer's token, and from a foreign page."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from app.access.sign_in import login_limits
from app.access.sign_in.sign_in import Browser, sign_in
from app.core.access.privileges import Role
from app.services.inventory.readiness import Readiness
from tests.integration.api.conftest import BASE_URL, PASSWORD, Console
from tests.integration.api.routes import Operation, operations

# What a person may do to their own login and tokens needs no privilege; a look at a host before adding does.
OWN = {
    "/api/v1/session",
    "/api/v1/session/logins/{id}",
    "/api/v1/session/password",
    "/api/v1/tokens",
    "/api/v1/tokens/{id}",
}


def call(client: TestClient, operation: Operation, **headers: str):
    json = {"json": operation.body} if operation.body is not None else {}
    return client.request(operation.method, operation.url, headers=headers, **json)


def test_nobody_gets_nothing(shared: Console) -> None:
    client = shared.client(None)
    for operation in operations(shared.app):
        answer = call(client, operation)
        assert answer.status_code == 401, f"{operation}: {answer.status_code}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "not_signed_in"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer vigie_" + "x" * 43},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dmlnaWU6dmlnaWU="},
        {"Authorization": "Bearer \xff\xfe"},
        {"Cookie": "vigie_session=" + "x" * 43},
        {"Cookie": "vigie_session=%00"},
    ],
)
def test_bad_credentials_are_nobody(shared: Console, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert shared.client(None).get("/api/v1/vms", headers=raw).status_code == 401


def test_credentials_are_asked_before_the_request_is_looked_at(shared: Console) -> None:
    client = shared.client(None)
    assert client.post("/api/v1/hosts", content=b"{not json").status_code == 401
    assert client.get("/api/v1/vms?limit=nonsense&unknown=1").status_code == 401


def test_a_viewer_changes_nothing(console: Console) -> None:
    client = console.client(Role.VIEWER)
    tried = [
        item
        for item in operations(console.app, console.inventory)
        if item.method != "GET" and item.path not in OWN
    ]
    assert len(tried) >= 18
    for operation in tried:
        answer = call(client, operation)
        assert answer.status_code == 403, f"{operation}: {answer.status_code} {answer.text}"
        assert answer.json()["code"] == "not_allowed"


def test_refused_changes_are_in_the_audit(console: Console) -> None:
    vm = console.inventory.vms[0]
    console.client(Role.VIEWER).post(f"/api/v1/vms/{vm}/actions/start", json={})
    entry = console.client().get("/api/v1/audit?outcome=refused").json()["items"][0]
    assert (entry["actor"], entry["action"], entry["code"], entry["target"]["id"]) == (
        "viewer",
        "vm.start",
        "not_allowed",
        vm,
    )


READS_OF_OPERATORS = {
    "/xml": "vm.view-xml",
    "/definition": "vm.view-xml",
    "/history/0": "vm.view-xml",
    "/history/0/diff": "vm.view-xml",
    "/screenshot": "vm.console",
}


def test_a_viewer_reads_no_whole_definition_and_no_screen_and_the_audit_says_who_tried(
    console: Console,
) -> None:
    vm = console.inventory.vms[0]
    viewer = console.client(Role.VIEWER)
    for path, privilege in READS_OF_OPERATORS.items():
        refused = viewer.get(f"/api/v1/vms/{vm}{path}")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed"), path
        assert privilege in refused.json()["why"]
        assert "<name>" not in refused.text
    for path in ("/xml", "/screenshot", "/screenshot.png", "/history?from=0"):
        page = console.browser(Role.VIEWER).get(f"/vms/{vm}{path}")
        assert page.status_code == 403, path
        assert "domain" not in page.text
    page = console.browser(Role.VIEWER).get(f"/vms/{vm}").text
    assert "/xml" not in page
    assert "/screenshot" not in page
    entries = console.client().get("/api/v1/audit?outcome=refused").json()["items"]
    assert {(entry["actor"], entry["target"]["id"], entry["code"]) for entry in entries} == {
        ("viewer", vm, "not_allowed")
    }
    assert {entry["action"] for entry in entries} == {
        "vm.xml",
        "vm.definition",
        "vm.version",
        "vm.diff",
        "vm.screenshot",
        "vm.history",
    }
    assert len(entries) == 6  # screens are asked for again and again by open pages: once a minute is told
    operator = console.client(Role.OPERATOR)
    for path in READS_OF_OPERATORS:
        assert operator.get(f"/api/v1/vms/{vm}{path}").status_code in (200, 404), path
    assert operator.get(f"/api/v1/vms/{vm}/xml").status_code == 200


def test_foreign_pages_change_nothing(console: Console) -> None:
    browser = console.browser()
    foreign = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "", "Origin": "http://localhost"},
    )
    for operation in operations(console.app):
        if operation.method == "GET":
            continue
        for headers in foreign:
            answer = call(browser, operation, **headers)
            assert answer.status_code == 403, f"{operation} {headers}: {answer.status_code}"
            assert answer.json()["code"] == "cross_origin"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost"}, 201),
        ({"Referer": "http://localhost/datacenters"}, 201),
        ({"Origin": "HTTP://LOCALHOST"}, 201),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Referer": "http://evil.example/http://localhost/"}, 403),
        ({"Origin": "http://[::1"}, 403),
    ],
)
def test_old_browsers_are_judged_by_origin(console: Console, headers: dict[str, str], status: int) -> None:
    browser = console.browser()
    del browser.headers["Sec-Fetch-Site"]
    assert browser.post("/api/v1/datacenters", json={"name": "Lyon"}, headers=headers).status_code == status


def test_tokens_need_no_origin(console: Console) -> None:
    answer = console.client().post(
        "/api/v1/datacenters", json={"name": "Lyon"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 201


def test_a_token_wins_over_a_cookie(console: Console) -> None:
    browser = console.browser(Role.ADMINISTRATOR)
    whoami = browser.get(
        "/api/v1/session", headers={"Authorization": f"Bearer {console.tokens[Role.VIEWER]}"}
    ).json()
    assert (whoami["name"], whoami["via"]) == ("viewer", "api")


def test_signing_out_ends_the_session(console: Console) -> None:
    browser = console.browser()
    assert browser.get("/api/v1/session").json()["via"] == "page"
    ended = browser.delete("/api/v1/session")
    assert ended.status_code == 204
    assert 'vigie_session=""' in ended.headers["set-cookie"]
    browser.cookies.clear()
    signed = sign_in(console.services, "viewer", PASSWORD, Browser(None))
    assert (
        TestClient(console.app, BASE_URL, cookies={"vigie_session": signed.secret})
        .get("/api/v1/session")
        .status_code
        == 200
    )


def test_open_doors(shared: Console) -> None:
    client = shared.client(None)
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/api/v1/openapi.json").json()["openapi"] == "3.1.0"


def test_not_ready_while_the_engine_does_not_run(console: Console) -> None:
    console.app.state.readiness = Readiness(console.services, lambda: {"running": False})
    answer = console.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_running")
    assert answer.headers["retry-after"]


def test_metrics_for_a_viewers_token(shared: Console) -> None:
    client = shared.client(Role.VIEWER)
    client.get("/metrics")  # a request is counted once it is answered
    text = client.get("/metrics").text
    assert 'vigie_vms{state="running"} 2.0' in text
    assert 'vigie_hosts{state="not_answering"} 1.0' in text
    assert 'vigie_engine_hosts{state="connected"} 2.0' in text
    assert 'vigie_request_seconds_count{handler="system.metrics",method="GET",status="200"}' in text


def test_the_console_keeps_a_browser_known_beyond_its_session(console: Console) -> None:
    browser = console.client(None)
    form = {"name": "viewer", "password": PASSWORD, "next": "/"}
    own_pages = {"Sec-Fetch-Site": "same-origin"}
    first = browser.post("/login", data=form, headers=own_pages)
    cookies = {line.split("=", 1)[0]: line for line in first.headers.get_list("set-cookie")}
    (known,) = (line for name, line in cookies.items() if name.endswith("vigie_device"))
    assert all(word in known for word in ("HttpOnly", "SameSite=lax", "Max-Age=15552000"))
    old = {name: value for name, value in browser.cookies.items() if name.endswith("vigie_session")}
    for _ in range(console.services.settings.login_attempts):
        with login_limits.limited(
            console.services, login_limits.guesser_at("testclient"), "testclient"
        ) as failed:
            failed()
    stranger = console.client(None)
    assert stranger.post("/login", data=form, headers=own_pages).status_code == 429
    assert browser.post("/login", data=form, headers=own_pages).status_code == 303
    assert browser.get("/api/v1/session").status_code == 200
    earlier = console.client(None)
    earlier.cookies.update(old)
    assert earlier.get("/api/v1/session").json()["code"] == "session_ended"


def test_a_token_makes_no_other_token(console: Console) -> None:
    answer = console.client().post("/api/v1/tokens", json={"name": "another"})
    assert (answer.status_code, answer.json()["code"]) == (403, "token_from_token")
    assert console.browser().post("/api/v1/tokens", json={"name": "first"}).status_code == 201
