"""What libvirt-python itself needs for a fleet: the yardstick of the benchmark. Run as a process of its own.

It does the least that a console must: open every host, list its VMs, ask each for its state and its XML.
`python -m app.lab.bench.bare URIS_FILE THREADS STEADY_S` prints one line of JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirt

REFRESH_S = 20.0


def main() -> None:
    """Measure and print."""
    uris = Path(sys.argv[1]).read_text().split()
    threads, steady_s = int(sys.argv[2]), float(sys.argv[3])
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with ThreadPoolExecutor(threads) as pool:
        begun = time.monotonic()
        hosts = list(pool.map(_open_and_read, uris))
        first_sync_s = time.monotonic() - begun
        refreshes = _refresh_for(steady_s, lambda: list(pool.map(_refresh, [host for host, _ in hosts])))
        print(  # noqa: T201  the answer to whoever started this process
            json.dumps(
                {
                    "first_sync_s": first_sync_s,
                    "vms": sum(count for _, count in hosts),
                    "cpu_share": refreshes,
                    "rss_kib": _resident_kib(),
                }
            ),
            flush=True,
        )
    for host, _ in hosts:
        host.close()


def _open_and_read(uri: str) -> tuple[libvirt.virConnect, int]:
    host = libvirt.open(uri)
    domains = host.listAllDomains()
    for domain in domains:
        domain.state()
        domain.XMLDesc()
    return host, len(domains)


def _refresh(host: libvirt.virConnect) -> int:
    return sum(domain.state()[0] for domain in host.listAllDomains())


def _refresh_for(seconds: float, refresh: Callable[[], object]) -> float | None:
    """Refresh every 20 s for so long; return the share of one core that it took."""
    if not seconds:
        return None
    begun, used = time.monotonic(), time.process_time()
    wait = threading.Event().wait
    while time.monotonic() - begun < seconds:
        started = time.monotonic()
        refresh()
        wait(max(0.0, REFRESH_S - (time.monotonic() - started)))
    return (time.process_time() - used) / (time.monotonic() - begun)


def _resident_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
