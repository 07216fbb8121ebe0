"""From a specification and a host to a VM config: every id resolved, every gap filled, every field checked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from app.access.context import Ctx
from app.access.find import known
from app.core.errors import Conflict, InvalidInput
from app.core.hosts.capabilities import HostCapabilities
from app.core.library.os_variants import OsVariant
from app.core.messages import N_
from app.core.storage.volumes import is_same_format
from app.core.vms import vm_defaults
from app.core.vms.config import CpuPlan, DiskPlan, VmConfig
from app.core.vms.create.spec import GIB, CpuSpec, VmSpec
from app.db.models import Host, Pool
from app.db.models import HostCapabilities as HostCapabilitiesRow
from app.hypervisor.osinfo import os_variants
from app.services.storage.volumes.checks.content_checks import require_usable
from app.services.storage.volumes.locks import locks_of
from app.services.vms.create.disk_planner import RAW, Source, plan_disks, volume_on
from app.services.vms.create.nic_planner import plan_nics
from app.services.vms.names import refuse_taken_name
from app.tasks.locks import require_unlocked

HOST_CAPABILITIES = TypeAdapter(HostCapabilities)
LEAST_MEMORY = GIB


@dataclass(slots=True)
class Draft:
    """A VM as far as it is planned. `warnings` are sentences for people; `sources` say what volumes are made of."""

    config: VmConfig
    os_variant: OsVariant | None
    capabilities: HostCapabilities
    warnings: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    cloud_init_drive: dict[str, str] | None = None  # texts for cloud-init


def draft(ctx: Ctx, spec: VmSpec, host: Host, *, name: str | None = None) -> Draft:
    """The config of a VM on this host. Raises InvalidInput naming the field, Conflict for a taken name."""
    name = name or spec.name
    refuse_taken_name(ctx, host, name)
    capabilities = capabilities_of(ctx, host)
    os_variant = os_variant_of(spec)
    machine = one_of("machine", spec.machine, capabilities.machines) or vm_defaults.machine_for(
        os_variant, capabilities
    )
    hypervisor = _hypervisor(spec, capabilities)
    firmware = one_of("firmware", spec.firmware, capabilities.firmwares) or vm_defaults.firmware_for(
        os_variant, capabilities
    )
    disks, sources = plan_disks(
        ctx, spec.disks, host, name, machine=machine, os_variant=os_variant, capabilities=capabilities
    )
    memory = memory_of(spec, os_variant)
    vm_draft = Draft(
        VmConfig(
            uuid=str(uuid.uuid4()),
            name=name,
            title=spec.title,
            os_uri=os_variant.uri if os_variant else None,
            hypervisor=hypervisor,
            arch=capabilities.arch,
            machine=machine,
            cpu=_cpu(spec.cpu, hypervisor, capabilities),
            memory_bytes=memory,
            memory_max_bytes=max(spec.memory_max_bytes or memory, memory),
            huge_pages=spec.huge_pages,
            firmware=firmware,
            tpm=spec.tpm,
            disks=tuple(disks),
            nics=tuple(plan_nics(ctx, spec, host, machine=machine, os_variant=os_variant)),
            boot=_boot(spec, disks),
            **_kernel(ctx, spec, host),
            graphics=_graphics(spec, capabilities),
            video=one_of("video", spec.video, capabilities.video_models)
            or vm_defaults.video_for(os_variant, spec.graphics, capabilities),
            serial=spec.serial,
            guest_agent=spec.guest_agent,
            rng=spec.rng and capabilities.rng,
            watchdog=spec.watchdog,
            sound=spec.sound,
        ),
        os_variant,
        capabilities,
        sources=sources,
    )
    _check_whole(ctx, spec, host, vm_draft)
    return vm_draft


def capabilities_of(ctx: Ctx, host: Host) -> HostCapabilities:
    """What the host offers. Raises Conflict (host_unread) when that was not read yet."""
    row = ctx.session.get(HostCapabilitiesRow, host.id)
    if row is None:
        raise Conflict(
            N_("What this host can give to VMs is not known yet."),
            hint=N_("Wait until Vigie has read the host, a moment after it connected."),
            code="host_unread",
        )
    return HOST_CAPABILITIES.validate_python(row.capabilities)


def os_variant_of(spec: VmSpec) -> OsVariant | None:
    """The guest's system. Raises InvalidInput (os)."""
    if spec.os is None:
        return None
    found = os_variants().get(spec.os)
    if found is None:
        raise InvalidInput(
            "os",
            N_("names no system in osinfo-db"),
            hint=N_("Leave it out, or install a newer osinfo-db on Vigie's machine."),
        )
    return found


