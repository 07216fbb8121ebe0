"""kill -9 of the server in the middle of work on volumes: what a task says is what its host has."""

import random
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.lab.host import LabHost
from app.lab.lab import Lab
from app.lab.process import run
from app.lab.rest import Rest
from tests.integration.engine.site import eventually
from tests.integration.engine.test_kill9 import all_ended, server_with_host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

ROUNDS = 3
MIB = 1024**2


def test_a_task_on_volumes_says_what_its_host_has_after_kill_9(fresh_lab: Lab, tmp_path: Path) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("user")
    for number in range(ROUNDS):
        host.virsh("vol-create-as", "local", f"move-{number}", "8M", "--format", "qcow2")
    server, token = server_with_host(fresh_lab, tmp_path / "server")
    chance = random.Random(20261129)
    try:
        for number in range(ROUNDS):
            with closing(Rest(server.url, token)) as rest:
                eventually(lambda: f"move-{number}" in volumes(rest), 20, "the volumes are read")  # noqa: B023
                begun = ask_all(rest, number)
            time.sleep(chance.uniform(0.05, 0.9))
            run(["kill", "-9", str(server.pid)])
            eventually(server.has_ended, 5)
            server.start()
            with closing(Rest(server.url, token)) as rest:
                eventually(lambda: all_ended(rest, begun), 60, "every task ends")  # noqa: B023
                for task_id, (kind, name) in begun.items():
                    check_truth(host, rest.call("GET", f"/tasks/{task_id}"), kind, name)
    finally:
        server.stop()


def volumes(rest: Rest) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in rest.call("GET", "/volumes?limit=200")["items"]}


def ask_all(rest: Rest, number: int) -> dict[str, tuple[str, str]]:
    """A volume, a copy, an attached new volume and a move; return the tasks with what each makes."""
    pools = {each["name"]: each["id"] for each in rest.call("GET", "/pools")["items"]}
    vm = rest.call("GET", "/vms")["items"][0]["id"]
    known = volumes(rest)
    names = {kind: f"{kind}-{number}" for kind in ("create", "clone", "attach", "move")}
    size = {"pool_id": pools["local"], "size_bytes": 8 * MIB}
    asked = {
        "create": ("/volumes", size | {"name": names["create"]}),
        "clone": (f"/volumes/{known['user.qcow2']['id']}/clone", {"name": names["clone"]}),
        "attach": (f"/vms/{vm}/disks", size | {"volume_name": names["attach"]}),
        "move": (f"/volumes/{known[names['move']]['id']}/move", {"pool_id": pools["shared"]}),
    }
    begun = {}
    for kind, (path, body) in asked.items():
        answer = rest.ask("POST", f"/api/v1{path}", body)
        assert answer.status == 202, (kind, answer.data)
        begun[answer.data["id"]] = (kind, names[kind])
    return begun


def check_truth(host: LabHost, task: dict[str, Any], kind: str, name: str) -> None:
    for pool in ("local", "shared"):
        host.virsh("pool-refresh", pool)
    local, shared = (name in host.virsh("vol-list", pool).split() for pool in ("local", "shared"))
    assert task["state"] == "succeeded", task
    assert (local, shared) == ((False, True) if kind == "move" else (True, False)), (kind, name)
    if kind == "attach":
        assert host.virsh("domblklist", "user").count(f"/{name}") == 1
