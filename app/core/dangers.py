"""What in a definition lets a guest, or whoever changes it, reach its host. Each needs the privilege vm.danger."""

from __future__ import annotations

from app.core.messages import N_

DANGERS: dict[str, str] = {
    "emulator": N_("a program of its own as emulator"),
    "command_line": N_("arguments that are given to QEMU as they are"),
    "host_path": N_("files of the host outside its storage pools"),
    "host_device": N_("devices of the host"),
    "filesystem": N_("folders of the host that are shared with the guest"),
    "kernel": N_("a kernel from a file of the host"),
    "network_disk": N_("a disk on another machine"),
    "seclabel": N_("security labels of its own"),
}
