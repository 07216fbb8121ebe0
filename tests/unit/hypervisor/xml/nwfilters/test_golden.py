"""Definitions of network filters: what is built and each edit against golden files (see tests.unit.hypervisor.xml.golden)."""

from collections.abc import Callable
from typing import Any

import pytest

from app.core.networks.nwfilters import NwfilterPlan
from app.hypervisor.xml import nwfilters
from tests.unit.hypervisor.xml.golden import Edit, Golden, broken_rule

SCHEMA = "nwfilter"
UUID = "3d7536fe-e2cc-481f-86ca-dd396ba9b802"
SHOP = {"action": "accept", "protocol": "tcp", "port_start": 80}
DNS = {"action": "accept", "protocol": "udp", "port_start": 53}
PING = {"action": "accept", "direction": "inout", "family": "ipv6", "protocol": "icmp", "source": "2001:db8::/32"}  # fmt: skip


def built(*rules: dict[str, Any], **fields: Any) -> str:
    plan = {"name": "shop", "rules": [{"action": "accept", **rule} for rule in rules], **fields}
    return nwfilters.build(NwfilterPlan.model_validate(plan), UUID)


def changed(**fields: Any) -> Callable[[str], str]:
    """The edit from what a definition says to what the case asks for."""

    def change(xml: str) -> str:
        plan, _ = nwfilters.read_plan(xml)
        assert plan is not None
        return nwfilters.edit(xml, NwfilterPlan.model_validate(plan.model_dump() | fields))

    return change


# fmt: off
BUILT = {
    "nothing": built(),
    "defaults": built(default_in="drop", default_out="accept"),
    "references": built(references=["clean-traffic", "allow-dhcp"]),
    "rule-all": built({}),
    "rule-actions": built({}, {"action": "drop"}, {"action": "reject"}),
    "rule-directions": built({"direction": "in"}, {"direction": "out"}, {"direction": "inout"}),
    "rule-protocols": built(*({"protocol": name} for name in ("tcp", "udp", "sctp", "icmp", "esp", "ah"))),
    "rule-protocols-ipv6": built(*({"family": "ipv6", "protocol": name} for name in ("all", "tcp", "udp", "sctp", "icmp", "esp", "ah"))),
    "rule-port": built({"protocol": "tcp", "port_start": 443}),
    "rule-ports": built({"protocol": "udp", "port_start": 0, "port_end": 65535}),
    "rule-networks": built({"source": "192.0.2.7/24", "destination": "198.51.100.1"}),
    "rule-networks-ipv6": built({"family": "ipv6", "source": "2001:db8::1", "destination": "2001:db8::/32"}),
    "rule-priorities": built({"priority": -1000}, {"priority": 999}),
    "rule-comment": built({"comment": "<shop> & \"'é"}),
    "everything": built({"protocol": "tcp", "port_start": 443, "source": "192.0.2.0/24", "comment": "shop", "priority": 1}, {"action": "drop", "direction": "out"}, default_in="drop", default_out="drop", references=["clean-traffic"]),
}
EDITS = {
    "nothing": Edit("found", changed()),
    "nothing-of-a-built-in": Edit("built-in", changed()),
    "nothing-of-the-future": Edit("future", changed()),
    "rule-new": Edit("found", changed(rules=[SHOP, PING, {"action": "drop", "protocol": "udp"}]), "rule"),
    "rule-gone": Edit("found", changed(rules=[PING]), "rule"),
    "rule-changed": Edit("found", changed(rules=[{**SHOP, "port_start": 8080}, PING]), "rule"),
    "rules-in-another-order": Edit("found", changed(rules=[PING, SHOP]), "rule"),
    "rule-between": Edit("found", changed(rules=[SHOP, DNS, PING]), "rule"),
    "rule-before": Edit("found", changed(rules=[DNS, SHOP, PING]), "rule"),
    "rules-none": Edit("found", changed(rules=[]), "rule"),
    "rule-of-one-address": Edit("addresses", changed(rules=[{"action": "accept", "protocol": "udp", "source": "192.0.2.9/32"}])),
    "rules-with-odd-addresses-stay": Edit("addresses", changed(rules=[]), "rule"),
    "rule-first": Edit("bare", changed(rules=[SHOP]), "rule"),
    "rule-of-the-future-stays": Edit("future", changed(rules=[]), "rule"),
    "rule-twice": Edit("future", changed(rules=[DNS, DNS]), "rule"),
    "reference-new": Edit("found", changed(references=["clean-traffic", "gone", "allow-dhcp"]), "filterref"),
    "reference-gone": Edit("found", changed(references=["clean-traffic"]), "filterref"),
    "references-none-of-the-future": Edit("future", changed(references=[]), "filterref"),
    "default-other": Edit("found", changed(default_in="accept"), "rule"),
    "default-none": Edit("found", changed(default_in=None), "rule"),
    "defaults-first": Edit("bare", changed(default_in="drop", default_out="drop"), "rule"),
    "default-of-a-built-in": Edit("built-in", changed(default_out="drop"), "rule"),
}
# fmt: on


@pytest.mark.parametrize("case", BUILT)
def test_built(case: str, golden: Golden) -> None:
    golden.check_built(case, BUILT[case])


@pytest.mark.parametrize("case", EDITS)
def test_edit(case: str, golden: Golden) -> None:
    golden.check_edit(case, EDITS[case])


@pytest.mark.parametrize("document", sorted({edit.before for edit in EDITS.values()}))
def test_documents_are_valid_but_those_of_the_future(document: str, golden: Golden) -> None:
    text = (golden.folder / "before" / f"{document}.xml").read_text()
    assert (broken_rule(SCHEMA, text) is None) == (document != "future")


def test_each_file_has_its_case(golden: Golden) -> None:
    golden.check_files(built=BUILT, edits=EDITS)
