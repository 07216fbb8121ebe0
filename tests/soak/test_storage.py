"""No call on one host changes a file that a VM on another host uses, its pool verified to be shared or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from app.core.vms.create.spec import MIB
from app.lab.lab import Lab
from app.lab.paths import POOLS
from tests.soak.client import Client, Json
from tests.soak.conftest import Trials

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

SIZE = 4 * MIB
Call = tuple[str, str, Json | None]


class Calls:
    """What the API can be asked to do with the shared pool by way of one host, in random order."""

    def __init__(self, client: Client, host: Json, names: tuple[str, ...], chance: random.Random) -> None:
        self._client = client
        self._names = names
        self._host = host
        self._chance = chance
        self._pools = {name: client.id_of("/pools", name, host=host["id"]) for name in POOLS}

    def next(self, number: int) -> Call:
        """Something to ask, which may be refused."""
        kinds: tuple[Callable[[int], Call | None], ...] = (
            self._on_volume,
            self._on_volume,
            self._create,
            self._new_vm,
            self._move_here,
        )
        call = None
        while call is None:
            call = self._chance.choice(kinds)(number)
        return call

    def _volume(self) -> str | None:
        rows = self._client.all("/volumes", pool=self._pools["shared"])
        named = [row["id"] for row in rows if row["name"] in self._names]
        return self._chance.choice(named) if named else None

    def _on_volume(self, number: int) -> Call | None:
        if (volume := self._volume()) is None:
            return None
        verbs: dict[str, Json | None] = {
            "delete": None,
            "wipe": None,
            "resize": {"size_bytes": 2 * SIZE},
            "move": {"pool_id": self._pools["local"]},
            "clone": {"name": f"copy-{number}.img", "pool_id": self._pools["local"]},
        }
        verb = self._chance.choice(list(verbs))
        return "POST", f"/volumes/{volume}/actions/{verb}", verbs[verb]

    def _create(self, number: int) -> Call:
        body = {
            "pool_id": self._pools["shared"],
            "name": self._chance.choice(self._names),
            "size_bytes": SIZE,
        }
        return "POST", "/volumes", {**body, "format": "raw"}

    def _new_vm(self, number: int) -> Call | None:
        volume = self._volume()
        new = {"pool": "shared", "size_bytes": SIZE, "volume_name": self._chance.choice(self._names)}
        disk: Json = new if volume is None or self._chance.random() < 0.5 else {"volume_id": volume}
        body = {"name": f"other-{number}", "host_id": self._host["id"], "memory_bytes": 40 * MIB}
        return (
            "POST",
            "/vms",
            {**body, "start": True, "graphics": "none", "disks": [{**disk, "format": "raw"}]},
        )

    def _move_here(self, number: int) -> Call | None:
        rows = self._client.all("/volumes", pool=self._pools["local"])
        named = [row["id"] for row in rows if row["name"] in self._names]
        if not named:
            body = {
                "pool_id": self._pools["local"],
                "name": self._chance.choice(self._names),
                "size_bytes": SIZE,
            }
            return "POST", "/volumes", {**body, "format": "raw"}
        return (
            "POST",
            f"/volumes/{self._chance.choice(named)}/actions/move",
            {"pool_id": self._pools["shared"]},
        )


@pytest.mark.parametrize("is_verified", [False, True], ids=["as_added", "verified"])
def test_no_call_on_one_host_changes_a_file_of_a_vm_on_another(
    is_verified: bool, fresh_lab: Lab, fleet_client: Client, chance: random.Random, trials: Trials
) -> None:
    client, (user_host, other_host) = fleet_client, fresh_lab.hosts[:2]
    hosts = {row["name"]: row for row in client.all("/hosts")}
    pools = {name: client.id_of("/pools", "shared", host=row["id"]) for name, row in hosts.items()}
    if is_verified:
        client.done("POST", f"/pools/{pools[user_host.name]}/actions/verify-shared")
    names = tuple(f"{letter}-{is_verified}.img" for letter in "abc")
    used = names[:2]
    for name in used:
        _make_user(client, hosts[user_host.name], pools[user_host.name], name)
    calls = Calls(client, hosts[other_host.name], names, chance)
    log: list[Any] = []
    for number in range(trials(12, 150)):
        before = {name: _stat(user_host, name) for name in used}
        call = calls.next(number)
        answer = client.ask(*call)
        outcome: object = answer.data.get("code", answer.status)
        if answer.status == 202:
            outcome = client.ended([answer.data["id"]])[answer.data["id"]]["state"]
        log.append((call, outcome))
        assert {name: _stat(user_host, name) for name in used} == before, log
        assert not _others_using(other_host, used), log


def _make_user(client: Client, host: Json, pool: str, name: str) -> None:
    """A VM of the host that runs with a new disk in the shared pool; it has no system, so it writes nothing."""
    disk = {"pool_id": pool, "size_bytes": SIZE, "volume_name": name, "format": "raw"}
    body = {"name": f"user-of-{name.partition('.')[0]}", "host_id": host["id"], "memory_bytes": 40 * MIB}
    client.done("POST", "/vms", {**body, "start": True, "graphics": "none", "disks": [disk]})


def _stat(host: Any, name: str) -> str:
    """Which file it is, how large, and when it was last written to."""
    path = f"{POOLS['shared']}/{name}"
    return str(host.exec("stat", "-c", "%i %s %Y", path, check=False).stdout)


def _others_using(host: Any, names: tuple[str, ...]) -> list[str]:
    """Definitions of the other host that name a file of the first one's VMs."""
    paths = [f"{POOLS['shared']}/{name}" for name in names]
    defined = host.virsh("list", "--all", "--name").split()
    return [vm for vm in defined if any(path in host.virsh("dumpxml", "--domain", vm) for path in paths)]
