"""Commands of `vigie vm` for the hardware and the definition of one VM."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app.access.context import Ctx
from app.cli.names import VmName, vm_named
from app.cli.runtime import AsJson, opened, operator, plain_errors, reading, show
from app.cli.sizes import bytes_of, disk_of
from app.cli.tasks import NoWait, follow
from app.core.errors import InvalidInput
from app.core.tasks.records import TaskRecord
from app.core.vms.compute import ComputePatch, ResourcesPatch
from app.core.vms.create.spec import DiskSpec, NicSpec
from app.core.vms.devices import HardwarePatch, RenameSpec
from app.services.vms.definitions import definitions
from app.services.vms.hardware import show_hardware
from app.services.vms.reconfigure import compute_request, devices_request
from app.services.vms.reconfigure.rename import rename_vm

commands = typer.Typer()
VERSIONS = ("id", "since", "actor", "current", "task_id")
COMPUTE = ("cpu_mode", "cpu_model", "firmware", "graphics", "video", "watchdog", "tpm", "boot")


@commands.command("hardware")
@plain_errors
def hardware_(name: VmName, as_json: AsJson = False) -> None:
    """Show the hardware of a VM as its saved definition has it."""
    with reading() as ctx:
        show(show_hardware(ctx, vm_named(ctx, name).id), COMPUTE, as_json=as_json)


@commands.command("set")
@plain_errors
def set_(
    name: VmName,
    vcpus: Annotated[int | None, typer.Option(help="Now, up to the maximum.")] = None,
    vcpus_max: Annotated[int | None, typer.Option(help="After the next power-off.")] = None,
    memory: Annotated[str | None, typer.Option(help="Now, up to the maximum, such as 2G.")] = None,
    memory_max: Annotated[str | None, typer.Option(help="After the next power-off.")] = None,
    title: Annotated[str | None, typer.Option(help="One line about it.")] = None,
    boot: Annotated[str | None, typer.Option(help="Disks and MAC addresses, first to last, such as vda,sda.")] = None,
    compute_: Annotated[
        list[str] | None,
        typer.Option("--compute", help="NAME=VALUE of a compute setting, such as firmware=efi; may be repeated."),
    ] = None,
    resources: Annotated[
        list[str] | None,
        typer.Option("--resources", help="NAME=VALUE of shares, limits or pinning, such as cpu_shares=2048; may be repeated."),
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change hardware: at once where the hypervisor can, else after the next power-off; the task says which."""
    plain: dict[str, object] = {"vcpus": vcpus, "vcpus_max": vcpus_max, "title": title}
    plain |= {
        "memory_bytes": bytes_of("memory", memory) if memory else None,
        "memory_max_bytes": bytes_of("memory_max", memory_max) if memory_max else None,
        "boot": boot.replace(",", " ").split() if boot else None,
    }
    given = {key: value for key, value in plain.items() if value is not None}
    work: list[Callable[[Ctx, str], TaskRecord]] = []
    if given:
        patch = HardwarePatch.model_validate(given)
        work.append(lambda ctx, vm_id: devices_request.change_hardware(ctx, vm_id, patch))
    if compute_:
        parts = ComputePatch.model_validate(_pairs("compute", compute_))
        work.append(lambda ctx, vm_id: compute_request.change_compute(ctx, vm_id, parts))
    if resources:
        limits = ResourcesPatch.model_validate(_pairs("resources", resources))
        work.append(lambda ctx, vm_id: compute_request.change_resources(ctx, vm_id, limits))
    if not work:
        raise InvalidInput("set", "needs at least one option")
    for item in work:
        _do(name, item, no_wait=no_wait, as_json=as_json)


@commands.command("rename")
@plain_errors
def rename(
    name: VmName,
    new: Annotated[str, typer.Argument(help="Its new name.")],
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Rename a VM that is off."""
    rename_spec = RenameSpec(name=new)
    _do(name, lambda ctx, vm_id: rename_vm(ctx, vm_id, rename_spec), no_wait=no_wait, as_json=as_json)


@commands.command("add-disk")
@plain_errors
def add_disk(
    name: VmName,
    disk: Annotated[str, typer.Argument(help="A new one as POOL:SIZE, such as default:20G.")],
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Add a disk."""
    requested = DiskSpec.model_validate(disk_of(disk))
    _do(
        name,
        lambda ctx, vm_id: devices_request.add_disk(ctx, vm_id, requested),
        no_wait=no_wait,
        as_json=as_json,
    )


@commands.command("add-nic")
@plain_errors
def add_nic(
    name: VmName,
    network: Annotated[str, typer.Argument(help="Network by name.")],
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Add a network interface."""
    nic_spec = NicSpec(network=network)
    _do(
        name,
        lambda ctx, vm_id: devices_request.add_nic(ctx, vm_id, nic_spec),
        no_wait=no_wait,
        as_json=as_json,
    )


@commands.command("remove-device")
@plain_errors
def remove_device(
    name: VmName,
    device: Annotated[str, typer.Argument(help="A disk by target (vdb) or an interface by MAC address.")],
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Take a disk or interface from a VM; the volume stays."""
    _do(
        name,
        lambda ctx, vm_id: devices_request.remove_device(ctx, vm_id, device.lower()),
        no_wait=no_wait,
        as_json=as_json,
    )


@commands.command("xml")
@plain_errors
def xml(
    name: VmName,
    define: Annotated[
        str | None,
        typer.Option("--define", help="File with a definition to take its place; - reads standard input."),
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Print the saved definition, or define another one."""
    if define is None:
        with reading() as ctx:
            typer.echo(definitions.show_definition(ctx, vm_named(ctx, name).id).saved)
        return
    text = sys.stdin.read() if define == "-" else Path(define).read_text()
    _do(
        name,
        lambda ctx, vm_id: definitions.replace(ctx, vm_id, text, None),
        no_wait=no_wait,
        as_json=as_json,
    )


@commands.command("history")
@plain_errors
def history(
    name: VmName,
    restore: Annotated[int | None, typer.Option(help="Id of the version to restore.")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """List the versions of the definition, whoever made them, or restore one."""
    if restore is None:
        with reading() as ctx:
            show(
                list(definitions.list_versions(ctx, vm_named(ctx, name).id).items), VERSIONS, as_json=as_json
            )
        return
    _do(
        name,
        lambda ctx, vm_id: definitions.restore_version(ctx, vm_id, restore),
        no_wait=no_wait,
        as_json=as_json,
    )


def _do(name: str, ask: Callable[[Ctx, str], TaskRecord], *, no_wait: bool, as_json: bool) -> None:
    with opened() as services:
        with services.database.begin() as session:
            ctx = Ctx(services, session, operator())
            task = ask(ctx, vm_named(ctx, name).id)
        follow(services, [task], no_wait=no_wait, as_json=as_json)


def _pairs(option: str, given: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for item in given:
        key, sign, value = item.partition("=")
        if not sign:
            raise InvalidInput(option, "must be NAME=VALUE")
        found[key] = value
    return found
