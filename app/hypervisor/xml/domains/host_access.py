"""Find the host access in a definition (core.vms.host_access)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator

from lxml import etree

from app.core.vms.host_access import climbs
from app.hypervisor.xml.write import Element

_EMULATORS = ("/usr/bin/qemu-system-", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm", "/usr/bin/kvm")
# Where disks, kernels and media may lie without being in a pool; read-only ones also where packages put theirs.
_DISKS = ("/var/lib/libvirt/images/", "/var/lib/libvirt/boot/")
_READ_ONLY = (*_DISKS, "/usr/share/")
_FIRMWARE = ("/usr/share/",)
_VARIABLES = ("/var/lib/libvirt/qemu/nvram/",)
# Sockets that QEMU makes itself. Those beside them, such as monitors of other VMs, are nobody's to connect to.
_CHANNELS = ("/var/lib/libvirt/qemu/channel/", "/run/libvirt/qemu/", "/var/run/libvirt/qemu/")
_OWN_SOCKET = re.compile(r"/(var/lib|var/run|run)/libvirt/qemu/[^/]+/(vnc|spice)\.sock")
_PORTS = frozenset({"serial", "parallel", "console", "channel", "redirdev", "smartcard"})
_PORTS_WITH_PATHS = frozenset({"file", "pipe", "dev", "unix"})
# What stays between QEMU and whoever looks at the VM through libvirt. Ports of other types lead elsewhere.
_OWN_PORTS = frozenset({"pty", "null", "vc", "spicevmc", "spiceport", "qemu-vdagent"})
# Types of disks whose sources are paths or volumes, which are looked at for themselves.
_LAYERS = frozenset({"file", "block", "dir", "volume"})
_RENDERERS = ("/dev/dri/render",)
_TAPS = ("/dev/net/tun", "/dev/vhost-net")
_RANDOM = ("/dev/random", "/dev/urandom", "/dev/hwrng")
# Devices that name nothing of the host, or paths only. Interfaces are judged by what they are plugged into.
_HARMLESS = frozenset(
    {
        *(
            "controller",
            "hub",
            "video",
            "sound",
            "watchdog",
            "memballoon",
            "panic",
            "memory",
            "iommu",
            "vsock",
        ),
        *("nvram", "redirfilter", "crypto", "pstore", "interface"),
    }
)
# Types of other devices that do neither.
_HARMLESS_TYPES = {
    "input": frozenset({"mouse", "tablet", "keyboard"}),
    "graphics": frozenset({"vnc", "spice", "egl-headless"}),
    "audio": frozenset({"none", "spice", "file"}),
}


def read_reaches(tree: Element) -> tuple[tuple[str, str], ...]:
    """What a definition names of its host: see core.vms.observations.DefinitionObservation."""
    found: list[tuple[str, str]] = []
    for child in tree:
        if child.tag.startswith("{"):  # of libvirt's namespaces for what it does not know itself
            found.append(("command_line", _print(child)))
        elif child.tag == "seclabel" and child.get("type") in ("none", "static"):
            found.append(("seclabel", _print(child)))
        elif child.tag == "os":
            found += (
                ("kernel", path)
                for path in _outside(map(child.findtext, ("kernel", "initrd", "dtb", "shim")), _DISKS)
            )
            found += (("host_path", path) for path in _firmware_of(child))
        elif child.tag == "sysinfo":
            found += (("host_path", path) for path in _outside((item.get("file") for item in child), ()))
        elif child.tag == "devices":
            for device in child:
                key = _access_of(device)
                if key is not None:
                    found.append((key, _print(device)))
                found += (("host_path", path) for path in _paths_of(device))
    return tuple(dict.fromkeys(found))


def _print(element: Element) -> str:
    """A fingerprint of what an element says."""
    return hashlib.sha256(etree.tostring(element, method="c14n", with_tail=False)).hexdigest()[:16]


def _outside(paths: Iterable[str | None], own: tuple[str, ...]) -> Iterator[str]:
    """The paths that are not in one of these directories, where they belong to the VM."""
    for path in paths:
        cleaned = (path or "").strip()
        if cleaned and (climbs(cleaned) or not cleaned.startswith(own)):
            yield cleaned


def _firmware_of(os: Element) -> Iterator[str]:
    """Files of firmware elsewhere than packages put them, and ACPI tables: QEMU reads and, of variables, writes them."""
    yield from _outside([os.findtext("loader")], _FIRMWARE)
    for variables in os.iterfind("nvram"):
        yield from _outside([variables.get("template")], _FIRMWARE)
        yield from _outside(
            [variables.text, *(source.get("file") for source in variables.iter("source"))], _VARIABLES
        )
    yield from _outside((item.text for item in os.iterfind("acpi/table")), ())


def _access_of(device: Element) -> str | None:
    """What kind of host access a device is, apart from paths that it names: what is not known to be harmless is one."""
    tag, kind = device.tag, device.get("type")
    if tag == "emulator":
        program = (device.text or "").strip()
        return "emulator" if program and not program.startswith(_EMULATORS) else None
    if tag == "interface" and kind == "hostdev":
        return "host_device"
    if tag in _HARMLESS:
        return None
    if tag in _HARMLESS_TYPES:
        return None if kind in _HARMLESS_TYPES[tag] else "host_device"
    if tag == "smartcard" and device.get("mode") != "passthrough":
        return "host_device"
    if tag in _PORTS:
        return None if (kind or "pty") in _OWN_PORTS | _PORTS_WITH_PATHS else "connection"
    judge = _DANGERS_BY_TAG.get(tag)
    return "host_device" if judge is None else judge(device)


def _access_of_disk(disk: Element) -> str | None:
    """By the types of the disk and of all layers under it. A `lun` takes commands for the device itself."""
    layers = [disk, *disk.iter("backingStore", "mirror", "dataStore")]
    kinds = {layer.get("type", "file") for layer in layers}
    if "vhostuser" in kinds:
        return "connection"
    if not kinds <= _LAYERS | {"network"} or disk.get("device") == "lun":
        return "host_device"
    return "network_disk" if "network" in kinds else None


def _access_of_tpm(tpm: Element) -> str | None:
    backend = tpm.find("backend")
    kind = None if backend is None else backend.get("type")
    if kind == "external":
        return "connection"
    return None if kind == "emulator" else "host_device"


def _access_of_rng(rng: Element) -> str | None:
    backend = rng.find("backend")
    return None if backend is None or backend.get("model") in ("random", "builtin") else "connection"


_DANGERS_BY_TAG: dict[str, Callable[[Element], str | None]] = {
    "disk": _access_of_disk,
    "tpm": _access_of_tpm,
    "rng": _access_of_rng,
    "filesystem": lambda _: "filesystem",
    "shmem": lambda _: (
        "connection"
    ),  # by its name it may be anybody's memory, and its server anybody's socket
}


def is_read_only(disk: Element) -> bool:
    """Whether the guest cannot write to the disk, or what lies in the drive."""
    return disk.get("device") == "cdrom" or disk.find("readonly") is not None


def paths_in(source: Element) -> Iterator[str | None]:
    """What a disk's source names as a path, in whatever way."""
    return (source.get(name) for name in ("file", "dev", "dir", "path"))


