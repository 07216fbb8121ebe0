"""`vigie demo`: the console over real KVM hosts on this machine, for as long as the command runs."""

import json
import os
import re
import secrets
import shlex
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.lab import registration
from app.lab import state as states
from app.lab.demo.guests import make_guests
from app.lab.errors import LabError, plain_errors
from app.lab.interrupts import Interrupted, ignore_signals, interruptible
from app.lab.lab import Lab
from app.lab.rest import Rest
from app.lab.server import Server, free_port, is_served

USER = "admin"
DEFAULT_PORT = 8600
SYNC_TIMEOUT_S = 60.0
MARKER = ".vigie-demo"


@dataclass(frozen=True)
class DemoHost:
    """A host of the demo; `virsh_uri` reaches it past Vigie."""

    name: str
    address: str
    virsh_uri: str


@dataclass(frozen=True)
class DemoReport:
    """What a person or a program needs to use the demo. `pid` is the demo: SIGTERM to it ends everything."""

    url: str
    user: str
    password: str
    token: str
    hosts: list[DemoHost]
    data_dir: str
    pid: int


@plain_errors
def demo(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where the server keeps its data; kept afterwards. Default: temporary."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the console. Default: 8600, or a free one.")
    ] = None,
    hosts: Annotated[int, typer.Option(min=1, max=12, help="How many KVM hosts.")] = 3,
    guests: Annotated[
        bool, typer.Option("--guests/--no-guests", help="Eight guests in every state, or none.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready.")] = False,
) -> None:
    """Run the console over real KVM hosts on this machine; Ctrl-C ends and removes all. Needs root."""
    with suppress(Interrupted), interruptible():
        if data_dir is not None:
            _take(data_dir)
        remove_leftovers()
        _say(f"Making {hosts} KVM hosts (a minute the first time, seconds afterwards) …", as_json)
        lab = Lab.up(hosts, lab_id=f"d{os.getpid()}")
        server = None
        try:
            server = _make_server(lab, data_dir, port)
            report = _bring_up(lab, server, guests, as_json)
            typer.echo(json.dumps(asdict(report)) if as_json else _welcome(report, server, lab))
            while not server.has_ended():
                time.sleep(0.25)
            raise LabError(f"The server ended by itself; see {server.log if data_dir else 'its log'}.")
        except Interrupted:
            _say("Ending the server and the hosts …", as_json)
        finally:
            ignore_signals()
            if server is not None:
                server.stop()
            lab.down()


def remove_leftovers() -> None:
    """Remove the labs of demos that were killed: a lab's id says which process made it."""
    for state in states.all_labs():
        maker = re.fullmatch(r"d(\d+)", state.id)
        if maker and not _is_demo(int(maker.group(1))):
            Lab(state).down()


def _is_demo(pid: int) -> bool:
    """Whether this process is a demo (the numbers of processes are used again)."""
    try:
        return b"demo" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _make_server(lab: Lab, data_dir: Path | None, port: int | None) -> Server:
    """The server, not started. Without a directory it lives in the lab's own, and goes with it."""
    directory = lab.state.data / "server" if data_dir is None else data_dir.resolve()
    if port:
        wanted = free_port(port)
        if wanted != port:
            raise LabError(f"Port {port} is taken; choose another with --port, or 0 for a free one.")
    elif port is None:
        wanted = free_port(DEFAULT_PORT)
    else:
        wanted = free_port()
    # A console that shows changes fast is worth more here than a quiet one.
    return Server(directory, port=wanted, settings={"refresh_s": 5.0})


def _take(directory: Path) -> None:
    """Make the directory ready; the database of an earlier demo in it goes, for its hosts are gone.

    Raises LabError for a directory with a Vigie that is not a demo's, or that runs.
    """
    marker = directory / MARKER
    if (directory / "vigie.db").exists() and not marker.exists():
        raise LabError(f"{directory} holds a Vigie that is no demo; choose another --data-dir.")
    if is_served(directory):
        raise LabError(f"A Vigie runs on {directory}; end it first, or choose another --data-dir.")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    marker.touch()
    for pattern in ("vigie.db*", "tasks.db*", "server.log"):
        for path in directory.glob(pattern):
            path.unlink()


def _bring_up(lab: Lab, server: Server, with_guests: bool, as_json: bool) -> DemoReport:
    """Make guests, start the server, register all hosts, and return once it has seen everything."""
    guests = 0
    if with_guests:
        _say("Making eight guests with virsh …", as_json)
        guests = make_guests(lab)
    _say("Starting the server and registering the hosts …", as_json)
    server.prepare()
    password = secrets.token_urlsafe(12)
    token = registration.make_administrator(server, USER, password)
    server.start()
    with Rest(server.url, token) as rest:
        registration.register_hosts(rest, lab)
        _wait_until_seen(rest, len(lab.hosts), guests)
    return DemoReport(
        url=server.url,
        user=USER,
        password=password,
        token=token,
        hosts=[DemoHost(host.name, host.address, host.virsh_uri) for host in lab.hosts],
        data_dir=str(server.directory),
        pid=os.getpid(),
    )


def _wait_until_seen(rest: Rest, hosts: int, guests: int) -> None:
    deadline = time.monotonic() + SYNC_TIMEOUT_S
    while rest.total("/hosts", connection="connected") < hosts or rest.total("/vms") < guests:
        if time.monotonic() > deadline:
            raise LabError(
                f"The server did not see {hosts} hosts and {guests} guests in {SYNC_TIMEOUT_S:g} s."
            )
        time.sleep(0.1)


def _welcome(report: DemoReport, server: Server, lab: Lab) -> str:
    vigie = _executable()
    lines = ["", f"  Vigie     {report.url}", f"  user      {report.user}", f"  password  {report.password}"]
    lines += [f"  token     {report.token}", "", "Its hosts, and how virsh reaches each past Vigie:"]
    lines += [f"  {host.name}  {host.address}  {host.virsh_uri}" for host in report.hosts]
    lines += [
        "",
        "What to try:",
        "  open the console, start mail-01, and watch it boot in its thumbnail",
        f"  virsh -c '{lab.hosts[0].virsh_uri}' suspend web-01     # the page shows it at once",
        f"  {vigie} lab fault --id {lab.state.id} {lab.hosts[-1].name} freeze   # one host hangs, the rest works; thaw undoes it",
        f"  curl -H 'Authorization: Bearer {report.token}' {report.url}/api/v1/vms",
        f"  VIGIE_CONFIG={server.config} {vigie} host list",
        "",
        "Ctrl-C ends the demo and removes all of it.",
    ]
    return "\n".join(lines)


def _executable() -> str:
    """The command that runs this Vigie, as a shell takes it: it need not be on PATH."""
    beside = Path(sys.executable).with_name("vigie")
    if beside.exists():
        return shlex.quote(str(beside))
    return shutil.which("vigie") or "vigie"


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        typer.echo(text)