def memory_of(spec: VmSpec, os_variant: OsVariant | None) -> int:
    """Bytes of memory: as asked, else as the system recommends."""
    requested = spec.memory_bytes or (os_variant.memory_bytes if os_variant else None) or LEAST_MEMORY
    return requested // 1024 * 1024


def one_of(field_name: str, wanted: str | None, offered: tuple[str, ...]) -> str | None:
    """The wanted one, if the host offers it. Raises InvalidInput."""
    if wanted is None or wanted in offered:
        return wanted
    raise InvalidInput(
        field_name,
        N_("is not offered by this host; it has: %(offered)s"),
        params={"offered": ", ".join(offered[:30]) or "–"},
    )


def _hypervisor(spec: VmSpec, capabilities: HostCapabilities) -> str:
    if spec.acceleration == "kvm" and capabilities.hypervisor != "kvm":
        raise InvalidInput(
            "acceleration",
            N_("the host has no KVM"),
            hint=N_("Choose auto; the VM then runs emulated, which is slow."),
        )
    return (
        "qemu" if spec.acceleration == "tcg" and capabilities.hypervisor == "kvm" else capabilities.hypervisor
    )


def _cpu(spec: CpuSpec, hypervisor: str, capabilities: HostCapabilities) -> CpuPlan:
    maximum = spec.vcpus_max or spec.vcpus
    if maximum > capabilities.vcpus_max:
        field_name = "cpu.vcpus_max" if spec.vcpus_max else "cpu.vcpus"
        raise InvalidInput(
            field_name, N_("must be at most %(most)d on this host"), params={"most": capabilities.vcpus_max}
        )
    mode = spec.mode or vm_defaults.cpu_mode_for(hypervisor, capabilities)
    check_cpu("cpu.mode", "cpu.model", mode, spec.model, capabilities)
    parts = (spec.sockets, spec.cores, spec.threads)
    topology = (parts[0] or 1, parts[1] or 1, parts[2] or 1) if any(parts) else None
    return CpuPlan(vcpus=spec.vcpus, vcpus_max=maximum, topology=topology, mode=mode, model=spec.model)


def check_cpu(
    mode_field: str, model_field: str, mode: str, model: str | None, capabilities: HostCapabilities
) -> None:
    """Raise InvalidInput for a mode that the host does not offer, or a model that it cannot run."""
    if mode != "default" and mode not in capabilities.cpu_modes:
        raise InvalidInput(
            mode_field,
            N_("is not offered by this host; it has: %(offered)s"),
            params={"offered": ", ".join(capabilities.cpu_modes) or "–"},
        )
    known = {cpu_model.name: cpu_model.usable for cpu_model in capabilities.cpu_models}
    if model is not None and not known.get(model, False):
        rule = (
            N_("needs features that this host's CPU lacks")
            if model in known
            else N_("is not known on this host")
        )
        raise InvalidInput(model_field, rule)


def check_has(capabilities: HostCapabilities, *, tpm: bool | None, huge_pages: bool | None) -> None:
    """Raise InvalidInput for what is wanted and the host has not."""
    if tpm and not capabilities.tpm:
        raise InvalidInput(
            "tpm", N_("the host has no emulated TPM"), hint=N_("Install swtpm and swtpm-tools on the host.")
        )
    if huge_pages and not capabilities.huge_page_sizes:
        raise InvalidInput(
            "huge_pages", N_("the host has no huge pages"), hint=N_("Reserve some: vm.nr_hugepages.")
        )


