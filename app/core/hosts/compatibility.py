"""The compatibility report: what a host can and cannot do for Vigie, with the remedy of each shortcoming.

Pure rules over what was observed. Not known is a warning that says so, never a pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from app.core.hosts.observations import Check, HostFacts
from app.core.hosts.states import Verdict
from app.core.messages import N_
from app.core.storage.observations import PoolObservation
from app.core.vms.observations import VmObservation

# libvirt 6.0 brought what Vigie builds on (NOWAIT statistics, guest info); 9.0 is what it is tested with.
OLDEST_LIBVIRT = (6, 0)
TESTED_LIBVIRT = (9, 0)
MAX_SKEW_WARN_S = 2
MAX_SKEW_FAIL_S = 60
LOW_SPACE = 0.10
NO_SPACE = 0.02
_SWITCH_ON = N_(
    "Switch virtualization on in the firmware setup, or, if the host is itself a VM, nested virtualization in its hypervisor."
)


def report(
    facts: HostFacts, pools: tuple[PoolObservation, ...] | None, vms: Iterable[VmObservation]
) -> tuple[Check, ...]:
    """All checks of a host, in the order in which they are shown. `pools`: None when they were not read."""
    return (
        _virtualization(facts),
        _slat(facts),
        _iommu(facts),
        _kvm(facts),
        _cpu(facts),
        _versions(facts),
        _lock_manager(facts),
        _clock(facts),
        _space(pools),
        _migration(facts),
        _passthrough(vms),
    )


def _pass(key: str, reason: str, **params: str | int | float) -> Check:
    return Check(key, Verdict.PASS, reason, params)


def _warn(key: str, reason: str, remedy: str | None = None, **params: str | int | float) -> Check:
    return Check(key, Verdict.WARN, reason, params, remedy)


def _fail(key: str, reason: str, remedy: str | None = None, **params: str | int | float) -> Check:
    return Check(key, Verdict.FAIL, reason, params, remedy)


def _virtualization(facts: HostFacts) -> Check:
    key = "virtualization"
    names = {"vmx": "Intel VT-x", "svm": "AMD-V"}
    if facts.virtualization:
        return _pass(
            key,
            N_("The processor offers %(name)s."),
            name=names.get(facts.virtualization, facts.virtualization),
        )
    if facts.kvm:
        return _pass(key, N_("The processor virtualizes: KVM is offered."))
    return _fail(
        key,
        N_("The processor shows neither Intel VT-x nor AMD-V."),
        _SWITCH_ON,
    )


def _slat(facts: HostFacts) -> Check:
    key = "slat"
    if facts.slat:
        return _pass(key, N_("Second-level address translation (EPT or NPT) is there."))
    if facts.slat is None and not facts.virtualization and not facts.kvm:
        return _warn(
            key,
            N_(
                "Second-level address translation (EPT or NPT) comes with Intel VT-x or AMD-V, which the processor does not show."
            ),
            _SWITCH_ON,
        )
    if facts.slat is None:
        return _warn(
            key,
            N_(
                "Whether the processor has second-level address translation (EPT or NPT) cannot be told from here."
            ),
            N_(
                "Look for ept or npt in /proc/cpuinfo on the host; Vigie reads it of hosts that are connected by SSH."
            ),
        )
    return _fail(
        key,
        N_("The processor has no second-level address translation (EPT or NPT): memory of VMs will be slow."),
        N_("Use a newer processor, or pass the feature through if the host is itself a VM."),
    )


def _iommu(facts: HostFacts) -> Check:
    key = "iommu"
    if facts.iommu:
        return _pass(key, N_("An IOMMU is active: devices can be passed to VMs."))
    remedy = N_(
        "Switch VT-d or AMD-Vi on in the firmware setup and boot with intel_iommu=on or amd_iommu=on."
    )
    if facts.iommu is None:
        return _warn(key, N_("Whether an IOMMU is active cannot be told from here."), remedy)
    return _warn(key, N_("No IOMMU is active: devices of the host cannot be passed to VMs."), remedy)


def _kvm(facts: HostFacts) -> Check:
    key = "kvm"
    if facts.kvm:
        return _pass(key, N_("KVM can be used."))
    remedy = N_("Load the module kvm_intel or kvm_amd, and let libvirt open /dev/kvm.")
    if facts.kvm is None:
        return _warn(key, N_("Whether KVM can be used cannot be told from here."), remedy)
    return _fail(key, N_("KVM cannot be used: VMs run by emulation only, many times slower."), remedy)


def _cpu(facts: HostFacts) -> Check:
    key = "cpu"
    model = facts.cpu_model or facts.cpu_name
    if not model:
        return _warn(
            key,
            N_("The processor's model is not known to the host's libvirt."),
            N_("Update libvirt on the host; until then, where its VMs can move to cannot be foreseen."),
        )
    return _pass(
        key,
        N_("Processor %(model)s, %(cpus)s CPUs, %(features)s features."),
        model=model,
        cpus=facts.cpus,
        features=len(facts.cpu_features),
    )


def _versions(facts: HostFacts) -> Check:
    key = "versions"
    version = _version(facts.libvirt_version)
    params = {"libvirt": facts.libvirt_version or "?", "hypervisor": facts.hypervisor_version or "?"}
    if version < OLDEST_LIBVIRT:
        return _fail(
            key,
            N_("libvirt %(libvirt)s is too old: Vigie needs 6.0 at least."),
            N_("Update the host's distribution."),
            **params,
        )
    if version < TESTED_LIBVIRT:
        return _warn(
            key,
            N_("libvirt %(libvirt)s with QEMU %(hypervisor)s is older than what Vigie is tested with (9.0)."),
            N_("Update the host's distribution when you can; some functions will not be offered until then."),
            **params,
        )
    return _pass(key, N_("libvirt %(libvirt)s with QEMU %(hypervisor)s."), **params)


def _lock_manager(facts: HostFacts) -> Check:
    key = "lock_manager"
    remedy = N_(
        'Set lock_manager = "lockd" in /etc/libvirt/qemu.conf on every host that shares disks, and restart libvirt.'
    )
    if facts.lock_manager is None:
        return _warn(
            key, N_("Whether a lock manager protects shared disks cannot be told from here."), remedy
        )
    if facts.lock_manager == "none":
        return _warn(
            key,
            N_("No lock manager is on: nothing keeps two hosts from starting VMs on the same disk."),
            remedy,
        )
    return _pass(key, N_("The lock manager %(name)s protects shared disks."), name=facts.lock_manager)


def _clock(facts: HostFacts) -> Check:
    key = "clock"
    remedy = N_("Run a time service such as chrony on the host.")
    if facts.clock_skew_s is None:
        return _warn(key, N_("The host's clock cannot be read from here."), remedy)
    skew = abs(facts.clock_skew_s)
    if skew <= MAX_SKEW_WARN_S:
        return _pass(
            key, N_("The host's clock agrees with Vigie's within %(seconds)s s."), seconds=MAX_SKEW_WARN_S
        )
    verdict = _fail if skew > MAX_SKEW_FAIL_S else _warn
    return verdict(
        key, N_("The host's clock differs from Vigie's by %(seconds)s s."), remedy, seconds=math.ceil(skew)
    )


def _space(pools: tuple[PoolObservation, ...] | None) -> Check:
    key = "space"
    running = [pool for pool in pools or () if pool.state == "running" and pool.capacity_bytes > 0]
    if not running:
        return _warn(
            key,
            N_("No storage pool is running, so the free space is not known."),
            N_("Define a storage pool on the host and start it."),
        )
    share, fullest = min((pool.available_bytes / pool.capacity_bytes, pool.name) for pool in running)
    params: dict[str, str | int | float] = {"pool": fullest, "percent": round(100 * share)}
    remedy = N_("Delete what is not needed, or add storage to the pool.")
    if share < NO_SPACE:
        return _fail(key, N_("The storage pool %(pool)s is full: %(percent)s %% is free."), remedy, **params)
    if share < LOW_SPACE:
        return _warn(
            key, N_("The storage pool %(pool)s is nearly full: %(percent)s %% is free."), remedy, **params
        )
    return _pass(key, N_("The fullest storage pool, %(pool)s, has %(percent)s %% free."), **params)


def _migration(facts: HostFacts) -> Check:
    key = "migration"
    if facts.migration_port_open:
        return _pass(key, N_("The ports for live migration (from 49152) can be reached."))
    remedy = N_("Open TCP ports 49152 to 49215 between the hosts.")
    if facts.migration_port_open is None:
        return _warn(
            key, N_("Whether the ports for live migration can be reached cannot be told from here."), remedy
        )
    return _fail(
        key, N_("The ports for live migration (from 49152) cannot be reached: a firewall drops them."), remedy
    )


def _passthrough(vms: Iterable[VmObservation]) -> Check:
    key = "passthrough"
    risky = sorted(vm.name for vm in vms if vm.definition and vm.definition.cpu_mode == "host-passthrough")
    if not risky:
        return _pass(key, N_("No VM is tied to this host's exact processor."))
    return _warn(
        key,
        N_(
            "%(count)s VMs use host-passthrough, such as %(names)s: they can move live only to an identical processor."
        ),
        N_("Set their CPU mode to host-model, or to a named model that all hosts have."),
        count=len(risky),
        names=", ".join(risky[:3]),
    )


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version; (0, 0) when there are none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
