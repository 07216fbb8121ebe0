"""What pages call fixed values that have no title in `app.core`: message ids by group and value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.core.messages import N_

_FIRMWARE = {"bios": "BIOS", "efi": "UEFI", "efi-secure": N_("UEFI with Secure Boot")}
_ON_GUEST_HANG = {
    "none": N_("none"),
    "reset": N_("resets it"),
    "poweroff": N_("powers it off"),
    "shutdown": N_("shuts it down"),
    "pause": N_("pauses it"),
    "inject-nmi": N_("injects an NMI"),
}

TITLES: dict[str, dict[str, str]] = {
    "role": {"viewer": N_("Viewer"), "operator": N_("Operator"), "administrator": N_("Administrator")},
    "outcome": {"ok": N_("Accepted"), "refused": N_("Refused"), "failed": N_("Error")},
    "via": {"page": N_("page"), "api": N_("API"), "cli": N_("command line"), "system": N_("Vigie itself")},
    "credential": {
        "ssh_key": N_("SSH key"),
        "ssh_password": N_("SSH password"),
        "tls": N_("TLS certificate"),
    },
    "transport": {
        "ssh": N_("SSH"),
        "tls": N_("TLS"),
        "local": N_("local socket"),
        "simulated": N_("simulated"),
    },
    "image_state": {"ready": N_("Ready"), "importing": N_("is being read"), "failed": N_("refused")},
    "image_kind": {"iso": "ISO", "disk": N_("disk")},
    "volume_user": {"vm": N_("VM"), "volume": N_("Volume"), "image": N_("Image")},
    "network_mode": {
        # Modes of plans and forward modes of libvirt, whose `bridge` is a bridge, Open vSwitch or macvtap.
        "nat": N_("NAT"),
        "route": N_("Routed"),
        "isolated": N_("Isolated"),
        "open": N_("Open"),
        "bridge": N_("Host bridge"),
        "macvtap": N_("macvtap"),
        "openvswitch": N_("Open vSwitch"),
        "hostdev": N_("SR-IOV"),
        "private": N_("macvtap, private"),
        "vepa": N_("macvtap, VEPA"),
        "passthrough": N_("macvtap, passthrough"),
    },
    "nwfilter_action": {"accept": N_("Allow"), "drop": N_("Drop"), "reject": N_("Reject")},
    "nwfilter_direction": {
        "in": N_("to the guest"),
        "out": N_("from the guest"),
        "inout": N_("both ways"),
    },
    "nwfilter_default": {"accept": N_("allowed"), "drop": N_("dropped"), "": N_("not decided here")},
    "nwfilter_family": {"ipv4": "IPv4", "ipv6": "IPv6"},
    "nwfilter_protocol": {"all": N_("all")},
    "console": {"vnc": N_("screen"), "serial": N_("serial port")},
    "definition": {"saved": N_("Definition"), "live": N_("What runs now")},
    "kvm": {"True": N_("usable"), "False": N_("not usable: guests are emulated")},
    "cpu_mode": {
        "host-model": N_("Like the host, can migrate to such hosts"),
        "host-passthrough": N_("The host's own, migrates to equal hosts only"),
        "maximum": N_("All that can be emulated"),
        "custom": N_("The model chosen beside"),
    },
    "firmware": _FIRMWARE,
    "watchdog": _ON_GUEST_HANG,
    "new_disk": {
        "new": N_("New disk"),
        "image": N_("Disk from an image"),
        "volume": N_("Existing volume"),
        "media": N_("CD drive"),
    },
    "pending": {
        "added": N_("added at the next power-off"),
        "removed": N_("removed at the next power-off"),
    },
    "room": {"memory": N_("Memory")},
}


@dataclass(frozen=True, slots=True)
class Titles:
    """The titles in one language."""

    translate: Callable[[str], str]

    def __call__(self, value: object, group: str) -> str:
        """What pages call a value of a group; a value without a title stands as it is."""
        title = TITLES[group].get(str(value if value is not None else ""))
        return self.translate(title) if title else str(value or "")
