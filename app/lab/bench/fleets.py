"""The benchmark on simulated fleets: bare libvirt-python and Vigie on the same hosts, one after the other."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.hosts.states import HostMode, HostState, Transport
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db.models import Datacenter, Host
from app.db.session import Database
from app.lab.bench.measure import Load, Spread, load_of, until
from app.lab.errors import LabError
from app.lab.fleets import nodes
from app.lab.fleets.fleet import Fleet
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server

T = TypeVar("T")

VMS = 18
# Tried 1, 2, 4, 8 and 16 on 1,000 hosts and 2 cores: 13.3, 10.1, 8.0, 7.2 and 6.6 s. The fastest is the yardstick.
BARE_THREADS = 16
SYNC_TIMEOUT_S = 900.0
SETTLE_S = 25.0
WARM_UP = 3


@dataclass(frozen=True)
class Bare:
    """What libvirt-python needs."""

    first_sync_s: float
    load: Load | None


@dataclass(frozen=True)
class Served:
    """What Vigie needs; `first_sync_s` is from the start of the process, `empty_start_s` that of one without hosts."""

    first_sync_s: float
    empty_start_s: float
    load: Load | None
    times: dict[str, Spread]
    stop_s: float


@contextmanager
def serving(fleet: Fleet) -> Iterator[tuple[Server, str, float]]:
    """A server that knows the fleet but is not started, a token, and the start-up time of one without hosts."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        server = Server(Path(scratch) / "data", settings={"lab": True})
        server.prepare()
        token = make_administrator(server, "bench", "bench-of-this-machine")
        try:
            empty_start_s = _start_time(server)
            # The first start of all makes files; only a second one is like that with hosts.
            empty_start_s = min(empty_start_s, _start_time(server))
            write_hosts(server, fleet)
            yield server, token, empty_start_s
        finally:
            server.stop()


def _start_time(server: Server) -> float:
    begun = time.monotonic()
    server.start()
    seconds = time.monotonic() - begun
    server.stop()
    return seconds


def write_hosts(server: Server, fleet: Fleet) -> None:
    """Write the fleet's hosts to the database, never seen before: the first sync then meets all at once."""
    now = datetime.now(UTC)
    database = Database(f"sqlite:///{server.directory / 'vigie.db'}")
    with database.begin() as session:
        datacenter = _datacenter(session, now)
        for number in range(1, fleet.state.hosts + 1):
            name = nodes.host_name(number)
            session.add(
                Host(
                    id=new_id(ObjectKind.HOST),
                    datacenter_id=datacenter,
                    name=name,
                    name_key=name,
                    search_text=name,
                    transport=Transport.SIMULATED,
                    address=str(fleet.node_path(number)),
                    socket=str(fleet.socket(fleet.group_of(number))),
                    port=0,
                    user="",
                    mode=HostMode.MANAGED,
                    state=HostState.CONNECTING,
                    created_at=now,
                )
            )


def _datacenter(session: Session, now: datetime) -> str:
    """The first datacenter, made when there is none."""
    found = session.scalar(sa.select(Datacenter.id).limit(1))
    if found is not None:
        return found
    made = Datacenter(id=new_id(ObjectKind.DATACENTER), name="Bench", name_key="bench", created_at=now)
    session.add(made)
    session.flush()
    return made.id


def run_bare(fleet: Fleet, steady_s: float) -> Bare:
    """Measure libvirt-python in a process of its own. Raises LabError when it fails."""
    with tempfile.NamedTemporaryFile("w", prefix="vigie-uris-") as uris:
        uris.write("\n".join(fleet.uris()))
        uris.flush()
        command = [sys.executable, "-m", "app.lab.bench.bare", uris.name, str(BARE_THREADS), f"{steady_s:g}"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SYNC_TIMEOUT_S + steady_s, check=False
        )
    if done.returncode != 0:
        raise LabError(f"Bare libvirt failed: {done.stderr[-1000:]}")
    said = json.loads(done.stdout)
    expected = fleet.state.hosts * fleet.state.vms
    if said["vms"] != expected:
        raise LabError(f"Bare libvirt saw {said['vms']} VMs instead of {expected}.")
    load = None if said["cpu_share"] is None else Load(said["cpu_share"], said["rss_kib"] / 1024)
    return Bare(said["first_sync_s"], load)


