"""Files that QEMU loads for a guest without a boot loader."""

from __future__ import annotations

from app.hypervisor.xml.domains.files import normal
from app.hypervisor.xml.domains.read import parse


def boot_files(xml: str) -> list[str]:
    """Paths of the kernel, the initrd and the device tree that a definition names. Raises UnreadableXml."""
    found = parse(xml, "domain").xpath("os/kernel | os/initrd | os/dtb")
    return [normal(text) for item in found if (text := (item.text or "").strip())]  # type: ignore[union-attr]