def _graphics(spec: VmSpec, capabilities: HostCapabilities) -> str:
    if spec.graphics != "none" and spec.graphics not in capabilities.graphics:
        raise InvalidInput(
            "graphics",
            N_("is not offered by this host; it has: %(offered)s"),
            params={"offered": ", ".join(capabilities.graphics) or "–"},
        )
    return spec.graphics


def _boot(spec: VmSpec, disks: list[DiskPlan]) -> tuple[str, ...]:
    """The order for the firmware: an empty disk lets a CD start, a disk with a system starts itself."""
    explicit = any(disk.boot_order for disk in spec.disks) or any(nic.boot_order for nic in spec.nics)
    if explicit or spec.kernel is not None:
        return ()
    order = ["network"] if spec.boot_from_network else []
    order += ["hd"] if any(disk.device == "disk" for disk in disks) else []
    order += ["cdrom"] if any(disk.device == "cdrom" and disk.path for disk in disks) else []
    return tuple(order)


def _kernel(ctx: Ctx, spec: VmSpec, host: Host) -> dict[str, str | None]:
    if spec.kernel is None:
        return {}
    requested = spec.kernel
    initrd = requested.initrd_volume_id
    return {
        "kernel_path": _boot_file(ctx, host, "kernel.kernel_volume_id", requested.kernel_volume_id),
        "initrd_path": _boot_file(ctx, host, "kernel.initrd_volume_id", initrd) if initrd else None,
        "command_line": requested.command_line,
    }


def _boot_file(ctx: Ctx, host: Host, field_name: str, volume_id: str) -> str:
    """The path of a volume that QEMU reads byte by byte. Raises InvalidInput, Busy, VolumeRefused."""
    volume = volume_on(ctx, host, field_name, volume_id)
    require_unlocked(ctx, reads=locks_of(ctx.session, known(ctx, Pool, volume.pool_id), volume.name))
    recorded = require_usable(ctx, volume, host.id)
    if not is_same_format(recorded, RAW):
        raise InvalidInput(
            field_name,
            N_("must be raw; the recorded format of the volume is %(format)s"),
            params={"format": recorded},
        )
    return volume.path


def _check_whole(ctx: Ctx, spec: VmSpec, host: Host, vm_draft: Draft) -> None:
    """Rules that look at the VM as a whole, and warnings about what is allowed but may disappoint."""
    plan, capabilities = vm_draft.config, vm_draft.capabilities
    total = host.memory_bytes or 0
    if total and plan.memory_max_bytes > total:
        raise InvalidInput(
            "memory_bytes", N_("must be at most %(most)d MiB on this host"), params={"most": total // 1024**2}
        )
    check_has(capabilities, tpm=spec.tpm, huge_pages=spec.huge_pages)
    if plan.firmware == "efi-secure" and vm_defaults.MODERN not in (plan.machine or ""):
        raise InvalidInput("firmware", N_("Secure Boot needs the machine type q35"))
    if spec.rng and not capabilities.rng:
        vm_draft.warnings.append(ctx.translate(N_("The host has no random number device; the VM gets none.")))
    if plan.hypervisor == "qemu":
        vm_draft.warnings.append(ctx.translate(N_("The VM runs emulated, without KVM: it will be slow.")))
    if plan.cpu.mode == "host-passthrough":
        vm_draft.warnings.append(
            ctx.translate(
                N_("With the host's CPU passed through, it can move only to hosts with the same CPU.")
            )
        )
    if host.cpus and plan.cpu.vcpus > host.cpus:
        vm_draft.warnings.append(
            ctx.say(N_("It has more vCPUs than the host has CPUs (%(cpus)d)."), {"cpus": host.cpus})
        )
    os_variant = vm_draft.os_variant
    if os_variant and os_variant.memory_bytes and plan.memory_bytes < os_variant.memory_bytes:
        vm_draft.warnings.append(
            ctx.say(
                N_("%(system)s recommends at least %(memory)d MiB of memory."),
                {"system": os_variant.name, "memory": os_variant.memory_bytes // 1024**2},
            )
        )
    if spec.cloud_init and not any(source.image for source in vm_draft.sources):
        vm_draft.warnings.append(
            ctx.translate(
                N_("No disk is made from an image: cloud-init works only if the guest has it installed.")
            )
        )
