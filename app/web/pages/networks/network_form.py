"""The form of a network: lists are written a line each, and an error names the line that it is about.

The fields that the chosen mode does not have are not looked at, so trying modes loses nothing that was typed.
Of each family the form knows the first subnet; others, made elsewhere, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.core.messages import N_, filled
from app.core.networks.specs import OWN_BRIDGE, TAGGING, NetworkPlan, PortGroup, Reservation, Subnet
from app.web.auth import Visitor
from app.web.pages.rendering.forms import Form, FormInvalid, broken_rules

_MAC = re.compile(r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")
_LISTED = ("dns_hosts", "dns_forwarders", "dns_services", "port_groups")
_FAMILIES = ("ipv4", "ipv6")
Json = dict[str, object]


@dataclass(slots=True)
class Read:
    """What was read of a form: the plan's fields, and which form field and line each list entry came from."""

    plan: Json
    families: list[str] = field(default_factory=list)
    lines: dict[str, list[int]] = field(default_factory=dict)


def read(form: Form, mode: str, kept: Sequence[Subnet] = ()) -> Read:
    """The plan that the form describes, unchecked. `kept` are subnets that the form does not show."""
    found = Read({"mode": mode, "mtu": form["mtu"] or None})
    plan = found.plan
    if mode in OWN_BRIDGE:
        _read_own(form, found, kept)
    if mode in ("nat", "route"):
        plan["devices"] = form["out_device"].split()
    elif mode in ("bridge", "openvswitch"):
        plan["bridge"] = form["host_bridge"] or None
    elif mode == "macvtap":
        plan |= {"devices": form["devices"].replace(",", " ").split(), "macvtap_mode": form["macvtap_mode"]}
    elif mode == "hostdev":
        plan |= {"devices": form["card"].split(), "mtu": None}
    if mode in TAGGING:
        plan |= {"vlans": form["vlans"].replace(",", " ").split(), "native_vlan": form["native_vlan"] or None}
    plan["port_groups"] = _rows(form, found, "port_groups", _group)
    return found


def _read_own(form: Form, found: Read, kept: Sequence[Subnet]) -> None:
    subnets = []
    for family in _FAMILIES:
        if form[family]:
            subnets.append(
                {
                    "address": form[family],
                    "dhcp": _rows(form, found, f"{family}_ranges", _range),
                    "reservations": _rows(form, found, f"{family}_reservations", _reservation),
                }
            )
            found.families.append(family)
        elif form[f"{family}_ranges"] or form[f"{family}_reservations"]:
            raise InvalidInput(family, N_("is needed: the lines below belong to it"))
    found.plan |= {
        "subnets": [*subnets, *(item.model_dump() for item in kept)],
        "bridge": form["bridge"] or None,
        "domain": form["domain"] or None,
        "domain_local": form["domain_local"] == "true",
        "dns": form["dns"] == "true",
        "dns_hosts": _rows(form, found, "dns_hosts", _dns_host),
        "dns_forwarders": _rows(form, found, "dns_forwarders", _forwarder),
        "dns_services": _rows(form, found, "dns_services", _service),
        "in_kbps": form["in_kbps"] or None,
        "out_kbps": form["out_kbps"] or None,
    }


def _rows(form: Form, found: Read, name: str, parse: Callable[[list[str], str, int], Json]) -> list[Json]:
    rows, lines = [], []
    for number, line in enumerate(form[name].split("\n"), 1):
        if line.strip():
            rows.append(parse(line.split(), name, number))
            lines.append(number)
    found.lines[name] = lines
    return rows


def _range(words: list[str], name: str, number: int) -> Json:
    ends = [word for word in " ".join(words).replace("–", " ").replace("-", " ").split() if word]
    if len(ends) != 2:
        raise _line(name, number, N_("write the first and the last address"))
    return {"start": ends[0], "end": ends[1]}


def _reservation(words: list[str], name: str, number: int) -> Json:
    found: Json = {"address": words[0]}
    for word in words[1:]:
        key = "mac" if _MAC.match(word) and name.startswith("ipv4") else "duid" if ":" in word else "name"
        if key in found:
            raise _line(name, number, N_("write the address, then the MAC address or DUID, then the name"))
        found[key] = word
    return found


def _dns_host(words: list[str], name: str, number: int) -> Json:
    if len(words) < 2:
        raise _line(name, number, N_("write the address, then its names"))
    return {"address": words[0], "names": words[1:]}


def _forwarder(words: list[str], name: str, number: int) -> Json:
    if len(words) > 2:
        raise _line(name, number, N_("write an address, a domain, or both"))
    address = next((word for word in words if re.match(r"^[0-9a-fA-F:]*[.:][0-9a-fA-F.:]*$", word)), None)
    domain = next((word for word in words if word != address), None)
    return {"address": address, "domain": domain}


def _service(words: list[str], name: str, number: int) -> Json:
    if not 2 <= len(words) <= 6:
        raise _line(name, number, N_("write service, protocol, target, port, priority, weight"))
    keys = ("service", "protocol", "target", "port", "priority", "weight")
    return dict(zip(keys, words, strict=False))


def _group(words: list[str], name: str, number: int) -> Json:
    found: Json = {"name": words[0]}
    keys = {"vlan": "vlans", "native": "native_vlan", "in": "in_kbps", "out": "out_kbps"}
    for word in words[1:]:
        key, equal, value = word.partition("=")
        if word == "default":
            found["default"] = True
        elif equal and key in keys:
            found[keys[key]] = value.split(",") if key == "vlan" else value
        else:
            raise _line(name, number, N_("write a name, then default, vlan=, native=, in= or out="))
    return found


