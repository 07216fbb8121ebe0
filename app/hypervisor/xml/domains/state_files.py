"""What a VM keeps on its host beside its disks."""

from __future__ import annotations

from dataclasses import dataclass

from app.hypervisor.xml.domains.read import parse


@dataclass(frozen=True, slots=True)
class StateFiles:
    """UEFI variables and the state of an emulated TPM."""

    nvram: str | None = None  # path
    tpm: bool = False


def read_state_files(xml: str) -> StateFiles:
    """What the definition names. Raises UnreadableXml."""
    tree = parse(xml, "domain")
    nvram = (tree.findtext("os/nvram") or "").strip() or None
    backend = tree.find("devices/tpm/backend")
    return StateFiles(nvram, backend is not None and backend.get("type") == "emulator")
