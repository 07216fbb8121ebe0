"""Reading what libvirt says of a host: capabilities, domain capabilities, system information."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.hosts.capabilities import CpuModel, HostCapabilities
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.write import Element

MAX_MACHINES = 200
MAX_MODELS = 300


@dataclass(frozen=True)
class Capabilities:
    """What virConnectGetCapabilities says, as far as it is used."""

    uuid: str
    arch: str
    cpu_vendor: str | None
    cpu_model: str | None
    cpu_features: tuple[str, ...]
    iommu: bool | None
    domain_types: frozenset[str]
    machine_types: tuple[str, ...]


def read_capabilities(xml: str) -> Capabilities:
    """Parse capabilities. Raises UnreadableXml."""
    tree = parse(xml, "capabilities")
    arch = tree.findtext("host/cpu/arch") or ""
    iommu = tree.find("host/iommu")
    guests = [guest for guest in tree.iterfind("guest/arch") if not arch or guest.get("name") == arch]
    names = (machine.text or "" for guest in guests for machine in guest.iterfind("machine"))
    return Capabilities(
        uuid=tree.findtext("host/uuid") or "",
        arch=arch,
        cpu_vendor=tree.findtext("host/cpu/vendor"),
        cpu_model=tree.findtext("host/cpu/model"),
        cpu_features=tuple(item.get("name", "") for item in tree.iterfind("host/cpu/feature")),
        iommu=None if iommu is None else iommu.get("support") == "yes",
        domain_types=frozenset(item.get("type", "") for guest in guests for item in guest.iterfind("domain")),
        machine_types=tuple(dict.fromkeys(name for name in names if name))[:MAX_MACHINES],
    )


def read_guest_features(xml: str) -> tuple[str, ...]:
    """Features of the host-model CPU that domain capabilities tell of. Raises UnreadableXml.

    Without KVM these would be of an emulated CPU, so they are left out.
    """
    tree = parse(xml, "domainCapabilities")
    if tree.findtext("domain") != "kvm":
        return ()
    features = tree.iterfind("cpu/mode[@name='host-model']/feature")
    return tuple(
        feature.get("name", "") for feature in features if feature.get("policy") in ("require", "force")
    )


def read_domain_capabilities(
    xml: str, machines: tuple[str, ...], huge_page_sizes: tuple[int, ...]
) -> HostCapabilities:
    """What domain capabilities say that a VM can have. Raises UnreadableXml."""
    tree = parse(xml, "domainCapabilities")
    models = tree.find("cpu/mode[@name='custom'][@supported='yes']")
    host_model = tree.find("cpu/mode[@name='host-model'][@supported='yes']/model")
    return HostCapabilities(
        hypervisor=tree.findtext("domain") or "",
        arch=tree.findtext("arch") or "",
        machine=tree.findtext("machine") or "",
        machines=machines,
        vcpus_max=int(_attribute(tree, "vcpu", "max") or 1),
        firmwares=_firmwares(tree),
        cpu_modes=tuple(
            mode.get("name", "") for mode in tree.iterfind("cpu/mode") if mode.get("supported") == "yes"
        ),
        cpu_models=tuple(
            CpuModel(model.text or "", model.get("usable") != "no")
            for model in ([] if models is None else models.iterfind("model"))
        )[:MAX_MODELS],
        host_model=None if host_model is None else host_model.text,
        disk_buses=_values(tree, "devices/disk", "bus"),
        video_models=_values(tree, "devices/video", "modelType"),
        graphics=_values(tree, "devices/graphics", "type"),
        tpm="emulator" in _values(tree, "devices/tpm", "backendModel"),
        rng=bool(_values(tree, "devices/rng", "model")),
        filesystems=_values(tree, "devices/filesystem", "driverType"),
        huge_page_sizes=huge_page_sizes,
    )


def read_huge_pages(xml: str) -> tuple[int, ...]:
    """Sizes, in bytes, of the huge pages that a host's capabilities list with any page reserved."""
    tree = parse(xml, "capabilities")
    normal = 4096
    found = {
        int(page.get("size", "0")) * 1024
        for page in tree.iterfind("host/topology/cells/cell/pages")
        if (page.text or "0").strip() not in ("", "0")
    }
    return tuple(sorted(size for size in found if size > normal))


def _firmwares(tree: Element) -> tuple[str, ...]:
    """`efi` where libvirt finds a firmware by itself; `efi-secure` where one of them enforces Secure Boot."""
    found = ["bios"]
    if "efi" in _values(tree, "os", "firmware"):
        found.append("efi")
        if "yes" in _values(tree, "os/loader", "secure"):
            found.append("efi-secure")
    return tuple(found)


def _values(tree: Element, path: str, name: str) -> tuple[str, ...]:
    """The values of an enum of a part that is supported."""
    part = tree.find(path)
    if part is None or part.get("supported") == "no":
        return ()
    return tuple(value.text or "" for value in part.iterfind(f"enum[@name='{name}']/value"))


def _attribute(tree: Element, path: str, name: str) -> str | None:
    part = tree.find(path)
    return None if part is None else part.get(name)


def read_cpu_name(xml: str) -> str | None:
    """The processor's marketing name from sysinfo. Raises UnreadableXml."""
    for entry in parse(xml, "sysinfo").iterfind("processor/entry[@name='version']"):
        if entry.text and entry.text.strip():
            return entry.text.strip()[:120]
    return None
