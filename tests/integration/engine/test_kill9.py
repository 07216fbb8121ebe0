"""kill -9 of the server in the middle of power tasks: each ends in a true final state, none is done twice."""

import random
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import libvirt
import pytest

from app.lab.lab import Lab
from app.lab.process import run
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server
from tests.integration.engine.site import eventually

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

GUESTS = 8
ROUNDS = 3
FINAL = ("succeeded", "failed", "cancelled")


class StartCounter:
    """Counts starts of VMs on a host, by its own connection: what libvirt itself says happened."""

    def __init__(self, uri: str) -> None:
        libvirt.registerErrorHandler(lambda *_: None, None)
        self._connection = libvirt.open(uri)
        self._seen: dict[str, set[int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def starts(self) -> dict[str, int]:
        """Starts of each VM by name: a domain id is given once."""
        return {name: len(ids) for name, ids in self._seen.items()}

    def close(self) -> None:
        """Stop counting."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for domain in self._connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                number = domain.ID()
                if number != -1:
                    self._seen.setdefault(domain.name(), set()).add(number)


def server_with_host(lab: Lab, directory: Path) -> tuple[Server, str]:
    """A server that knows the lab's first host, and a token for it."""
    host = lab.hosts[0]
    server = Server(directory, settings={"log_level": "info"})
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.start()
    with closing(Rest(server.url, token)) as rest:
        rest.call("POST", "/hosts", {"name": host.name, "transport": "local", "socket": str(host.socket)})
    return server, token


def vms(rest: Rest) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rest.call("GET", "/vms?limit=100")["items"]}


def test_tasks_survive_kill_9(fresh_lab: Lab, tmp_path: Path) -> None:
    host = fresh_lab.hosts[0]
    names = [f"guest-{number}" for number in range(GUESTS)]
    for name in names:
        host.create_guest(name, memory_mib=64)
    server, token = server_with_host(fresh_lab, tmp_path / "server")
    counter = StartCounter(host.virsh_uri)
    asked: dict[str, int] = dict.fromkeys(names, 0)
    chance = random.Random(20261124)
    try:
        for _ in range(ROUNDS):
            with closing(Rest(server.url, token)) as rest:
                eventually(lambda: len(vms(rest)) == GUESTS, 15, "all VMs are seen")
                eventually(lambda: not any(vm["stale"] for vm in vms(rest).values()), 15, "in sync")
                begun = ask_all(rest, names, asked)
            time.sleep(chance.uniform(0.05, 0.6))
            run(["kill", "-9", str(server.pid)])
            eventually(server.has_ended, 5)
            server.start()
            with closing(Rest(server.url, token)) as rest:
                eventually(lambda: all_ended(rest, begun), 30, "every task ends")  # noqa: B023
                for task_id, (name, verb) in begun.items():
                    check_truth(rest.call("GET", f"/tasks/{task_id}"), verb, host.virsh("domstate", name))
        assert all(counter.starts().get(name, 0) <= asked[name] for name in names), (counter.starts(), asked)
    finally:
        counter.close()
        server.stop()


def ask_all(rest: Rest, names: list[str], asked: dict[str, int]) -> dict[str, tuple[str, str]]:
    """Start what is off, force off what runs; return the tasks with what each is to do."""
    begun: dict[str, tuple[str, str]] = {}
    for name, vm in vms(rest).items():
        verb = "start" if vm["state"] in ("shutoff", "crashed") else "force-off"
        answer = rest.ask("POST", f"/api/v1/vms/{vm['id']}/actions/{verb}", {})
        assert answer.status == 202, answer.data
        begun[answer.data["id"]] = (name, verb)
        asked[name] += verb == "start"
    assert len(begun) == len(names)
    return begun


def all_ended(rest: Rest, begun: dict[str, tuple[str, str]]) -> bool:
    return all(rest.call("GET", f"/tasks/{task_id}")["state"] in FINAL for task_id in begun)


def check_truth(task: dict[str, Any], verb: str, said: str) -> None:
    """A task that says it succeeded did what it was to do."""
    assert task["state"] == "succeeded", task
    assert said == ("running" if verb == "start" else "shut off"), (task, said)
