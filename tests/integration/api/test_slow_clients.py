"""Clients that send slowly, endlessly or nothing, against the real server."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server
from app.web.protocol import HEAD_S, MAX_HEAD_BYTES
from tests.commands import QuickServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    quick_server = QuickServer(tmp_path_factory.mktemp("slow") / "server")
    quick_server.prepare()
    quick_server.start()
    yield quick_server
    quick_server.stop()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return make_administrator(server, "tester", "a long password")


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=HEAD_S + 10)


def answer(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def resident_mib(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def test_a_request_of_a_user_who_was_deleted_while_its_body_came_is_refused(
    server: Server, token: str
) -> None:
    mallory = make_administrator(server, "mallory", "another long password")
    body = json.dumps({"name": "backdoor", "password": "a very long password", "role": "administrator"})
    head = (
        f"POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {mallory}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with closing(Rest(server.url, token)) as rest, connect(server) as client:
        client.sendall(head.encode() + body[:1].encode())
        time.sleep(0.5)
        users = {row["name"]: row["id"] for row in rest.call("GET", "/users")["items"]}
        rest.call("DELETE", f"/users/{users['mallory']}")
        client.sendall(body[1:].encode())
        assert answer(client).startswith(b"HTTP/1.1 401")
        assert "backdoor" not in {row["name"] for row in rest.call("GET", "/users")["items"]}


@pytest.mark.parametrize(
    "filler",
    [b"a:\r\n", b"x: " + b"y" * 1000 + b"\r\n", b"z" * 1000],
    ids=["empty", "long", "never complete"],
)
def test_endless_headers_are_refused_and_not_kept(server: Server, filler: bytes) -> None:
    before = resident_mib(server)
    with connect(server) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        sent = 0
        try:
            while sent < 200 * MAX_HEAD_BYTES:
                client.sendall(filler * 100)
                sent += len(filler) * 100
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 200 * MAX_HEAD_BYTES
    assert resident_mib(server) < before + 20


def test_an_endless_address_is_refused(server: Server) -> None:
    with connect(server) as client:
        client.sendall(b"GET /healthz?" + b"q" * (4 * MAX_HEAD_BYTES))
        assert answer(client).startswith(b"HTTP/1.1 431")


def test_connections_that_say_nothing_are_closed(server: Server) -> None:
    with connect(server) as silent, connect(server) as half:
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        begun = time.monotonic()
        assert answer(silent) == answer(half) == b""
        assert time.monotonic() - begun > HEAD_S / 2


def test_one_connection_serves_many_requests_as_before(server: Server) -> None:
    with connect(server) as client:
        for _ in range(5):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            came = b""
            while not came.endswith(b"}"):
                came += client.recv(65536)
            assert came.startswith(b"HTTP/1.1 200")
