"""`vigie bench`: speed and memory beside bare libvirt-python, as tables in Markdown."""

import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import libvirt
import typer

from app.lab.bench.answers import server_times
from app.lab.bench.consoles import CONSOLES, FRAME_BYTES, FRAMES_PER_S, run_consoles
from app.lab.bench.fleets import VMS, Bare, Served, run_bare, run_vigie, wait_until_synced
from app.lab.bench.measure import Spread, table, until
from app.lab.bench.real_hosts import BrowserFigures, SickHostFigures, run_lab
from app.lab.bench.servers import serving
from app.lab.bench.vms import DEVICES, MIB, VERSIONS, run_vms
from app.lab.errors import LabError, plain_errors
from app.lab.fleets.fleet import Fleet
from app.lab.interrupts import Interrupted, interruptible
from app.lab.rest import Rest

PARTS = ("fleets", "dead", "lab", "consoles", "vms")
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    sizes: Sequence[int]
    steady_s: float
    samples: int
    rounds: int


FULL = Extent((10, 100, 1000, 2500), steady_s=45, samples=60, rounds=20)
QUICK = Extent((10, 100), steady_s=0, samples=12, rounds=5)


@plain_errors
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Small fleets and few samples; minutes become one.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help=f"Only this part; one of: {', '.join(PARTS)}.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Put the tables between the markers of this file.")
    ] = None,
) -> None:
    """Measure this machine: simulated fleets up to 45,000 VMs, and real hosts (needs root)."""
    unknown = set(only or ()) - set(PARTS)
    if unknown:
        raise LabError(f"There is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    extent = QUICK if quick else FULL
    report = [_machine(quick)]
    payload: dict[str, Callable[[Extent], str]] = {
        "fleets": fleets,
        "dead": dead_hosts,
        "lab": real_hosts,
        "consoles": consoles,
        "vms": vms,
    }
    typer.echo(report[0])
    try:
        with interruptible():
            for part in only or PARTS:
                report.append(payload[part](extent))
                typer.echo(report[-1])
    except Interrupted as interrupted:
        raise typer.Exit(128 + interrupted.number) from None
    if write is not None:
        put_between_markers(write, "\n".join(report))


def fleets(extent: Extent) -> str:
    """Bare libvirt and Vigie on each size of fleet."""
    results: list[tuple[int, Bare, Served]] = []
    for hosts in extent.sizes:
        typer.echo(f"{hosts:,} hosts …", err=True)
        fleet = Fleet.up(hosts, VMS)
        try:
            results.append(
                (hosts, run_bare(fleet, extent.steady_s), run_vigie(fleet, extent.steady_s, extent.samples))
            )
        finally:
            fleet.down()
    return f"### First sync, load and memory\n\n{_sync_table(results)}\n### Server time, p50 / p95 in ms\n\n{_times_table(results)}"


def dead_hosts(extent: Extent) -> str:
    """Server times of 100 simulated hosts in health, and with 10 of them frozen."""
    fleet = Fleet.up(100, VMS, victims=10)
    try:
        with serving(fleet) as (server, token, _):
            server.start()
            with Rest(server.url, token) as rest:
                wait_until_synced(rest, fleet)
                healthy = server_times(rest, extent.samples)
                fleet.freeze()
                until(
                    lambda: rest.total("/hosts", connection="not_answering") == 10,
                    "10 dead hosts noticed",
                    120,
                )
                return f"### 10 of 100 simulated hosts dead, ms\n\n{_beside(healthy, server_times(rest, extent.samples))}"
    finally:
        fleet.down()


def real_hosts(extent: Extent) -> str:
    """Latencies to a browser and detection times on the lab's three hosts."""
    in_browser, sick = run_lab(extent.rounds, extent.samples)
    return (
        f"### Three real hosts\n\n{_lab_table(in_browser, sick)}\n"
        f"### One of three real hosts frozen, ms\n\n{_beside(sick.healthy_times, sick.frozen_times)}"
    )


def consoles(extent: Extent) -> str:
    """What the console proxy adds to a round trip, and what many consoles cost."""
    found = run_consoles(10 * extent.rounds, 5 if extent.steady_s == 0 else 20)
    added = Spread(tuple(value - found.direct.p50 for value in found.proxied.values))
    trips = {
        "to the display on the host itself": found.direct,
        "to the display through Vigie and SSH": found.proxied,
        "its overhead over the median of the former": added,
    }
    rows = [[name, len(item.values), item.p50, item.p95] for name, item in trips.items()]
    film = f"{CONSOLES} consoles, each with {FRAME_BYTES * FRAMES_PER_S // 1000} kB/s and 10 keys/s"
    loads = [["no console", found.idle.cpu_share * 100], [film, found.busy.cpu_share * 100]]
    return (
        f"### Consoles\n\n{table(['Round trip of 8 bytes', 'n', 'p50 ms', 'p95 ms'], rows)}\n"
        f"{table(['Vigie with', '% of one core'], loads)}"
    )


def vms(extent: Extent) -> str:
    """Creation and upload beside virsh, and pages of a VM with much on it."""
    full = extent.steady_s > 0
    found = run_vms(max(extent.rounds // 2, 3), extent.samples, (64, 512) if full else (32,))
    over = Spread(tuple(value - found.virsh_create.p50 for value in found.api_create.values))
    created = {
        "`virsh`: volume over an image, define, start": found.virsh_create,
        "the same by Vigie's API until it says running": found.api_create,
        "its overhead over the median of the former": over,
        "page of a VM": found.page,
        "its hardware": found.hardware_page,
        "its history": found.history_page,
    }
    sent = [
        [
            f"{upload.size // MIB} MiB by {upload.transport}",
            upload.size / MIB / upload.socket_s,
            upload.size / MIB / upload.virsh_s,
            upload.size / MIB / upload.vigie_s,
            upload.virsh_s / upload.vigie_s,
            upload.grown_mib,
        ]
        for upload in found.uploads
    ]
    rows = [[name, len(item.values), item.p50, item.p95] for name, item in created.items()]
    heads = [
        "Upload of",
        "virsh, own socket MiB/s",
        "virsh MiB/s",
        "Vigie MiB/s",
        "ratio",
        "Vigie grew by MiB",
    ]
    return (
        f"### VMs\n\nThe pages are of a VM with {DEVICES} devices and {VERSIONS} versions; server time.\n\n"
        f"{table(['What', 'n', 'p50 ms', 'p95 ms'], rows)}\n"
        f"{table(heads, sent)}"
    )


def put_between_markers(path: Path, text: str) -> None:
    """Replace what the file has between its markers. Raises LabError when it has none."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LabError(f"{path} lacks the markers {BEGIN.strip()} and {END.strip()}.")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _machine(quick: bool) -> str:
    number = libvirt.getVersion()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=10, check=False
    ).stdout.strip()
    command = f"vigie bench{' --quick' if quick else ''}"
    return (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, libvirt {number // 1_000_000}.{number // 1000 % 1000}, SQLite.\n"
    )


def _sync_table(results: Sequence[tuple[int, Bare, Served]]) -> str:
    heads = ["Hosts / VMs", "bare sync s", "Vigie sync s", "ratio", "from process start s"]
    heads += ["bare CPU %", "Vigie CPU %", "bare MiB", "Vigie MiB", "stop s"]
    return table(heads, [_sync_row(*result) for result in results])


def _sync_row(hosts: int, bare: Bare, served: Served) -> list[object]:
    sync_s = served.first_sync_s - served.empty_start_s
    loads = (bare.load, served.load)
    return [
        f"{hosts:,} / {hosts * VMS:,}",
        bare.first_sync_s,
        sync_s,
        sync_s / bare.first_sync_s,
        served.first_sync_s,
        *(load and load.cpu_share * 100 for load in loads),
        *(load and load.memory_mib for load in loads),
        served.stop_s,
    ]


def _times_table(results: Sequence[tuple[int, Bare, Served]]) -> str:
    names = list(results[0][2].times)
    rows = [[name, *(_both(served.times[name]) for _, _, served in results)] for name in names]
    return table(["Answer", *(f"{hosts * VMS:,} VMs" for hosts, _, _ in results)], rows)


def _beside(healthy: dict[str, Spread], sick: dict[str, Spread]) -> str:
    rows = [
        [name, _both(good), _both(sick[name]), sick[name].p50 / good.p50, sick[name].p95 / good.p95]
        for name, good in healthy.items()
    ]
    return table(["Answer", "healthy p50 / p95", "sick p50 / p95", "ratio p50", "ratio p95"], rows)


def _lab_table(figures: BrowserFigures, sick: SickHostFigures) -> str:
    virsh = figures.virsh_start.p50
    overhead = Spread(tuple(value - virsh for value in figures.api_start_to_dom.values))
    rows = {
        "`virsh start`": figures.virsh_start,
        "start by API until the browser shows running": figures.api_start_to_dom,
        "its overhead over the median `virsh start`": overhead,
        "virsh command begun until the browser shows its effect": figures.virsh_change_to_dom,
        "libvirtd frozen until the host is shown not answering": sick.frozen_noticed,
        "libvirtd thawed until the host is back": sick.thawed_seen,
        "libvirtd killed until the host is shown not answering": sick.dead_seen,
        "libvirtd started until the host is back": sick.returned_seen,
    }
    return table(
        ["What", "n", "p50 ms", "p95 ms"],
        [[name, len(item.values), item.p50, item.p95] for name, item in rows.items()],
    )


def _both(spread: Spread) -> str:
    return f"{spread.p50:.1f} / {spread.p95:.1f}"
