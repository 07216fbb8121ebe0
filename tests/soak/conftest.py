"""Random suites: few trials of each with every run of the tests, all of them by `make soak SUITE=name`."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.lab.lab import Lab
from app.lab.registration import make_administrator, register_hosts
from app.lab.server import Server
from tests.soak.client import Client

Trials = Callable[[int, int], int]


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Trials:
    """How many trials: the first number with every run of the tests, the second with `--long`."""
    is_long = bool(request.config.getoption("--long"))
    return lambda few, many: many if is_long else few


@pytest.fixture
def chance(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> random.Random:
    """A source of chance whose seed is printed, so that a run can be repeated with `--seed`."""
    seed = request.config.getoption("--seed")
    seed = secrets.randbelow(10**9) if seed is None else seed
    with capsys.disabled():
        sys.stderr.write(f"\n{request.node.name}: --seed {seed}\n")
    return random.Random(seed)


@pytest.fixture
def server(fresh_lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A server of its own process that runs; it knows no host yet."""
    server = Server(tmp_path / "server", settings={"log_level": "info"})
    server.prepare()
    yield server
    server.stop()


@pytest.fixture
def local_client(fresh_lab: Lab, server: Server) -> Iterator[Client]:
    """The API of a server that knows the lab's first host, by its local socket."""
    host = fresh_lab.hosts[0]
    with _started(server) as client:
        client.call("POST", "/hosts", {"name": host.name, "transport": "local", "socket": str(host.socket)})
        client.wait_for_hosts(1)
        yield client


@pytest.fixture
def fleet_client(fresh_lab: Lab, server: Server) -> Iterator[Client]:
    """The API of a server that knows every host of the lab: two by SSH, one by TLS."""
    with _started(server) as client:
        register_hosts(client.rest, fresh_lab)
        client.wait_for_hosts(len(fresh_lab.hosts))
        yield client


def _started(server: Server) -> Client:
    token = make_administrator(server, "tester", "correct horse battery")
    server.start()
    return Client(server, token)
