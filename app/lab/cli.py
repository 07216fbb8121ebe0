"""`vigie lab`: labs from the command line."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.lab import state as states
from app.lab.errors import LabError, plain_errors
from app.lab.fleets import cli as fleet
from app.lab.guests.guest import MEMORY_MIB, MIN_MEMORY_MIB
from app.lab.hosts import namespace
from app.lab.lab import Lab, parse_range, registry, require_root
from app.lab.process import SYSTEM_ENVIRONMENT
from app.lab.status import LabStatus, lab_status
from app.lab.sweep import sweep

app = typer.Typer(
    no_args_is_help=True, help="Real KVM hosts on this machine, for tests and demos. Needs root."
)
app.add_typer(fleet.app, name="fleet")

Id = Annotated[str | None, typer.Option("--id", help="Which lab, when there are several.")]
Directory = Annotated[Path | None, typer.Option("--dir", help="Where disks, keys and logs go.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
TARGETED = {"kill-qemu": "vm", "freeze-qemu": "vm", "fill-pool": "pool", "free-pool": "pool"}
PLAIN = (
    *("stop-daemon", "kill-daemon", "start-daemon", "thaw", "new-identity"),
    *("cut", "cut-in", "cut-out", "heal", "kill-host"),
)
FAULTS = ("freeze", *PLAIN, "boot-host", *TARGETED)
HostName = Annotated[str, typer.Argument(metavar="HOST", help="Name of a host, such as kvm-01.")]


@app.command()
@plain_errors
def up(
    hosts: Annotated[int, typer.Option(help="How many hosts, 1 to 60.")] = 3,
    directory: Directory = None,
    lab_id: Id = None,
    address_range: Annotated[
        str | None, typer.Option("--range", help="IPv4 range that is unused here; default 198.18.0.0/15.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a lab; its hosts stay until `vigie lab down`."""
    chosen = parse_range(address_range) if address_range else None
    _show(lab_status(Lab.up(hosts, directory, lab_id=lab_id, address_range=chosen)), as_json)


@app.command()
@plain_errors
def down(
    lab_id: Id = None,
    directory: Directory = None,
    everything: Annotated[bool, typer.Option("--all", help="Every lab on this machine.")] = False,
) -> None:
    """End a lab and remove every trace of it, also after a crash. Nothing to do is no error."""
    require_root()
    for state in states.choose_labs(lab_id, directory, everything=everything):
        Lab(state).down()
    with registry():
        sweep()


@app.command()
@plain_errors
def status(lab_id: Id = None, directory: Directory = None, as_json: Json = False) -> None:
    """Show labs, hosts and guests."""
    found = [states.find_lab(lab_id, directory)] if lab_id or directory else states.all_labs()
    reports = [lab_status(Lab(state)) for state in found]
    if as_json:
        typer.echo(json.dumps([report.model_dump() for report in reports]))
        return
    for report in reports:
        _show(report, as_json=False)
    if not reports:
        typer.echo("No lab is up; `vigie lab up` makes one.")


@app.command("exec", context_settings={"ignore_unknown_options": True})
@plain_errors
def execute(host: HostName, command: Annotated[list[str], typer.Argument()], lab_id: Id = None) -> None:
    """Run a command inside a host, as its root: vigie lab exec kvm-01 -- virsh list"""
    require_root()
    inside = namespace.inside_command(Lab.attach(lab_id).host(host).init_pid, command)
    os.chdir("/")
    sys.stdout.flush()
    environment = {**SYSTEM_ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")}
    os.execvpe(inside[0], inside, environment)


@app.command()
@plain_errors
def guest(
    host: HostName,
    name: Annotated[str, typer.Argument(help="Name of the VM; anything that libvirt takes.")],
    start: Annotated[bool, typer.Option(help="Start it as well.")] = False,
    pool: Annotated[str, typer.Option(help="local, or shared by all hosts.")] = "local",
    memory_mib: Annotated[int, typer.Option(min=MIN_MEMORY_MIB, help="Memory.")] = MEMORY_MIB,
    deaf: Annotated[bool, typer.Option(help="It ignores the power button.")] = False,
    lab_id: Id = None,
) -> None:
    """Define a tiny guest on a host, with virsh."""
    spec = (
        Lab.attach(lab_id)
        .host(host)
        .create_guest(name, start=start, pool=pool, memory_mib=memory_mib, deaf=deaf)
    )
    typer.echo(spec.uuid)


@app.command()
@plain_errors
def fault(
    host: HostName,
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(FAULTS)}.")],
    target: Annotated[str | None, typer.Argument(help="The VM or the pool, where the fault has one.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="freeze: every process, not just libvirtd.")
    ] = False,
    lab_id: Id = None,
) -> None:
    """Make something go wrong on a host, or right again."""
    machine = Lab.attach(lab_id).host(host)
    if kind == "freeze":
        machine.freeze(everything=everything)
    elif kind == "boot-host":
        machine.boot()
    elif kind in TARGETED and target is not None:
        getattr(machine, kind.replace("-", "_"))(target)
    elif kind in PLAIN and target is None:
        getattr(machine, kind.replace("-", "_"))()
    elif kind in TARGETED:
        raise LabError(
            f"{kind} needs {TARGETED[kind]}: vigie lab fault {host} {kind} {TARGETED[kind].upper()}."
        )
    else:
        raise LabError(f"There is no fault {kind!r} of that form; see vigie lab fault --help.")


def _show(report: LabStatus, as_json: bool) -> None:
    if as_json:
        typer.echo(report.model_dump_json())
        return
    typer.echo(f"Lab {report.id}: {report.subnet}, {report.accelerator}, files in {report.directory}")
    typer.echo(f"  ssh -i {report.ssh_private_key} {report.ssh_user}@ADDRESS")
    for host in report.hosts:
        alive = "up" if host.alive else "down"
        typer.echo(f"  {host.name}  {host.address}  {alive}, libvirtd {host.daemon}  {host.virsh_uri}")
        for item in host.guests or []:
            typer.echo(f"    {item.name!r}: {item.state}")
