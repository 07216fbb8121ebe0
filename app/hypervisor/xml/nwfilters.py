"""libvirt's XML of network filters: read into a plan, built from one, edited in place by one."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from lxml import etree
from pydantic import ValidationError

from app.core.networks.nwfilters import NwfilterPlan, NwfilterRule, network_of
from app.hypervisor.xml.domains.read import parse, parse_for_edit
from app.hypervisor.xml.write import Element, drop, node, text_of

DEFAULT_PRIORITY = "1000"  # the last place: what decides when no rule did
_TAGS = {("ipv4", name): name for name in ("all", "tcp", "udp", "sctp", "icmp", "esp", "ah")} | {
    ("ipv6", "icmp"): "icmpv6",
    **{("ipv6", name): f"{name}-ipv6" for name in ("all", "tcp", "udp", "sctp", "esp", "ah")},
}
_KINDS = {tag: kind for kind, tag in _TAGS.items()}
_KNOWN = {"srcipaddr", "srcipmask", "dstipaddr", "dstipmask", "dstportstart", "dstportend", "comment"}


def build(plan: NwfilterPlan, uuid: str) -> str:
    """The definition of a new filter."""
    tree = node("filter", node("uuid", uuid), name=plan.name, chain="root")
    _write(tree, plan)
    return text_of(tree)


def edit(xml: str, wanted: NwfilterPlan) -> str:
    """The definition with the plan's rules, references and defaults; rules that Vigie does not know stay. Raises UnreadableXml."""
    tree = parse_for_edit(xml, "filter")
    _write(tree, wanted)
    return etree.tostring(tree, encoding="unicode")


def read_plan(xml: str) -> tuple[NwfilterPlan | None, int]:
    """What Vigie can change of a filter (None: nothing), and how many rules it does not know. Raises UnreadableXml."""
    tree = parse(xml, "filter")
    rules = [_read_rule(rule) for rule in tree.findall("rule") if _default_of(rule) is None]
    known = [rule for rule in rules if rule is not None]
    found: dict[str, object] = {
        "name": tree.get("name"),
        "rules": known,
        "references": [filterref.get("filter") for filterref in tree.findall("filterref")],
        **_read_defaults(tree),
    }
    try:
        return NwfilterPlan.model_validate(found), len(rules) - len(known)
    except ValidationError:
        return None, len(rules)


def _write(tree: Element, wanted: NwfilterPlan) -> None:
    left = list(wanted.references)
    for filterref in tree.findall("filterref"):
        name = filterref.get("filter", "")
        if name in left:
            left.remove(name)
        else:
            tree.remove(filterref)
    for name in left:
        tree.append(node("filterref", filter=name))
    _write_rules(tree, wanted.rules)
    _write_defaults(tree, wanted)


def _write_rules(tree: Element, wanted: Sequence[NwfilterRule]) -> None:
    """Have these rules, in their order, of those that Vigie knows; of one priority, the first that matches decides."""
    known = [
        (rule, item)
        for item in tree.findall("rule")
        if _default_of(item) is None and (rule := _read_rule(item)) is not None
    ]
    place = tree.index(known[0][1]) if known else len(tree)
    elements = []
    for rule in wanted:
        found = next((number for number, (item, _) in enumerate(known) if item == rule), None)
        elements.append(_rule(rule) if found is None else known.pop(found)[1])
    drop(item for _, item in known)
    for element in elements:
        if element.getparent() is None or tree.index(element) < place:
            tree.insert(place, element)
        place = tree.index(element) + 1


def _write_defaults(tree: Element, wanted: NwfilterPlan) -> None:
    requested = [
        (tag, direction, action)
        for direction, action in (("in", wanted.default_in), ("out", wanted.default_out))
        if action is not None
        for tag in ("all", "all-ipv6")
    ]
    found = [rule for rule in tree.findall("rule") if _default_of(rule) is not None]
    if [(item.findall("*")[0].tag, item.get("direction"), item.get("action")) for item in found] == requested:
        return
    drop(found)
    for tag, direction, action in requested:
        tree.append(node("rule", node(tag), action=action, direction=direction, priority=DEFAULT_PRIORITY))


def _rule(rule: NwfilterRule) -> Element:
    match = node(_TAGS[rule.family, rule.protocol])
    for name, text in (("src", rule.source), ("dst", rule.destination)):
        if text is not None:
            net = network_of(text)
            match.set(f"{name}ipaddr", str(net.network_address))
            match.set(f"{name}ipmask", str(net.prefixlen))
    if rule.port_start is not None:
        match.set("dstportstart", str(rule.port_start))
        match.set("dstportend", str(rule.port_end if rule.port_end is not None else rule.port_start))
    if rule.comment:
        match.set("comment", rule.comment)
    return node("rule", match, action=rule.action, direction=rule.direction, priority=str(rule.priority))


def _read_rule(element: Element) -> NwfilterRule | None:
    """The rule; None when it holds what Vigie does not know."""
    matches = element.findall("*")
    if len(matches) != 1 or set(element.attrib) - {"action", "direction", "priority"}:
        return None
    match = matches[0]
    kind = _KINDS.get(str(match.tag))
    if kind is None or set(match.attrib) - _KNOWN:
        return None
    start, end = match.get("dstportstart"), match.get("dstportend")
    try:
        return NwfilterRule.model_validate(
            {
                "action": element.get("action"),
                "direction": element.get("direction"),
                "family": kind[0],
                "protocol": kind[1],
                "port_start": start,
                "port_end": None if end == start else end,
                "source": _network(match, "src"),
                "destination": _network(match, "dst"),
                "priority": element.get("priority", "500"),
                "comment": match.get("comment"),
            }
        )
    except ValueError:
        return None


def _network(match: Element, side: str) -> str | None:
    address, mask = match.get(f"{side}ipaddr"), match.get(f"{side}ipmask")
    if address is None:
        if mask is not None:
            raise ValueError("a mask without an address")
        return None
    if mask is None:
        return str(ipaddress.ip_address(address))
    return str(ipaddress.ip_network(f"{address}/{mask}"))


def _default_of(rule: Element) -> tuple[str, str] | None:
    """Direction and action of a rule that decides for all the rest."""
    matches = rule.findall("*")
    plain = len(matches) == 1 and matches[0].tag in ("all", "all-ipv6") and not matches[0].attrib
    action, direction = rule.get("action", ""), rule.get("direction", "")
    if not plain or rule.get("priority") != DEFAULT_PRIORITY:
        return None
    return (direction, action) if direction in ("in", "out") and action in ("accept", "drop") else None


def _read_defaults(tree: Element) -> dict[str, str]:
    found = (_default_of(rule) for rule in tree.findall("rule"))
    return {f"default_{item[0]}": item[1] for item in found if item is not None}
