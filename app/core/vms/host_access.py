"""What in a definition lets a guest, or whoever changes it, reach its host. Each needs the privilege vm.host-access."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from app.core.messages import N_

HOST_ACCESS_KINDS: dict[str, str] = {
    "emulator": N_("a program of its own as emulator"),
    "command_line": N_("arguments that are given to QEMU as they are"),
    "host_path": N_("files of the host outside its storage pools"),
    "host_device": N_("devices of the host"),
    "filesystem": N_("filesystems of the host that are shared with the guest"),
    "kernel": N_("a kernel from a file of the host"),
    "network_disk": N_("a disk on another machine"),
    "connection": N_("connections to programs of the host, or from it to other machines"),
    "seclabel": N_("security labels of its own"),
}
# Those that are paths.
PATHS = frozenset({"host_path", "kernel"})


def host_access_of(reaches: Iterable[Sequence[str]], places: Collection[str]) -> list[str]:
    """The kinds of host access that a VM has, in the order of HOST_ACCESS_KINDS.

    `reaches`: see core.vms.observations.DefinitionObservation. `places` are the directories of the host's storage pools,
    and devices that are volumes.
    """
    found = {key for key, _ in outside(reaches, places)}
    return [key for key in HOST_ACCESS_KINDS if key in found]


def outside(reaches: Iterable[Sequence[str]], places: Collection[str]) -> Iterator[tuple[str, str]]:
    """What of it is host access: all but files in the directories of pools, and volumes."""
    inside = tuple(f"{place.rstrip('/')}/" for place in places)
    for key, what in reaches:
        if key not in PATHS or climbs(what) or not (what in places or what.startswith(inside)):
            yield key, what


def climbs(path: str) -> bool:
    """Whether the path leaves a directory by way of its parent: its beginning says nothing then."""
    return "/../" in path or path.endswith("/..")
