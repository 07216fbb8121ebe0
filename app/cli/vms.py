"""`vigie vm`: virtual machines, created, started, stopped and listed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from app.access.context import Ctx
from app.cli import vm_hardware
from app.cli.names import VmName, host_named, vm_named
from app.cli.runtime import AsJson, joined, opened, operator, plain_errors, reading, show
from app.cli.sizes import bytes_of, disk_of
from app.cli.tasks import NoWait, follow
from app.core.errors import InvalidInput
from app.core.records import Page
from app.core.specs import MAX_LIMIT
from app.core.tasks.records import BulkRecord
from app.core.vms.create.spec import VmBatch, VmSpec
from app.core.vms.delete import DeleteSpec
from app.core.vms.power import VmVerb
from app.core.vms.records import VmRecord
from app.core.vms.specs import ActionOptions, VmQuery
from app.services.vms import power, vms
from app.services.vms.create import create
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm

vm = typer.Typer(no_args_is_help=True, help="Virtual machines.")
vm.add_typer(vm_hardware.commands)  # without a name: they are commands of `vigie vm`
COLUMNS = ("name", "state", "host_name", "vcpus", "memory_bytes", "id")


@vm.command("list")
@plain_errors
def list_(
    text: Annotated[str, typer.Argument(help="Only those that match.")] = "", as_json: AsJson = False
) -> None:
    """List VMs as last seen."""
    found: list[VmRecord] = []
    with reading() as ctx:
        vm_query = VmQuery(limit=MAX_LIMIT, q=text or None)
        while True:
            part: Page[VmRecord] = vms.list_vms(ctx, vm_query)
            found += part.items
            if part.next is None:
                break
            vm_query = vm_query.model_copy(update={"cursor": part.next})
    show(found, COLUMNS, as_json=as_json)


@vm.command("show")
@plain_errors
def show_(name: VmName, as_json: AsJson = False) -> None:
    """Show a VM."""
    with reading() as ctx:
        show(vms.show_vm(ctx, vm_named(ctx, name).id), COLUMNS, as_json=as_json)


@vm.command("create")
@plain_errors
def create_vm(
    name: Annotated[str | None, typer.Argument(help="Its name; with --count, ## stands for the number.")] = None,
    spec: Annotated[
        str | None, typer.Option(help="File with a specification as the API takes it, JSON or YAML; - reads it from standard input.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Name of the host; unset: the best.")] = None,
    os: Annotated[str | None, typer.Option(help="System of the guest, such as debian11.")] = None,
    vcpus: Annotated[int | None, typer.Option(help="Virtual processors.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory, such as 2G or 512M.")] = None,
    disk: Annotated[list[str] | None, typer.Option(help="A new disk as POOL:SIZE; may be repeated.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="Network by name; may be repeated.")] = None,
    count: Annotated[int, typer.Option(help="How many.")] = 1,
    first: Annotated[int, typer.Option(help="First number.")] = 1,
    start: Annotated[bool | None, typer.Option("--start/--no-start", help="Start it when it is made.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the XML that would be defined.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Create a VM, or several; options win over the specification."""
    given: dict[str, Any] = _read(spec) if spec else {}
    given |= {
        key: value for key, value in {"name": name, "os": os, "start": start}.items() if value is not None
    }
    if vcpus is not None:
        given["cpu"] = {**given.get("cpu", {}), "vcpus": vcpus}
    if memory is not None:
        given["memory_bytes"] = bytes_of("memory", memory)
    given["disks"] = [*given.get("disks", []), *map(disk_of, disk or [])]
    given["nics"] = [*given.get("nics", []), *({"network": item} for item in network or [])]
    with opened() as services:
        if host is not None:
            with services.database.read() as session:
                given["host_id"] = host_named(Ctx(services, session, operator()), host)
        batch = VmBatch(spec=VmSpec.model_validate(given), count=count, first=first)
        if dry_run:
            with services.database.read() as session:
                one = batch.spec.model_copy(update={"name": batch.names()[0]})
                typer.echo(create.preview_vm(Ctx(services, session, operator()), one).xml)
            return
        with services.database.begin() as session:
            done = create.create_many(Ctx(services, session, operator()), batch)
        print_refusal(done)
        follow(services, done.tasks, no_wait=no_wait, as_json=as_json)
    if done.refused:
        raise typer.Exit(1)


