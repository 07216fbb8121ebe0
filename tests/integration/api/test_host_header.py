"""By which names the server may be called, and how its cookies are marked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings, SettingsError, load_settings
from app.core.access.privileges import Role
from app.core.notices import Hub
from app.db.session import Database
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
    message = answer.headers["set-cookie"]
    assert message.startswith("__Host-vigie_session=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(message.split("; "))
    assert "domain" not in message.lower()
    assert client.get("/api/v1/session").json()["name"] == "viewer"
    chosen = client.post("/language", data={"language": "fr", "next": "/"})
    assert chosen.headers["set-cookie"].startswith("__Host-vigie_language=fr")
    secret = client.cookies["__Host-vigie_session"]
    planted = TestClient(published.app, "https://vigie.example.org", cookies={"vigie_session": secret})
    assert planted.get("/api/v1/session").status_code == 401


def test_cookies_on_the_loopback_need_no_https(console: Console) -> None:
    client = TestClient(console.app, "http://127.0.0.1:8600", headers=SAME_ORIGIN, follow_redirects=False)
    message = client.post("/login", data=SIGN_IN).headers["set-cookie"]
    assert message.startswith("vigie_session=")
    assert "Secure" not in message


def test_nobody_signs_in_over_plain_http_from_another_machine(console: Console) -> None:
    client = TestClient(console.app, "http://192.0.2.5:8600", headers=SAME_ORIGIN, follow_redirects=False)
    assert "Signing in needs HTTPS." in client.get("/login").text
    answer = client.post("/login", data=SIGN_IN)
    assert answer.status_code == 403
    assert "Signing in needs HTTPS." in answer.text
    assert "set-cookie" not in answer.headers
    assert console.browser(Role.VIEWER).get("/api/v1/session").status_code == 200


SECURE, PLAIN, REFUSED = "__Host-vigie_session=", "vigie_session=", None


@pytest.mark.parametrize(
    ("base", "caller", "session"),
    [
        pytest.param("http://192.0.2.5:8600", "192.0.2.9", REFUSED, id="the very address in clear"),
        pytest.param("http://vigie.example.org", "192.0.2.9", REFUSED, id="the public name in clear"),
        pytest.param("http://vigie.example.org", "127.0.0.1", SECURE, id="a proxy on this machine"),
        pytest.param("http://vigie.example.org", "::ffff:127.0.0.1", SECURE, id="the same by IPv6"),
        pytest.param("http://127.0.0.1:8600", "127.0.0.1", PLAIN, id="a browser on this machine"),
        pytest.param("https://vigie.example.org", "192.0.2.9", SECURE, id="encrypted"),
    ],
)
def test_a_public_url_does_not_make_plain_http_private(
    published: Console, base: str, caller: str, session: str | None
) -> None:
    assert published.services.settings.proxy_addresses == ""
    client = TestClient(
        published.app, base, headers=SAME_ORIGIN, follow_redirects=False, client=(caller, 50000)
    )
    check_sign_in(client, session)


@pytest.mark.parametrize(
    ("caller", "text", "session"),
    [
        ("192.0.2.80", "https", SECURE),
        ("192.0.2.80", "http", REFUSED),
        ("192.0.2.81", "https", REFUSED),
    ],
)
def test_the_word_of_a_proxy_counts_where_the_settings_name_it(
    published: Console, caller: str, text: str, session: str | None
) -> None:
    client = TestClient(
        ProxyHeadersMiddleware(published.app, "192.0.2.80"),
        "http://vigie.example.org",
        headers=SAME_ORIGIN | {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": text},
        follow_redirects=False,
        client=(caller, 50000),
    )
    check_sign_in(client, session)


def check_sign_in(client: TestClient, session: str | None) -> None:
    """Sign in; the session's cookie begins like this, or nobody is let in."""
    assert ("Signing in needs HTTPS." in client.get("/login").text) is (session is None)
    answer = client.post("/login", data=SIGN_IN)
    if session is None:
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        return
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(session)
    assert ("Secure" in cookie.split("; ")) is (session == SECURE)
