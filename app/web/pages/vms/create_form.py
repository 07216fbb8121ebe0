"""The form of a new VM and the specification that it describes, one from the other.

Fields are named as in the API (`disks.0.size_gib`), but for those where people use other units; so an error of the
specification finds its place in the form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError

from app.core.errors import InvalidInput, VigieError
from app.core.messages import N_
from app.core.vms.create.spec import GIB, MIB, DiskSpec, NicSpec, VmBatch, VmSpec
from app.web.pages.rendering.forms import Form, FormInvalid, amount_in, broken_rule, broken_rules, shown_in

MAX_ROWS = 16
NEW_DISK = {"kind": "new", "size_gib": "20", "discard": "true"}
NEW_ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "disk": ("disks", NEW_DISK),
    "image": ("disks", {"kind": "image", "discard": "true"}),
    "volume": ("disks", {"kind": "volume", "discard": "true"}),
    "media": ("disks", {"kind": "media"}),
    "nic": ("nics", {"kind": "network", "link_up": "true"}),
}
START = {
    "cpu.vcpus": "2",
    **{f"disks.0.{name}": value for name, value in NEW_DISK.items()},
    "nics.0.kind": "network",
    "nics.0.link_up": "true",
    "graphics": "vnc",
    "serial": "true",
    "guest_agent": "true",
    "rng": "true",
    "start": "true",
    "count": "1",
}
# Names of fields in the form, by those of the specification, where people use other units.
_RENAMED = {"memory_bytes": "memory_mib", "memory_max_bytes": "memory_max_mib", "size_bytes": "size_gib"}
_TEXTS = ("name", "title", "os", "machine", "firmware", "graphics", "video", "watchdog", "notes")
_SWITCHES = (
    "serial",
    "guest_agent",
    "rng",
    "tpm",
    "sound",
    "huge_pages",
    "autostart",
    "start",
    "boot_from_network",
)
_CPU = ("vcpus", "vcpus_max", "sockets", "cores", "threads")
_DISK = ("bus", "cache", "io", "format", "volume_name", "boot_order")
_NIC = ("model", "mac", "vlan", "filter", "portgroup", "boot_order")
_CLOUD = ("hostname", "user", "password", "address", "gateway", "user_data", "user_data_from")
_KERNEL = ("kernel_volume_id", "initrd_volume_id", "command_line")
# Where the error of a whole part is shown.
_PLACES = {
    "": "name",
    "cloud_init": "cloud_init.user_data",
    "cpu": "cpu.vcpus",
    "kernel": "kernel.kernel_volume_id",
}


def rows(values: Iterable[str], kind: str) -> list[int]:
    """Numbers of the rows of disks or interfaces that a form has."""
    found = {int(match[1]) for name in values if (match := re.match(rf"{kind}\.(\d{{1,2}})\.kind$", name))}
    return sorted(found)[:MAX_ROWS]


def with_rows_changed(values: Mapping[str, str], step: str) -> dict[str, str]:
    """The values with a row more (`add-disk`…) or less (`remove-disks-0`); without the password, always."""
    changed = {name: value for name, value in values.items() if name != "cloud_init.password"}
    if step.removeprefix("add-") in NEW_ROWS:
        kind, fields = NEW_ROWS[step.removeprefix("add-")]
        used = rows(changed, kind)
        number = next(number for number in range(MAX_ROWS + 1) if number not in used)
        changed |= {f"{kind}.{number}.{name}": value for name, value in fields.items()}
    if remove := re.fullmatch(r"remove-(disks|nics)-(\d{1,2})", step):
        start = f"{remove[1]}.{remove[2]}."
        changed = {name: value for name, value in changed.items() if not name.startswith(start)}
    return changed


def spec_of(form: Form) -> VmSpec:
    """The specification that the form describes. Raises FormInvalid with the form's names of fields."""
    found: dict[str, object] = {name: form[name] for name in _TEXTS if form[name]}
    found |= {name: form[name] == "true" for name in _SWITCHES}
    found |= {"host_id": form["host_id"] or None, "tags": form.tags}
    found |= {
        "memory_bytes": amount_in(form, "memory_mib", MIB),
        "memory_max_bytes": amount_in(form, "memory_max_mib", MIB),
        "cpu": _cpu(form),
        "disks": [disk_of(form, f"disks.{number}.") for number in rows(form.values, "disks")],
        "nics": [nic_of(form, f"nics.{number}.") for number in rows(form.values, "nics")],
        "cloud_init": _cloud(form) if form["cloud"] == "true" else None,
        "kernel": _filled(form, "kernel.", _KERNEL) or None,
    }
    try:
        return VmSpec.model_validate({name: value for name, value in found.items() if value is not None})
    except ValidationError as error:
        broken = broken_rules(error, whole=True)
        raise FormInvalid([_renamed(item, form) for item in broken]) from None


