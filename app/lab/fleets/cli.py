"""`vigie lab fleet`: simulated fleets from the command line."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.lab.errors import plain_errors
from app.lab.fleets import nodes
from app.lab.fleets.fleet import Fleet, FleetState, all_fleets

app = typer.Typer(
    no_args_is_help=True, help="Thousands of simulated hosts, by libvirt's test driver. No root needed."
)

Id = Annotated[str | None, typer.Option("--id", help="Which fleet, when there are several.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, with every host's name and URI.")]


@app.command()
@plain_errors
def up(
    hosts: Annotated[int, typer.Option(help="How many hosts, 1 to 9999.")] = 100,
    vms: Annotated[int, typer.Option(help="VMs on each.")] = 18,
    victims: Annotated[int, typer.Option(help="How many of the hosts can be frozen or killed.")] = 0,
    dead: Annotated[int, typer.Option(help="As --victims, and frozen from the start.")] = 0,
    directory: Annotated[Path | None, typer.Option("--dir", help="Where files and sockets go.")] = None,
    as_json: Json = False,
) -> None:
    """Make a fleet; it stays until `vigie lab fleet down`."""
    fleet = Fleet.up(hosts, vms, directory, victims=dead or victims, frozen=dead > 0)
    _show(fleet, as_json)


@app.command()
@plain_errors
def down(
    fleet_id: Id = None,
    everything: Annotated[bool, typer.Option("--all", help="Every fleet of this user.")] = False,
) -> None:
    """End a fleet and remove every trace of it. Nothing to do is no error."""
    found: list[FleetState] = all_fleets()
    if found and not everything:
        found = [Fleet.attach(fleet_id).state]
    for state in found:
        Fleet(state).down()


@app.command()
@plain_errors
def status(as_json: Json = False) -> None:
    """Show fleets."""
    found = all_fleets()
    for state in found:
        _show(Fleet(state), as_json)
    if not found:
        typer.echo("No fleet is up; `vigie lab fleet up` makes one.")


@app.command()
@plain_errors
def freeze(fleet_id: Id = None) -> None:
    """Freeze the victims: they take connections and answer nothing."""
    Fleet.attach(fleet_id).freeze()


@app.command()
@plain_errors
def thaw(fleet_id: Id = None) -> None:
    """Undo `freeze`."""
    Fleet.attach(fleet_id).thaw()


@app.command()
@plain_errors
def kill(fleet_id: Id = None) -> None:
    """Kill the victims: connections break and new ones are refused."""
    Fleet.attach(fleet_id).kill()


@app.command()
@plain_errors
def start(fleet_id: Id = None) -> None:
    """Undo `kill`; the victims are as they were made."""
    Fleet.attach(fleet_id).start()


def _show(fleet: Fleet, as_json: bool) -> None:
    state = fleet.state
    if as_json:
        hosts = [
            {"name": nodes.host_name(number), "uri": fleet.uri(number), "victim": fleet.is_victim(number)}
            for number in range(1, state.hosts + 1)
        ]
        typer.echo(json.dumps({**state.model_dump(mode="json"), "members": hosts}))
        return
    size = f"{state.hosts} hosts of {state.vms} VMs, {state.victims} victims"
    typer.echo(f"Fleet {state.id}: {size}, files in {state.directory}")
    typer.echo(f"  first: {fleet.uri(1)}")
    typer.echo(f"  last:  {fleet.uri(state.hosts)}")
