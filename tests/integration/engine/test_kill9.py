"""kill -9 of the server in the middle of power tasks: each ends in a true final state, none is done twice."""

import random
import re
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import libvirt
import pytest

from app.lab.host import LabHost
from app.lab.lab import Lab
from app.lab.process import run
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server
from tests.integration.engine.site import eventually

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

GUESTS = 10
ROUNDS = 10  # a hundred tasks
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


class ResetCounter:
    """Counts resets that QEMU was asked for on a host. Firmware that finds itself reset resets once more by itself,
    so libvirt's own event comes twice."""

    def __init__(self, uri: str, told: Path) -> None:
        self._told = told
        with told.open("w") as output:
            self._virsh = subprocess.Popen(
                ["stdbuf", "-oL", "virsh", "-c", uri, "qemu-monitor-event", "--event", "RESET", "--loop"],
                stdout=output,
            )

    def resets(self) -> Counter[str]:
        """Resets of each VM by name."""
        asked = r"for domain '([^']+)': .*host-qmp-system-reset"
        return Counter(re.findall(asked, self._told.read_text()))

    def close(self) -> None:
        """Stop counting."""
        self._virsh.terminate()
        self._virsh.wait(5)


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


def create_idle_guest(host: LabHost, name: str, folder: Path) -> None:
    """A guest without a system: what counts here is its process, and ten that boot would take all processors."""
    host.create_guest(name, memory_mib=64)
    xml = re.sub(r"<(kernel|initrd|cmdline)>.*?</\1>", "", host.virsh("dumpxml", name))
    path = folder / f"{name}.xml"
    path.write_text(xml)
    host.virsh("define", str(path))


def vms(rest: Rest) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rest.call("GET", "/vms?limit=100")["items"]}


def test_tasks_survive_kill_9(fresh_lab: Lab, tmp_path: Path) -> None:
    host = fresh_lab.hosts[0]
    names = [f"guest-{number}" for number in range(GUESTS)]
    for name in names:
        create_idle_guest(host, name, tmp_path)
    server, token = server_with_host(fresh_lab, tmp_path / "server")
    counter = StartCounter(host.virsh_uri)
    resets = ResetCounter(host.virsh_uri, tmp_path / "resets")
    asked: Counter[tuple[str, str]] = Counter()
    chance = random.Random(20261124)
    try:
        for _ in range(ROUNDS):
            with closing(Rest(server.url, token)) as rest:
                eventually(lambda: len(vms(rest)) == GUESTS, 15, "all VMs are seen")
                eventually(lambda: not any(vm["stale"] for vm in vms(rest).values()), 15, "in sync")
                begun = ask_all(rest, names, chance)
                asked.update(begun.values())
            time.sleep(chance.uniform(0.05, 0.6))
            run(["kill", "-9", str(server.pid)])
            eventually(server.has_ended, 5)
            server.start()
            with closing(Rest(server.url, token)) as rest:
                eventually(lambda: all_ended(rest, begun), 30, "every task ends")  # noqa: B023
                for task_id, (name, verb) in begun.items():
                    check_truth(rest.call("GET", f"/tasks/{task_id}"), verb, host.virsh("domstate", name))
        assert asked.total() == GUESTS * ROUNDS
        assert all(counter.starts().get(name, 0) <= asked[name, "start"] for name in names), asked
        assert all(resets.resets()[name] <= asked[name, "reset"] for name in names), (resets.resets(), asked)
    finally:
        counter.close()
        resets.close()
        server.stop()


def ask_all(rest: Rest, names: list[str], chance: random.Random) -> dict[str, tuple[str, str]]:
    """Start what is off, reset or force off what runs; return the tasks with what each is to do."""
    begun: dict[str, tuple[str, str]] = {}
    for name, vm in vms(rest).items():
        is_off = vm["state"] in ("shutoff", "crashed")
        verb = "start" if is_off else chance.choice(("force-off", "reset"))
        answer = rest.ask("POST", f"/api/v1/vms/{vm['id']}/actions/{verb}", {})
        assert answer.status == 202, answer.data
        begun[answer.data["id"]] = (name, verb)
    assert len(begun) == len(names)
    return begun


def all_ended(rest: Rest, begun: dict[str, tuple[str, str]]) -> bool:
    return all(rest.call("GET", f"/tasks/{task_id}")["state"] in FINAL for task_id in begun)


def check_truth(task: dict[str, Any], verb: str, said: str) -> None:
    """A task that says it succeeded did what it was to do; of a reset that may have been sent, nobody knows."""
    if verb == "reset" and task["state"] == "failed":
        assert task["error"]["code"] == "interrupted", task
    else:
        assert task["state"] == "succeeded", task
    assert said == ("shut off" if verb == "force-off" else "running"), (task, said)