def batch_of(form: Form, spec: VmSpec) -> VmBatch:
    """The same for several VMs. Raises InvalidInput."""
    try:
        return VmBatch(spec=spec, count=_number(form, "count", 1), first=_number(form, "first", 1))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "name"
        raise broken_rule(field, first) from None


def is_batch(form: Form) -> bool:
    """Whether the form asks for several VMs, or for one with a number in its name."""
    return _number(form, "count", 1) != 1


def named_as_in_form(error: VigieError, form: Form) -> VigieError:
    """The error with the names that the form's fields have."""
    if isinstance(error, FormInvalid):
        return FormInvalid([_renamed(item, form) for item in error.errors])
    return _renamed(error, form) if isinstance(error, InvalidInput) else error


def _renamed(error: InvalidInput, form: Form) -> InvalidInput:
    """The API counts rows from 0; a form may have lost some."""
    name = _PLACES.get(error.field, error.field)
    name = ".".join(_RENAMED.get(part, part) for part in name.split("."))
    if row := re.match(r"(disks|nics)\.(\d+)(.*)", name):
        numbers = rows(form.values, row[1])
        at = int(row[2])
        number = numbers[at] if at < len(numbers) else at
        name = f"{row[1]}.{number}{_shown(row[3], form[f'{row[1]}.{number}.kind'])}"
    return InvalidInput(name, error.rule, params=error.params, hint=error.hint)


def _shown(field: str, kind: str) -> str:
    """The field of a row that shows an error of this one."""
    if kind == "media" and field in (".volume_id", ".image_id", ""):
        return ".media"
    if field in ("", ".pool_id", ".pool"):
        return {"new": ".pool", "image": ".pool", "volume": ".volume_id"}.get(kind, ".network")
    return ".network" if field == ".network_id" else field


def _number(form: Form, name: str, default: int) -> int:
    text = form[name].strip()
    if text and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInput(name, N_("must be a whole number"))
    return int(text) if text else default


def _filled(form: Form, at: str, names: Iterable[str]) -> dict[str, object]:
    return {name: form[at + name] for name in names if form[at + name]}


def _cpu(form: Form) -> dict[str, object]:
    found = _filled(form, "cpu.", _CPU)
    chosen = form["cpu.mode"]
    if chosen.startswith("model:"):
        return found | {"mode": "custom", "model": chosen.removeprefix("model:")}
    return found | ({"mode": chosen} if chosen else {})


def disk_of(form: Form, at: str) -> dict[str, object]:
    """The fields of a DiskSpec that the form's fields beginning with `at` describe."""
    kind = form[at + "kind"]
    found = _filled(form, at, _DISK)
    if kind == "media":
        media = form[at + "media"]
        key = "image_id" if media.startswith("img_") else "volume_id"
        return found | {"device": "cdrom"} | ({key: media} if media else {})
    found["discard"] = form[at + "discard"] == "true"
    if kind == "volume":
        return found | {"volume_id": form[at + "volume_id"] or None}
    pool = form[at + "pool"]
    found["pool_id" if pool.startswith("pool_") else "pool"] = pool or None
    found["size_bytes"] = amount_in(form, at + "size_gib", GIB)
    found["preallocate"] = form[at + "preallocate"] == "true"
    if kind == "image":
        found["image_id"] = form[at + "image_id"] or None
        found["linked"] = form[at + "copy"] != "true"
    return {name: value for name, value in found.items() if value is not None}


