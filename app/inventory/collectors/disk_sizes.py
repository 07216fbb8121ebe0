"""Sizes of the disks of running VMs, from statistics: libvirt sends no event for a resize."""

from __future__ import annotations

from app.core.inventory.usage import UsageSample


class DiskSizes:
    """Compares each sample of a host with the one before. One lane alone uses it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int | None, int]] = {}  # by UUID: run and size of all disks

    def changed(self, sample: UsageSample) -> bool:
        """Whether the disks of a VM have another size than in the sample before, in the same run."""
        before, now = self._known, {}
        for vm in sample.vms:
            if vm.disk_capacity_bytes is not None:
                now[vm.uuid] = vm.domain_id, vm.disk_capacity_bytes
            elif vm.uuid in before:
                now[vm.uuid] = before[vm.uuid]
        self._known = now
        return any(
            run == now[uuid][0] and size != now[uuid][1]
            for uuid, (run, size) in before.items()
            if uuid in now
        )
