"""By which names the server may be called, and how its cookies are marked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.config import Settings, SettingsError, load_settings
from app.core.privileges import Role
from app.db.session import Database
from app.services.context import Services
from app.services.notices import Hub
from app.services.vault import Vault
from app.web.consoles.door import PATH
from tests.integration.api.conftest import PASSWORD, Console, made_console

SIGN_IN = {"name": "viewer", "password": PASSWORD}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def published(empty_sqlite: Path, tmp_path: Path) -> Iterator[Console]:
    """A console with a public URL, and another name beside it."""
    (tmp_path / "vigie.db").write_bytes(empty_sqlite.read_bytes())
    settings = Settings(
        data_dir=tmp_path,
        public_url="https://vigie.example.org",
        allowed_hosts="console.lan, *.intern.example",
    )
    database = Database(settings.database)
    with made_console(Services(settings, database, Hub(), Vault(settings.key_path))) as console:
        yield console
    database.close()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "",
        "a b",
        "127.0.0.1@evil.example",
        "[::1",
        "x" * 300,
    ],
)
def test_a_request_for_a_foreign_host_is_refused(shared: Console, host: str) -> None:
    answer = shared.client().get("/api/v1/vms", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "host_unknown")
    assert "VIGIE_ALLOWED_HOSTS" in answer.json()["why"]
    page = shared.browser().get("/", headers={"Host": host})
    assert page.status_code == 421
    assert "web-00-00" not in page.text


def test_two_host_headers_are_refused(shared: Console) -> None:
    answer = shared.client().get("/api/v1/vms", headers=[("Host", "localhost"), ("Host", "evil.example")])
    assert answer.status_code == 421


def test_a_console_for_a_foreign_host_is_refused(shared: Console) -> None:
    client = shared.client()
    with (
        pytest.raises(Exception) as refused,
        client.websocket_connect(PATH, headers={"Host": "evil.example"}),
    ):
        pass
    assert refused.value.status_code == 421  # type: ignore[attr-defined]


@pytest.mark.parametrize("host", ["localhost:8600", "LOCALHOST", "127.0.0.1:1", "127.9.9.9", "[::1]:8600"])
def test_the_loopback_always_counts(shared: Console, host: str) -> None:
    assert shared.client().get("/api/v1/session", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/js/vigie.js"])
def test_probes_and_files_may_be_called_by_any_name(shared: Console, path: str) -> None:
    assert shared.client(None).get(path, headers={"Host": "10.0.0.7:8600"}).status_code == 200


def test_the_address_that_a_connection_was_made_to_counts(shared: Console) -> None:
    client = TestClient(shared.app, "http://192.0.2.5:8600")
    assert client.get("/login").status_code == 200
    assert client.get("/login", headers={"Host": "192.0.2.6:8600"}).status_code == 421


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("vigie.example.org", 200),
        ("VIGIE.example.org.:443", 200),
        ("console.lan", 200),
        ("a.intern.example", 200),
        ("intern.example", 421),
        ("aintern.example", 421),
        ("www.vigie.example.org", 421),
    ],
)
def test_names_of_the_settings_count(published: Console, host: str, status: int) -> None:
    assert published.client().get("/api/v1/session", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("value", ["http://a.example", "a.example:80", "*", "a/b", "a..b/"])
def test_a_wrong_name_in_the_settings_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match="VIGIE_ALLOWED_HOSTS"):
        load_settings(allowed_hosts=value)


def test_cookies_over_https_cannot_be_planted_by_other_sites(published: Console) -> None:
    client = TestClient(
        published.app, "https://vigie.example.org", headers=SAME_ORIGIN, follow_redirects=False
    )
    answer = client.post("/login", data=SIGN_IN)
    assert answer.status_code == 303
    said = answer.headers["set-cookie"]
    assert said.startswith("__Host-vigie_session=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(said.split("; "))
    assert "domain" not in said.lower()
    assert client.get("/api/v1/session").json()["name"] == "viewer"
    chosen = client.post("/language", data={"language": "fr", "next": "/"})
    assert chosen.headers["set-cookie"].startswith("__Host-vigie_language=fr")
    secret = client.cookies["__Host-vigie_session"]
    planted = TestClient(published.app, "https://vigie.example.org", cookies={"vigie_session": secret})
    assert planted.get("/api/v1/session").status_code == 401


def test_cookies_on_the_loopback_need_no_https(console: Console) -> None:
    client = TestClient(console.app, "http://127.0.0.1:8600", headers=SAME_ORIGIN, follow_redirects=False)
    said = client.post("/login", data=SIGN_IN).headers["set-cookie"]
    assert said.startswith("vigie_session=")
    assert "Secure" not in said


def test_nobody_signs_in_over_plain_http_from_another_machine(console: Console) -> None:
    client = TestClient(console.app, "http://192.0.2.5:8600", headers=SAME_ORIGIN, follow_redirects=False)
    assert "Signing in needs HTTPS." in client.get("/login").text
    answer = client.post("/login", data=SIGN_IN)
    assert answer.status_code == 403
    assert "Signing in needs HTTPS." in answer.text
    assert "set-cookie" not in answer.headers
    assert console.browser(Role.VIEWER).get("/api/v1/session").status_code == 200
