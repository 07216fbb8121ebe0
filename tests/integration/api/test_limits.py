"""What one address and one user may hold of the real server: bodies, connections, requests and streams."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from app.config import Settings
from app.core.hosts.addresses import network_of
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server
from app.web.middleware import body_timeout_s
from app.web.quotas import Quotas
from tests.commands import QuickServer
from tests.integration.api.conftest import Console

CONNECTIONS, REQUESTS, STREAMS = 24, 6, 3
LIMITS = {
    "proxy_addresses": "",  # or this machine would be one
    "body_timeout_s": 2,
    "connections_per_address": CONNECTIONS,
    "requests_per_address": REQUESTS,
    "streams_per_user": STREAMS,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    quick_server = QuickServer(tmp_path_factory.mktemp("limits") / "server", settings=LIMITS)
    quick_server.prepare()
    quick_server.start()
    yield quick_server
    quick_server.stop()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return make_administrator(server, "tester", "a long password")


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def slow_login(server: Server) -> socket.socket:
    """A sign-in whose body begins and does not go on."""
    client = connect(server)
    client.sendall(
        f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nname=".encode()
    )
    return client


def trickled(client: socket.socket) -> bytes:
    """All that the server says until it closes, while a byte is sent to it ten times a second."""
    client.settimeout(0.1)
    came = b""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        try:
            part = client.recv(65536)
        except TimeoutError:
            try:
                client.sendall(b"x")
            except OSError:
                return came
            continue
        except ConnectionResetError:
            return came
        if not part:
            return came
        came += part
    raise AssertionError(f"the connection stayed open; it said {came[:100]!r}")


def head_of(server: Server, path: str, token: str = "") -> bytes:
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{bearer}\r\n".encode()


def first_part(client: socket.socket) -> bytes:
    """The answer as far as its first lines, or all of a short one."""
    came = b""
    while b"\r\n\r\n" not in came or (b"application/problem+json" in came and not came.endswith(b"}")):
        part = client.recv(65536)
        if not part:
            break
        came += part
    return came


def problem_in(answer: bytes) -> dict[str, object]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_body_that_trickles_into_the_sign_in_page_ends_with_408(server: Server) -> None:
    with slow_login(server) as client:
        message = trickled(client)
    assert message.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in message.lower()


def test_a_body_that_trickles_into_the_api_ends_with_a_problem(server: Server, token: str) -> None:
    with connect(server) as client:
        client.sendall(
            f"POST /api/v1/datacenters HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n".encode()
        )
        message = trickled(client)
    assert message.startswith(b"HTTP/1.1 408")
    assert problem_in(message)["code"] == "body_timeout"


def test_a_body_that_nobody_reads_does_not_keep_its_connection(server: Server) -> None:
    with connect(server) as client:
        client.sendall(
            f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 100000\r\n\r\nx".encode()
        )
        assert trickled(client).startswith(b"HTTP/1.1 200")


def test_requests_of_one_address_under_way_are_limited_before_it_is_known_who_sends_them(
    server: Server, token: str
) -> None:
    with ExitStack() as held:
        for _ in range(REQUESTS):
            held.enter_context(slow_login(server))
        time.sleep(0.3)
        with connect(server) as client:
            client.sendall(head_of(server, "/api/v1/session", token))
            refused = first_part(client)
    assert refused.startswith(b"HTTP/1.1 429")
    assert b"retry-after:" in refused.lower()
    problem = problem_in(refused)
    assert problem["code"] == "too_many_at_once"
    assert "VIGIE_REQUESTS_PER_ADDRESS" in str(problem["hint"])
    time.sleep(0.3)
    with closing(Rest(server.url, token)) as rest:
        assert rest.call("GET", "/session")["name"] == "tester"


def test_streams_of_one_user_are_limited(server: Server, token: str) -> None:
    with ExitStack() as held:
        for number in range(STREAMS):
            client = held.enter_context(connect(server))
            client.sendall(head_of(server, ("/live", "/api/v1/events/stream")[number % 2], token))
            assert first_part(client).startswith(b"HTTP/1.1 200")
        one_more = held.enter_context(connect(server))
        one_more.sendall(head_of(server, "/live", token))
        refused = first_part(one_more)
        assert refused.startswith(b"HTTP/1.1 429")
        assert "VIGIE_STREAMS_PER_USER" in str(problem_in(refused)["hint"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # the places of ended streams are given back
        with connect(server) as client:
            client.sendall(head_of(server, "/live", token))
            if first_part(client).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.1)
    raise AssertionError("the streams ended, and their places were not given back")


def test_connections_of_one_address_are_limited(server: Server, token: str) -> None:
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(connect(server))
        time.sleep(0.3)
        with connect(server) as client:
            refused = first_part(client)
    assert refused.startswith(b"HTTP/1.1 429")
    assert "VIGIE_CONNECTIONS_PER_ADDRESS" in str(problem_in(refused)["why"])
    time.sleep(0.3)
    with closing(Rest(server.url, token)) as rest:
        assert rest.call("GET", "/session")["name"] == "tester"


def test_a_part_of_an_upload_has_a_deadline_of_its_own() -> None:
    settings = Settings(body_timeout_s=7, part_timeout_s=70)
    assert body_timeout_s(settings, "/login") == 7
    assert body_timeout_s(settings, "/api/v1/uploads/upl_aaaaaaaaaaaaaaaa") == 70


def test_one_caller_is_an_address_or_a_network_of_ipv6() -> None:
    assert network_of("192.0.2.7") == network_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
    quotas = Quotas(Settings(proxy_addresses="192.0.2.0/28"))
    assert quotas.is_proxy("192.0.2.7")
    assert not quotas.is_proxy("192.0.2.77")


def test_a_request_leaves_no_place_taken(shared: Console) -> None:
    quotas: Quotas = shared.app.state.quotas
    shared.client().get("/api/v1/vms")
    shared.client(None).get("/api/v1/vms")
    shared.client().get("/api/v1/events/stream?seconds=1")
    held = [
        item.held for item in (quotas.requests_of_address, quotas.requests_of_user, quotas.streams_of_user)
    ]
    assert [dict(item) for item in held] == [{}, {}, {}]
