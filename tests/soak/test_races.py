"""Another client of libvirt makes the thing of the same name at the same moment: nothing that others made is ever removed."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import libvirt
import pytest

from app.core.vms.create.spec import MIB
from app.lab.lab import Lab
from app.lab.paths import POOLS
from tests.soak.client import Client, Json
from tests.soak.conftest import Trials
from tests.soak.kinds import Stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

OURS, THEIRS = 4 * MIB, 8 * MIB
FIRST_STEP_S = 0.08


@dataclass(frozen=True)
class Race:
    """One kind of create. `whose` tells by what only the maker knows: None when there is no such thing."""

    submit: Callable[[Stage, str], str]
    other: Callable[[Stage, str], object]
    whose: Callable[[Stage, str], str | None]
    clear: Callable[[Stage, str], None]


def _post(stage: Stage, path: str, body: Json) -> str:
    answer = stage.client.ask("POST", path, body)
    # What the mirror knows already is refused at once, and no task begins.
    assert answer.status in (202, 409, 422), answer.data
    return str(answer.data["id"]) if answer.status == 202 else ""


def _create_volume(stage: Stage, name: str) -> None:
    pool = stage.connection.storagePoolLookupByName("local")
    pool.createXML(f"<volume><name>{name}</name><capacity>{THEIRS}</capacity></volume>")


def _volume_body(stage: Stage, name: str) -> Json:
    return {"pool_id": stage.pool(), "name": name, "size_bytes": OURS, "format": "raw"}


def _whose_volume(stage: Stage, name: str) -> str | None:
    if name not in stage.files():
        return None
    return "ours" if stage.capacity(name) == OURS else "theirs"


def _by_description(
    found: libvirt.virDomain | libvirt.virNetwork | libvirt.virStoragePool | None,
) -> str | None:
    if found is None:
        return None
    return "theirs" if "theirs" in found.XMLDesc() else "ours"


def _named(objects: Iterable[Any], name: str) -> Any:
    return next((item for item in objects if item.name() == name), None)


def _undefine(found: libvirt.virDomain | libvirt.virNetwork | libvirt.virStoragePool | None) -> None:
    if found is not None:
        found.undefine()


def _remove_files(stage: Stage, name: str) -> None:
    for file in stage.files():
        if re.match(rf"{name}\b", file):
            stage.host.exec("rm", "-f", f"{POOLS['local']}/{file}")


def _clear_domain(stage: Stage, name: str) -> None:
    _undefine(_named(stage.connection.listAllDomains(), name))
    _remove_files(stage, name)


def _clear_vm_with_disk(stage: Stage, name: str) -> None:
    _clear_domain(stage, f"vm-{name}")
    _remove_files(stage, name)


_DOMAIN = "<domain type='qemu'><name>{name}</name><title>theirs</title><memory unit='MiB'>40</memory><os><type>hvm</type></os></domain>"
_NETWORK = "<network><name>{name}</name><domain name='theirs'/></network>"
_POOL = (
    "<pool type='dir'><name>{name}</name><target><path>"
    + POOLS["local"]
    + "/theirs-{name}</path></target></pool>"
)

RACES: dict[str, Race] = {
    "volume": Race(
        lambda stage, name: _post(stage, "/volumes", _volume_body(stage, name)),
        _create_volume,
        _whose_volume,
        _remove_files,
    ),
    "disk of a new VM": Race(
        lambda stage, name: _post(
            stage,
            "/vms",
            {
                "name": f"vm-{name}",
                "host_id": stage.host_id,
                "memory_bytes": 40 * MIB,
                "start": False,
                "disks": [{"pool": "local", "size_bytes": OURS, "volume_name": name, "format": "raw"}],
            },
        ),
        _create_volume,
        _whose_volume,
        _clear_vm_with_disk,
    ),
    "VM": Race(
        lambda stage, name: _post(
            stage,
            "/vms",
            {"name": name, "host_id": stage.host_id, "memory_bytes": 40 * MIB, "start": False},
        ),
        lambda stage, name: stage.connection.defineXML(_DOMAIN.format(name=name)),
        lambda stage, name: _by_description(_named(stage.connection.listAllDomains(), name)),
        _clear_domain,
    ),
    "network": Race(
        lambda stage, name: _post(
            stage,
            "/networks",
            {"name": name, "host_id": stage.host_id, "mode": "isolated", "start": False, "autostart": False},
        ),
        lambda stage, name: stage.connection.networkDefineXML(_NETWORK.format(name=name)),
        lambda stage, name: _by_description(_named(stage.connection.listAllNetworks(), name)),
        lambda stage, name: _undefine(_named(stage.connection.listAllNetworks(), name)),
    ),
    "pool": Race(
        lambda stage, name: _post(
            stage,
            "/pools",
            {
                "name": name,
                "host_id": stage.host_id,
                "kind": "dir",
                "target_path": f"{POOLS['local']}/ours-{name}",
                "start": False,
            },
        ),
        lambda stage, name: stage.connection.storagePoolDefineXML(_POOL.format(name=name)),
        lambda stage, name: _by_description(_named(stage.connection.listAllStoragePools(), name)),
        lambda stage, name: _undefine(_named(stage.connection.listAllStoragePools(), name)),
    ),
}


class Aim:
    """When the other client acts: later when it was too early, sooner when it was too late, in ever smaller steps.

    So most of the trials fall into the moment between our look and our create.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._delay_s = FIRST_STEP_S
        self._step_s = FIRST_STEP_S

    def delay_s(self) -> float:
        """Seconds from our request until the other acts."""
        return max(0.0, self._chance.gauss(self._delay_s, self._step_s / 2))

    def learn(self, *, other_won: bool) -> None:
        """Take aim again."""
        self._step_s = max(0.002, self._step_s * 0.8)
        self._delay_s = max(0.0, self._delay_s + (self._step_s if other_won else -self._step_s))


@pytest.mark.parametrize("kind", RACES)
def test_what_others_make_at_the_same_moment_stays(
    kind: str, lab: Lab, local_client: Client, chance: random.Random, trials: Trials
) -> None:
    stage = Stage(lab.hosts[0], local_client)
    race, aim = RACES[kind], Aim(chance)
    wrong = []
    for number in range(trials(10, 100)):
        name = f"race-{number}"
        try:
            if what := _one_race(stage, race, name, aim):
                wrong.append(f"{name}: {what}")
        finally:
            race.clear(stage, name)
    stage.connection.close()
    assert wrong == []


def _one_race(stage: Stage, race: Race, name: str, aim: Aim) -> str:
    """Have Vigie and another client make the same at about the same time; return what was lost."""
    has_made = threading.Event()
    delay_s = aim.delay_s()

    def by_other() -> None:
        time.sleep(delay_s)
        with suppress(libvirt.libvirtError):
            race.other(stage, name)
            has_made.set()

    other = threading.Thread(target=by_other)
    other.start()
    task_id = race.submit(stage, name)
    other.join()
    task = (
        stage.client.ended([task_id])[task_id] if task_id else {"state": "failed", "error": "refused at once"}
    )
    owner = race.whose(stage, name)
    aim.learn(other_won=has_made.is_set())
    if has_made.is_set() and owner is None:
        return f"what the other made is gone: {task}"
    if has_made.is_set() and owner == "ours" and task["state"] != "succeeded":
        return f"ours took the place of theirs: {task}"
    if task["state"] == "succeeded" and owner is None:
        return f"the task succeeded, and there is nothing: {task}"
    if task["state"] == "failed" and owner == "ours":
        return f"the task failed, and left something: {task}"
    return ""