def nic_of(form: Form, at: str) -> dict[str, object]:
    """The fields of a NicSpec that the form's fields beginning with `at` describe."""
    kind = form[at + "kind"]
    found = _filled(form, at, _NIC) | {"link_up": form[at + "link_up"] == "true"}
    if kind == "bridge":
        return found | {"bridge": form[at + "bridge"]}
    if kind == "direct":
        return found | {"direct": form[at + "direct"]} | _filled(form, at, ("direct_mode",))
    network = form[at + "network"]
    return found | {"network_id" if network.startswith("net_") else "network": network or None}


def _cloud(form: Form) -> dict[str, object]:
    found = _filled(form, "cloud_init.", _CLOUD)
    found["ssh_keys"] = [line for line in form["cloud_init.ssh_keys"].splitlines() if line.strip()]
    found["nameservers"] = form["cloud_init.nameservers"].replace(",", " ").split()
    found["keep_drive"] = form["cloud_init.keep_drive"] == "true"
    if "user_data" in found:
        found.pop("user_data_from", None)  # what is typed takes the place of what was kept
    if "address" in found:
        found["network"] = "static"
    return found


def values_of(spec: VmSpec) -> dict[str, str]:
    """The form's values for a specification."""
    values = {"count": "1", "host_id": spec.host_id or "", "tags": " ".join(spec.tags)}
    values |= _texts(spec, "", _TEXTS) | _marks(spec, "", _SWITCHES)
    values["memory_mib"] = shown_in(spec.memory_bytes, MIB)
    values["memory_max_mib"] = shown_in(spec.memory_max_bytes, MIB)
    values |= _texts(spec.cpu, "cpu.", _CPU)
    values["cpu.mode"] = f"model:{spec.cpu.model}" if spec.cpu.model else spec.cpu.mode or ""
    for number, disk in enumerate(spec.disks):
        values |= _disk_values(disk, f"disks.{number}.")
    for number, nic in enumerate(spec.nics):
        values |= _nic_values(nic, f"nics.{number}.")
    if spec.kernel:
        values |= _texts(spec.kernel, "kernel.", _KERNEL)
    if spec.cloud_init:
        names = [name for name in _CLOUD if name != "password"]
        values |= {"cloud": "true"} | _texts(spec.cloud_init, "cloud_init.", names)
        values |= _marks(spec.cloud_init, "cloud_init.", ("keep_drive",))
        values["cloud_init.ssh_keys"] = "\n".join(spec.cloud_init.ssh_keys)
        values["cloud_init.nameservers"] = " ".join(spec.cloud_init.nameservers)
    return values


def _disk_values(disk: DiskSpec, at: str) -> dict[str, str]:
    return (
        _texts(disk, at, _DISK)
        | _marks(disk, at, ("discard", "preallocate"))
        | {
            at + "kind": _kind_of(disk),
            at + "pool": disk.pool_id or disk.pool or "",
            at + "size_gib": shown_in(disk.size_bytes, GIB),
            at + "volume_id": disk.volume_id or "",
            at + "image_id": disk.image_id or "",
            at + "media": disk.volume_id or disk.image_id or "",
            at + "copy": "" if disk.linked else "true",
        }
    )


def _nic_values(nic: NicSpec, at: str) -> dict[str, str]:
    kind = "bridge" if nic.bridge else "direct" if nic.direct else "network"
    values = _texts(nic, at, (*_NIC, "bridge", "direct", "direct_mode")) | _marks(nic, at, ("link_up",))
    return values | {at + "kind": kind, at + "network": nic.network_id or nic.network or ""}


def _texts(source: object, at: str, names: Iterable[str]) -> dict[str, str]:
    found = {name: getattr(source, name) for name in names}
    return {at + name: "" if value is None else str(value) for name, value in found.items()}


def _marks(source: object, at: str, names: Iterable[str]) -> dict[str, str]:
    return {at + name: "true" if getattr(source, name) else "" for name in names}


def _kind_of(disk: DiskSpec) -> str:
    if disk.device == "cdrom":
        return "media"
    if disk.volume_id:
        return "volume"
    return "image" if disk.image_id else "new"


def options_of(spec: type[BaseModel], name: str) -> list[tuple[str, str]]:
    """What a field of fixed words takes, for a list to choose from."""
    annotation = spec.model_fields[name].annotation
    words = get_args(next((arg for arg in get_args(annotation) if get_args(arg)), annotation))
    return [(str(word), str(word)) for word in words]