def _line(name: str, number: int, rule: str) -> InvalidInput:
    return InvalidInput(name, N_("Line %(line)d: %(said)s"), params={"line": number, "said": [rule]})


@contextmanager
def at_their_fields(found: Read, visitor: Visitor) -> Iterator[None]:
    """Errors of a plan in the block become errors of the form's fields, with their line."""
    try:
        yield
    except ValidationError as error:
        raise FormInvalid(
            [_placed(broken_rule, found, visitor) for broken_rule in broken_rules(error, whole=True)]
        ) from None
    except FormInvalid:
        raise
    except InvalidInput as error:
        raise _placed(error, found, visitor) from None


def _placed(error: InvalidInput, found: Read, visitor: Visitor) -> InvalidInput:
    name, entry = _place(error.field.split("."), found)
    message = error.rule_text(visitor.translate)
    lines = found.lines.get(name, [])
    if entry is not None and entry < len(lines):
        message = filled(
            visitor.translate, N_("Line %(line)d: %(said)s"), {"line": lines[entry], "said": message}
        )
    # The sentence is in the reader's language already, and stands for itself.
    return InvalidInput(name, message, hint=error.hint, code=error.code)


def _place(path: list[str], found: Read) -> tuple[str, int | None]:
    """The form's field of a plan's field, and the number of the entry in it."""
    mode = str(found.plan["mode"])
    if path[0] == "subnets" and len(path) > 1:
        family = found.families[int(path[1])] if int(path[1]) < len(found.families) else "ipv4"
        if len(path) > 3 and path[2] in ("dhcp", "reservations"):
            part = "ranges" if path[2] == "dhcp" else "reservations"
            return f"{family}_{part}", int(path[3])
        return family, None
    if path[0] == "subnets":
        return "ipv4", None
    if path[0] == "devices":
        return {"nat": "out_device", "route": "out_device", "hostdev": "card"}.get(mode, "devices"), None
    if path[0] == "bridge" and mode not in OWN_BRIDGE:
        return "host_bridge", None
    if path[0] in _LISTED and len(path) > 1 and path[1].isdecimal():
        return path[0], int(path[1])
    return path[0], None


def values(plan: NetworkPlan) -> dict[str, str]:
    """What the form's fields hold for a plan."""
    found: dict[str, str] = {
        "mode": plan.mode,
        "mtu": _text(plan.mtu),
        "port_groups": _lines(_group_line(port_group) for port_group in plan.port_groups),
        "vlans": ", ".join(map(str, plan.vlans)),
        "native_vlan": _text(plan.native_vlan),
        "macvtap_mode": plan.macvtap_mode or "bridge",
        "bridge": plan.bridge or "",
        "host_bridge": plan.bridge or "",
        "out_device": " ".join(plan.devices),
        "devices": " ".join(plan.devices),
        "card": " ".join(plan.devices),
        "domain": plan.domain or "",
        "domain_local": "true" if plan.domain_local else "",
        "dns": "true" if plan.dns else "",
        "dns_hosts": _lines(" ".join([dns_host.address, *dns_host.names]) for dns_host in plan.dns_hosts),
        "dns_forwarders": _lines(
            " ".join(filter(None, (dns_forwarder.address, dns_forwarder.domain)))
            for dns_forwarder in plan.dns_forwarders
        ),
        "dns_services": _lines(
            " ".join(
                str(value)
                for value in (
                    dns_service.service,
                    dns_service.protocol,
                    dns_service.target,
                    dns_service.port,
                    dns_service.priority,
                    dns_service.weight,
                )
                if value is not None
            )
            for dns_service in plan.dns_services
        ),
        "in_kbps": _text(plan.in_kbps),
        "out_kbps": _text(plan.out_kbps),
    }
    for family, subnet in shown_subnets(plan).items():
        found[family] = subnet.address
        found[f"{family}_ranges"] = _lines(f"{item.start} - {item.end}" for item in subnet.dhcp)
        found[f"{family}_reservations"] = _lines(
            _reservation_line(reservation) for reservation in subnet.reservations
        )
    return found


def shown_subnets(plan: NetworkPlan) -> dict[str, Subnet]:
    """The subnets that the form shows, by their field: the first of each family."""
    found: dict[str, Subnet] = {}
    for subnet in plan.subnets:
        found.setdefault("ipv6" if ":" in subnet.address else "ipv4", subnet)
    return found


def other_subnets(plan: NetworkPlan) -> list[Subnet]:
    """The subnets that the form does not show."""
    shown = list(shown_subnets(plan).values())
    return [subnet for subnet in plan.subnets if not any(subnet is one for one in shown)]


def _reservation_line(reservation: Reservation) -> str:
    return " ".join(
        filter(None, (reservation.address, reservation.mac or reservation.duid, reservation.name))
    )


def _group_line(group: PortGroup) -> str:
    words = [
        group.name,
        "default" if group.default else "",
        f"vlan={','.join(map(str, group.vlans))}" if group.vlans else "",
        f"native={group.native_vlan}" if group.native_vlan else "",
        f"in={group.in_kbps}" if group.in_kbps else "",
        f"out={group.out_kbps}" if group.out_kbps else "",
    ]
    return " ".join(filter(None, words))


def _lines(rows: Iterable[str]) -> str:
    return "\n".join(rows)


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
