"""Network filters' XML: what is built passes libvirt's schema; an edit leaves what Vigie does not know."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from lxml import etree
from pydantic import ValidationError

from app.core.networks.nwfilters import NwfilterPlan, NwfilterRule
from app.hypervisor.xml import nwfilters

UUID = "3d7536fe-e2cc-481f-86ca-dd396ba9b802"
RULES: list[dict[str, Any]] = [
    {"action": "accept", "protocol": "tcp", "port_start": 443, "source": "192.0.2.7/24", "comment": "shop"},
    {"action": "drop", "direction": "out", "protocol": "udp", "port_start": 1000, "port_end": 2000},
    {"action": "reject", "direction": "inout", "protocol": "icmp", "priority": -5},
    {"action": "accept", "family": "ipv6", "protocol": "icmp", "destination": "2001:db8::/32"},
    {"action": "accept", "family": "ipv6", "protocol": "tcp", "port_start": 22},
    {"action": "accept", "protocol": "esp"},
    {"action": "accept"},
]
FOUND = """<filter name='found' chain='ipv4' priority='-700'>
  <uuid>3d7536fe-e2cc-481f-86ca-dd396ba9b802</uuid>
  <filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.5'/></filterref>
  <filterref filter='gone'/>
  <rule action='return' direction='out' priority='100'><ip srcipaddr='$IP' protocol='udp'/></rule>
  <rule action='accept' direction='in' priority='500' statematch='false'><tcp dstportstart='22'/></rule>
  <rule action='accept' direction='in' priority='500'><tcp dstportstart='80' dstportend='80'/></rule>
  <rule action='drop' direction='in' priority='1000'><all/></rule>
</filter>"""


@cache
def schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse("/usr/share/libvirt/schemas/nwfilter.rng"))


def test_what_is_built_is_valid_and_reads_back_the_same() -> None:
    plan = NwfilterPlan.model_validate(
        {
            "name": "shop",
            "default_in": "drop",
            "default_out": "accept",
            "rules": RULES,
            "references": ["clean-traffic"],
        }
    )
    xml = nwfilters.build(plan, UUID)
    schema().assertValid(etree.fromstring(xml))
    assert nwfilters.read_plan(xml) == (plan, 0)
    assert 'srcipaddr="192.0.2.0" srcipmask="24"' in xml


def test_an_edit_leaves_what_vigie_does_not_know() -> None:
    plan, kept = nwfilters.read_plan(FOUND)
    assert plan is not None
    assert kept == 2
    assert plan.default_in == "drop"
    assert [rule.port_start for rule in plan.rules] == [80]
    wanted = plan.model_copy(
        update={
            "default_in": None,
            "references": ["clean-traffic", "new"],
            "rules": [NwfilterRule(action="drop", protocol="udp")],
        }
    )
    xml = nwfilters.edit(FOUND, wanted)
    schema().assertValid(etree.fromstring(xml))
    assert nwfilters.read_plan(xml) == (wanted, 2)
    for part in ("$IP", 'statematch="false"', "<parameter", 'priority="-700"'):
        assert part in xml
    for part in ("gone", 'dstportstart="80"', "<all"):
        assert part not in xml


def test_nothing_asked_changes_no_rule() -> None:
    plan, _ = nwfilters.read_plan(FOUND)
    assert plan is not None
    again = etree.fromstring(nwfilters.edit(FOUND, plan))
    before = etree.fromstring(FOUND)
    assert [dict(rule.attrib) for rule in again.iter("rule", "filterref", "tcp", "ip")] == [
        dict(rule.attrib) for rule in before.iter("rule", "filterref", "tcp", "ip")
    ] + [{"action": "drop", "direction": "in", "priority": "1000"}]  # the default counts for IPv6 too


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "accept", "protocol": "icmp", "port_start": 1},
        {"action": "accept", "protocol": "tcp", "port_start": 9, "port_end": 8},
        {"action": "accept", "protocol": "tcp", "port_end": 8},
        {"action": "accept", "source": "2001:db8::/32"},
        {"action": "accept", "source": "192.0.2.0/33"},
        {"action": "accept", "source": "$IP"},
        {"action": "allow"},
        {"action": "accept", "priority": 1000},
        {"action": "accept", "comment": "a\nb"},
    ],
)
def test_rules_that_make_no_sense_are_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NwfilterRule.model_validate(rule)


def test_names_that_libvirt_would_not_take_have_no_plan() -> None:
    assert nwfilters.read_plan("<filter name='a b'/>") == (None, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0), (2, 0, 1), (1, 1, 0), ()], ids=str)
def test_rules_come_out_in_the_order_that_was_asked(order: tuple[int, ...]) -> None:
    """Of one priority, the first that matches decides."""
    rules = [NwfilterRule(action="accept", protocol="tcp", port_start=port) for port in (80, 22, 443)]
    before = nwfilters.build(NwfilterPlan(name="shop", rules=rules[:2], default_in="drop"), UUID)
    wanted = NwfilterPlan(name="shop", rules=[rules[number] for number in order], default_in="drop")
    assert nwfilters.read_plan(nwfilters.edit(before, wanted)) == (wanted, 0)
