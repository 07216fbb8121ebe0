"""Networks' XML: what is built passes libvirt's schema; an edit changes what was asked and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from app.core.networks.specs import NetworkPlan
from app.hypervisor.xml.networks import network_build, network_updates, networks

SCHEMAS = Path("/usr/share/libvirt/schemas")
UUID = "3d7536fe-e2cc-481f-86ca-dd396ba9b802"
SUBNETS: list[dict[str, Any]] = [
    {
        "address": "192.0.2.1/24",
        "dhcp": [{"start": "192.0.2.100", "end": "192.0.2.120"}],
        "reservations": [
            {"address": "192.0.2.10", "mac": "52:54:00:00:00:0a", "name": "web"},
            {"address": "192.0.2.11", "name": "db"},
        ],
    },
    {
        "address": "2001:db8::1/64",
        "dhcp": [{"start": "2001:db8::100", "end": "2001:db8::1ff"}],
        "reservations": [
            {"address": "2001:db8::a", "duid": "00:01:00:01:2a:bc:de:f0:52:54:00:00:00:0a", "name": "web"}
        ],
    },
]
GROUPS: list[dict[str, Any]] = [
    {"name": "web", "default": True, "in_kbps": 1000, "out_kbps": 500},
    {"name": "db"},
]
PLANS: dict[str, dict[str, Any]] = {
    "nat": {
        "mode": "nat",
        "subnets": SUBNETS,
        "bridge": "virbr7",
        "devices": ["eth0"],
        "mtu": 1450,
        "domain": "shop.example",
        "domain_local": True,
        "dns_hosts": [{"address": "192.0.2.9", "names": ["gw", "gw.shop.example"]}],
        "dns_forwarders": [{"address": "192.0.2.53"}, {"domain": "corp.example", "address": "192.0.2.54"}],
        "dns_services": [{"service": "ldap", "protocol": "tcp", "target": "web.shop.example", "port": 389}],
        "port_groups": GROUPS,
        "in_kbps": 10000,
        "out_kbps": 20000,
    },
    "route": {"mode": "route", "subnets": SUBNETS[:1]},
    "open": {"mode": "open", "subnets": SUBNETS[1:]},
    "isolated": {"mode": "isolated", "dns": False},
    "bridge": {"mode": "bridge", "bridge": "br0", "port_groups": GROUPS},
    "macvtap": {"mode": "macvtap", "macvtap_mode": "private", "devices": ["eth0", "eth1"]},
    "openvswitch": {
        "mode": "openvswitch",
        "bridge": "ovsbr0",
        "vlans": [10, 20],
        "native_vlan": 10,
        "port_groups": [{"name": "tagged", "vlans": [42]}],
    },
    "hostdev": {"mode": "hostdev", "devices": ["ens1f0"], "vlans": [42]},
}
FOUND = (Path(__file__).parent / "golden" / "before" / "nat.xml").read_text()


@cache
def schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(SCHEMAS / "network.rng")))


def validated(xml: str) -> etree._Element:
    tree = etree.fromstring(xml)
    schema().assertValid(tree)
    return tree


def plan_of(name: str) -> NetworkPlan:
    return NetworkPlan.model_validate({"name": f"net-{name}", **PLANS[name]})


@pytest.mark.parametrize("name", PLANS)
def test_what_is_built_is_valid_and_reads_back_the_same(name: str) -> None:
    plan = plan_of(name)
    xml = network_build.build(plan, UUID)
    validated(xml)
    assert networks.read_plan(xml) == plan


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_leads_to_the_bare_one_and_back(name: str) -> None:
    plan = plan_of(name)
    kept = {"name", "mode", "macvtap_mode", "bridge" if plan.bridge else "devices"}
    bare = NetworkPlan.model_validate(plan.model_dump(include=kept))
    xml = network_build.edit(network_build.build(plan, UUID), bare)
    validated(xml)
    assert networks.read_plan(xml) == bare
    again = network_build.edit(xml, plan)
    validated(again)
    assert networks.read_plan(again) == plan


def test_what_runs_and_what_lasts_mean_the_same() -> None:
    live = FOUND.replace('connections="2"', 'connections="7"')
    assert networks.same(live, FOUND)
    assert networks.digest(live) == networks.digest(FOUND)
    assert not networks.same(live.replace("virbr3", "virbr4"), FOUND)
    running = "<network><forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward></network>"
    assert networks.same(running, "<network><forward mode='nat'/></network>")


@pytest.mark.parametrize(
    "xml",
    [
        "<network><name>x</name><forward mode='sideways'/></network>",
        "<network><name>x</name><bridge name='a name that is too long'/></network>",
        "<network><name>x</name><mtu size='many'/></network>",
    ],
)
def test_what_vigie_would_not_write_has_no_plan(xml: str) -> None:
    assert networks.read_plan(xml) is None
    with pytest.raises(ValueError, match="can edit"):
        network_build.edit(xml, plan_of("isolated"))


def test_hostile_texts_are_only_text() -> None:
    name = "<img src=x onerror=alert(1)>&\"'"
    xml = network_build.build(NetworkPlan(name=name, mode="isolated"), UUID)
    assert validated(xml).findtext("name") == name
    bomb = "<!DOCTYPE n [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]><network><name>&b;</name></network>"
    assert networks.read_plan(bomb) is None


def test_what_runs_keeps_what_vigie_does_not_know_when_it_changes() -> None:
    plan = networks.read_plan(FOUND)
    assert plan is not None
    wanted = plan.model_dump()
    wanted["port_groups"][0]["in_kbps"] = 11
    wanted["subnets"][0]["reservations"][0]["name"] = "shop"
    added, group = network_updates.updates(FOUND, plan, NetworkPlan.model_validate(wanted))[1:]
    assert '<lease expiry="0"/>' in added.xml
    assert 'trustGuestRxFilters="yes"' in group.xml
    assert 'peak="20"' in group.xml


def test_a_peak_goes_when_it_would_win_over_the_rate() -> None:
    plan = networks.read_plan(FOUND)
    assert plan is not None
    xml = network_build.edit(FOUND, plan.model_copy(update={"in_kbps": 9000, "out_kbps": 200}))
    assert dict(validated(xml).find("bandwidth/inbound").attrib) == {"average": "9000", "burst": "5120"}
    assert validated(xml).find("bandwidth/outbound").get("peak") == "256"