def run_vigie(fleet: Fleet, steady_s: float, samples: int) -> Served:
    """Measure Vigie on the same fleet: first sync, then what it costs at rest, then what its answers take."""
    with serving(fleet) as (server, token, empty_start_s):
        begun = time.monotonic()
        server.start()
        with Rest(server.url, token) as rest:
            wait_until_synced(rest, fleet)
            first_sync_s = time.monotonic() - begun
            load = None
            if steady_s:
                # At rest is when everything was read once; what a host has follows its VMs.
                volumes = fleet.state.hosts * fleet.state.vms
                until(lambda: rest.total("/volumes") >= volumes, "all volumes read", SYNC_TIMEOUT_S, 1.0)
                time.sleep(SETTLE_S)
                load = load_of(server.pid, steady_s)
            times = server_times(rest, samples)
        return Served(first_sync_s, empty_start_s, load, times, server.stop())


def wait_until_synced(rest: Rest, fleet: Fleet, dead: int = 0) -> None:
    """Return once every living host is connected and all its VMs are listed. Raises LabError after 15 min."""
    alive = fleet.state.hosts - dead

    def synced() -> bool:
        connected = rest.total("/hosts", state="connected") >= alive
        return connected and rest.total("/vms") >= alive * fleet.state.vms

    until(synced, f"{alive} hosts in sync", SYNC_TIMEOUT_S, 0.25)


def server_times(rest: Rest, samples: int) -> dict[str, Spread]:
    """Server time of each kind of answer, over many different questions. Raises LabError for an error."""
    vms = rest.call("GET", "/vms?limit=200")["items"]
    hosts = rest.call("GET", "/hosts?limit=200")["items"]
    kinds: dict[str, Callable[[int], str]] = {
        "API list, 100 rows": lambda n: f"/api/v1/vms?limit=100&sort={_pick(SORTS, n)}",
        "API list, filtered and sorted": lambda n: (
            f"/api/v1/vms?limit=100&state={_pick(STATES, n)}&sort={_pick(SORTS, n)}&q={_pick(TEXTS, n)}"
        ),
        "API list of one host": lambda n: f"/api/v1/vms?limit=100&host={_pick(hosts, n)['id']}",
        "API VM": lambda n: f"/api/v1/vms/{_pick(vms, n)['id']}",
        "List page, 100 rows, filtered and sorted": lambda n: (
            f"/vms?limit=100&state={_pick(STATES, n)}&sort={_pick(SORTS, n)}&q={_pick(TEXTS, n)}"
        ),
        "Host list page": lambda n: f"/hosts?limit=100&sort={_pick(('name', '-name'), n)}",
        "VM page": lambda n: f"/vms/{_pick(vms, n)['id']}",
        "Palette": lambda n: f"/search?q={quote(_palette_text(_pick(vms, n), n))}",
        "Tree node": lambda n: f"/tree/children?view=hosts&parent={_pick(hosts, n)['id']}",
        "Tree root": lambda n: f"/tree/children?view={_pick(('hosts', 'vms', 'storage', 'networks'), n)}",
    }
    for path in kinds.values():
        # The first answers of a server compile its templates.
        _times(rest, [path(n) for n in range(WARM_UP)])
    return {name: _times(rest, [path(n) for n in range(samples)]) for name, path in kinds.items()}


SORTS = ("name", "-memory", "-cpu", "host", "vcpus", "-name", "state", "-memory_used", "disk", "-state_since")
STATES = ("running", "shutoff", "paused")
TEXTS = ("web", "db-0", "04", "mail", "proxy-00", "server+3")


def _pick(values: Sequence[T], number: int) -> T:
    return values[number % len(values)]


def _palette_text(vm: dict[str, Any], number: int) -> str:
    """What a person types: a part of a name, a UUID, a part of a MAC address, or nothing that exists."""
    texts: tuple[str, ...] = (vm["name"][:7], vm["uuid"], "52:54:00", vm["name"][-7:], "no-such-thing")
    return _pick(texts, number)


def _times(rest: Rest, paths: list[str]) -> Spread:
    values = []
    for path in paths:
        answer = rest.ask("GET", path, headers={"Accept": "text/html, application/json"})
        if answer.status != 200:
            raise LabError(f"GET {path} was answered with status {answer.status}: {answer.body[:300]!r}")
        if answer.server_ms is None:
            raise LabError(f"GET {path} was answered without a Server-Timing header.")
        values.append(answer.server_ms)
    return Spread(tuple(values))
