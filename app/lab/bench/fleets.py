"""The benchmark on simulated fleets: bare libvirt-python and Vigie on the same hosts, one after the other."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from app.lab.bench.answers import server_times
from app.lab.bench.measure import Load, Spread, load_of, until
from app.lab.bench.servers import serving
from app.lab.errors import LabError
from app.lab.fleets.fleet import Fleet
from app.lab.rest import Rest

VMS = 18
# Tried 1, 2, 4, 8 and 16 on 1,000 hosts and 2 cores: 13.3, 10.1, 8.0, 7.2 and 6.6 s. The fastest is the yardstick.
BARE_THREADS = 16
SYNC_TIMEOUT_S = 900.0
SETTLE_S = 25.0


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
    message = json.loads(done.stdout)
    expected = fleet.state.hosts * fleet.state.vms
    if message["vms"] != expected:
        raise LabError(f"Bare libvirt saw {message['vms']} VMs instead of {expected}.")
    load = None if message["cpu_share"] is None else Load(message["cpu_share"], message["rss_kib"] / 1024)
    return Bare(message["first_sync_s"], load)


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
        connected = rest.total("/hosts", connection="connected") >= alive
        return connected and rest.total("/vms") >= alive * fleet.state.vms

    until(synced, f"{alive} hosts in sync", SYNC_TIMEOUT_S, 0.25)
