"""libvirtd restarts again and again: the host is never said to refuse the credential, and is soon back."""

from __future__ import annotations

import random
import threading
import time

import pytest

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from tests.soak.client import Client
from tests.soak.conftest import Trials

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

BACK_S = 2.0  # by how long after its daemon answers a host must be connected: the feature itself
LOOK_S = 0.02


class Watch:
    """Connections that the API tells of a host, as it tells them, with the last time it was not connected."""

    def __init__(self, client: Client, host: LabHost) -> None:
        self._client = client
        self._path = f"/hosts/{client.id_of('/hosts', host.name)}"
        self._stop = threading.Event()
        self.connections: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            connection = self._client.call("GET", self._path)["connection"]
            if not self.connections or self.connections[-1] != connection:
                self.connections.append(connection)


@pytest.mark.parametrize(("transport", "number"), [("ssh", 0), ("tls", 2)])
def test_a_restart_of_libvirtd_is_no_refused_login(
    transport: str,
    number: int,
    lab: Lab,
    fleet_client: Client,
    chance: random.Random,
    trials: Trials,
) -> None:
    host = lab.hosts[number]
    took = []
    watch = Watch(fleet_client, host)
    try:
        for _ in range(trials(3, 30)):
            seen = len(watch.connections)
            chance.choice((host.stop_daemon, host.kill_daemon))()
            time.sleep(chance.uniform(0, 1.0))
            host.start_daemon()
            began = time.monotonic()
            while len(watch.connections) == seen or watch.connections[-1] != "connected":
                assert time.monotonic() - began < 60, watch.connections[seen:]
                time.sleep(LOOK_S)
            took.append(time.monotonic() - began)
            time.sleep(chance.uniform(0, 0.5))
    finally:
        watch.close()
    assert "auth_failed" not in watch.connections
    assert [round(item, 2) for item in took if item > BACK_S] == []
