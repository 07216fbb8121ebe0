"""What a check of a host tells of what listens there, over real sockets of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from app.hypervisor.host import probe
from tests.integration.api.conftest import Console

BANNER = b"220 mail.example.org ESMTP\r\n"


@contextmanager
def mail_server() -> Iterator[int]:
    """Something that speaks at once, and is no host."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.sendall(BANNER)
                    client.recv(1000)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def silent_server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port


def ask(client: TestClient, console: Console, **fields: object) -> dict[str, object]:
    body = {"transport": "ssh", "credential_id": console.inventory.credential, **fields}
    answer = client.post("/api/v1/hosts/probe", json=body).json()
    return {name: answer.get(name) for name in ("status", "code", "title", "why", "hint", "detail")}


@pytest.mark.parametrize("fingerprint", [None, "SHA256:" + "A" * 43])
def test_a_check_tells_no_closed_port_from_one_where_something_else_listens(
    console: Console, monkeypatch: pytest.MonkeyPatch, fingerprint: str | None
) -> None:
    monkeypatch.setattr(probe, "FIRST_ANSWER_S", 1.0)
    client = console.client()
    reported = []
    for listener in (closed_port, mail_server, silent_server):
        with listener() as port:
            begun = time.monotonic()
            given = {} if fingerprint is None else {"fingerprint": fingerprint}
            reported.append(ask(client, console, address="127.0.0.1", port=port, **given))
            assert time.monotonic() - begun >= 0.9  # the same time is the feature
    assert reported[0] == reported[1] == reported[2]
    assert (reported[0]["status"], reported[0]["code"], reported[0]["detail"]) == (
        503,
        "host_unreachable",
        None,
    )


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0", "ff02::1"]
)
def test_a_check_and_a_host_to_add_name_no_address_where_no_host_may_be(
    shared: Console, address: str
) -> None:
    client = shared.client()
    reported = ask(client, shared, address=address)
    assert (reported["status"], reported["code"]) == (422, "invalid_input")
    bracketed = f"[{address}]" if ":" in address else address
    by_uri = client.post(
        "/api/v1/hosts",
        json={
            "name": "x",
            "uri": f"qemu+ssh://root@{bracketed}/system",
            "credential_id": shared.inventory.credential,
        },
    )
    assert (by_uri.status_code, by_uri.json()["field"]) == (422, "uri")
    moved = client.patch(f"/api/v1/hosts/{shared.inventory.hosts[0]}", json={"address": address})
    assert (moved.status_code, moved.json()["field"]) == (422, "address")


def test_a_name_that_leads_to_the_loopback_is_not_dialled(shared: Console) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        reported = ask(shared.client(), shared, address="localhost", port=server.getsockname()[1])
        assert (reported["status"], reported["code"]) == (503, "address_not_allowed")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