def _paths_of(device: Element) -> Iterator[str]:
    """Paths elsewhere than they belong, that a device names: a disk with all its layers, a port, a log and others."""
    if device.tag == "disk":
        read_only = is_read_only(device)
        for source in device.iter("source"):
            yield from _outside(paths_in(source), _READ_ONLY if read_only else _DISKS)
    elif device.tag in _PORTS and device.get("type") in _PORTS_WITH_PATHS:
        for source in device.iterfind("source"):
            own = _CHANNELS if source.get("mode") == "bind" else ()
            yield from _outside([source.get("path")], own)
    elif device.tag == "audio":
        yield from _outside([device.get("path")], ())
    elif device.tag == "memory":
        yield from _outside([device.findtext("source/path")], ())
    elif device.tag == "rng":
        yield from _outside((item.text for item in device.iterfind("backend[@model='random']")), _RANDOM)
    elif device.tag == "tpm":
        yield from _outside((item.get("path") for item in device.iterfind("backend/source")), ())
    elif device.tag == "pstore":
        yield from _outside([device.findtext("path")], _VARIABLES)
    elif device.tag == "graphics":
        sockets = [device.get("socket"), *(item.get("socket") for item in device.iterfind("listen"))]
        yield from (path for path in sockets if path and not _OWN_SOCKET.fullmatch(path))
        yield from _outside((item.get("rendernode") for item in device.iterfind("gl")), _RENDERERS)
    elif device.tag == "video":
        yield from _outside(
            (acceleration.get("rendernode") for acceleration in device.iter("acceleration")), _RENDERERS
        )
    elif device.tag == "interface":
        for backend in device.iterfind("backend"):
            yield from _outside([backend.get("tap"), backend.get("vhost"), backend.get("logFile")], _TAPS)
    yield from _outside((item.get("file") for item in device.iterfind("log")), ())
