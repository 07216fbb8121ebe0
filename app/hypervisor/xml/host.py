"""Reading what libvirt says of a host: capabilities, domain capabilities, system information."""

from __future__ import annotations

from dataclasses import dataclass

from app.hypervisor.xml.read import parse

MAX_MACHINES = 200


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


@dataclass(frozen=True)
class DomainCapabilities:
    """What virConnectGetDomainCapabilities says of the host's CPU as guests see it."""

    cpu_features: tuple[str, ...] = ()


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
        cpu_features=tuple(each.get("name", "") for each in tree.iterfind("host/cpu/feature")),
        iommu=None if iommu is None else iommu.get("support") == "yes",
        domain_types=frozenset(each.get("type", "") for guest in guests for each in guest.iterfind("domain")),
        machine_types=tuple(dict.fromkeys(name for name in names if name))[:MAX_MACHINES],
    )


def read_domain_capabilities(xml: str) -> DomainCapabilities:
    """Parse domain capabilities: the features of the host-model CPU. Raises UnreadableXml.

    Without KVM these would be of an emulated CPU, so they are left out.
    """
    tree = parse(xml, "domainCapabilities")
    if tree.findtext("domain") != "kvm":
        return DomainCapabilities()
    features = tree.iterfind("cpu/mode[@name='host-model']/feature")
    return DomainCapabilities(
        tuple(each.get("name", "") for each in features if each.get("policy") in ("require", "force"))
    )


def read_cpu_name(xml: str) -> str | None:
    """The processor's marketing name from sysinfo. Raises UnreadableXml."""
    for entry in parse(xml, "sysinfo").iterfind("processor/entry[@name='version']"):
        if entry.text and entry.text.strip():
            return entry.text.strip()[:120]
    return None
