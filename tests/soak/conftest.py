"""Random suites: few trials of each with every run of the tests, all of them by `make soak SUITE=name`."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Callable, Iterator

import pytest

from app.lab.lab import Lab
from app.lab.registration import make_administrator, register_hosts
from app.lab.server import Server
from tests.commands import QuickServer
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


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own process for the tests of a module."""
    server = QuickServer(
        tmp_path_factory.mktemp("soak") / "server", settings={"log_level": "info", "lab": True}
    )
    server.prepare()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def local_client(lab: Lab, server: Server) -> Iterator[Client]:
    """The API of a server that knows the lab's first host, by its local socket."""
    host = lab.hosts[0]
    with _started(server) as client:
        client.call("POST", "/hosts", {"name": host.name, "transport": "local", "socket": str(host.socket)})
        client.wait_for_hosts(1)
        yield client


@pytest.fixture(scope="module")
def fleet_client(lab: Lab, server: Server) -> Iterator[Client]:
    """The API of a server that knows every host of the lab: two by SSH, one by TLS."""
    with _started(server) as client:
        register_hosts(client.rest, lab)
        client.wait_for_hosts(len(lab.hosts))
        yield client


def _started(server: Server) -> Client:
    token = make_administrator(server, "tester", "correct horse battery")
    server.start()
    return Client(server, token)