@vm.command("power")
@plain_errors
def power_vms(
    verb: Annotated[VmVerb, typer.Argument(help="What to do.")],
    names: Annotated[list[str], typer.Argument(help="Names, UUIDs or ids of VMs.")],
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Start, shut down, pause… VMs."""
    with opened() as services:
        with services.database.begin() as session:
            ctx = Ctx(services, session, operator())
            requested = [power.act(ctx, vm_named(ctx, name).id, verb, ActionOptions()) for name in names]
        follow(services, requested, no_wait=no_wait, as_json=as_json)


@vm.command("delete")
@plain_errors
def delete_vm(
    name: VmName,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Also its disks that nothing else uses; they cannot come back.")
    ] = False,
    force_off: Annotated[bool, typer.Option("--force-off", help="Cut its power first when it runs.")] = False,
    keep_nvram: Annotated[bool, typer.Option("--keep-nvram", help="Keep its UEFI variables.")] = False,
    keep_tpm: Annotated[bool, typer.Option("--keep-tpm", help="Keep the state of its TPM.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Delete a VM. It can be undeleted for a while, without its deleted disks."""
    with opened() as services:
        with services.database.read() as session:
            ctx = Ctx(services, session, operator())
            vm_id = vm_named(ctx, name).id
            found = delete.preview_delete(ctx, vm_id)
        own = [disk for disk in found.disks if disk.own and disk.volume] if volumes else []
        if not yes:
            typer.echo(f"{found.vm.name} on {found.host.name} is deleted.", err=True)
            for disk in own:
                typer.echo(f"Deleted for good: {disk.path}", err=True)
            typer.confirm("Go on?", abort=True, err=True)
        removal_spec = DeleteSpec(
            volumes=[disk.volume.id for disk in own if disk.volume],
            force_off=force_off,
            keep_nvram=keep_nvram,
            keep_tpm=keep_tpm,
        )
        with services.database.begin() as session:
            task = delete.delete_vm(Ctx(services, session, operator()), vm_id, removal_spec)
        follow(services, [task], no_wait=no_wait, as_json=as_json)


@vm.command("undelete")
@plain_errors
def undelete(
    name: Annotated[str, typer.Argument(help="Name or id of a deleted VM.")],
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Define a deleted VM again, as it was; disks that were deleted with it are not there."""
    with opened() as services:
        with services.database.begin() as session:
            ctx = Ctx(services, session, operator())
            deleted = delete.list_deleted(ctx).items
            found = next((item for item in deleted if name in (item.name, item.id, item.uuid)), None)
            if found is None:
                raise InvalidInput("name", "names no deleted VM that can be undeleted")
            task = undelete_vm(ctx, found.id)
        follow(services, [task], no_wait=no_wait, as_json=as_json)


def print_refusal(done: BulkRecord) -> None:
    """Print what was not begun, and why."""
    for item in done.refused:
        problem = item.problem
        typer.echo(f"vigie: {item.vm.name}: {joined(problem.title, problem.why, problem.hint)}", err=True)


def _read(path: str) -> dict[str, Any]:
    text = sys.stdin.read() if path == "-" else Path(path).read_text()
    try:
        found = yaml.safe_load(text)  # JSON is YAML too
    except (yaml.YAMLError, RecursionError):
        raise InvalidInput("spec", "is neither JSON nor YAML") from None
    if not isinstance(found, dict):
        raise InvalidInput("spec", "must be one specification, with names and values")
    return found
