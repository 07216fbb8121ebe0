"""Networks' XML: what is built passes libvirt's schema; an edit changes what was asked and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from app.core.networks.networks import NetworkPlan
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
FOUND = """<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0' connections='2' trustGuestRxFilters='yes'>
  <name>found</name>
  <uuid>3d7536fe-e2cc-481f-86ca-dd396ba9b802</uuid>
  <metadata><x:owner xmlns:x='urn:x' team='blue'>Ada &amp; co</x:owner></metadata>
  <forward dev='eth0' mode='nat'>
    <nat ipv6='yes'><address start='198.51.100.1' end='198.51.100.9'/><port start='500' end='1000'/></nat>
    <interface dev='eth0'/>
  </forward>
  <bridge name='virbr3' stp='off' delay='7' macTableManager='libvirt'/>
  <mac address='52:54:00:82:f5:e6'/>
  <dns forwardPlainNames='yes'><txt name='note' value='kept'/><host ip='192.0.2.9'><hostname>gw</hostname></host></dns>
  <bandwidth><inbound average='1000' peak='5000' burst='5120'/></bandwidth>
  <ip address='192.0.2.1' netmask='255.255.255.0' localPtr='yes'>
    <tftp root='/srv/tftp'/>
    <dhcp>
      <range start='192.0.2.100' end='192.0.2.120'><lease expiry='2' unit='hours'/></range>
      <host mac='52:54:00:00:00:0A' name='web' ip='192.0.2.10'><lease expiry='0'/></host>
      <bootp file='pxelinux.0' server='192.0.2.1'/>
    </dhcp>
  </ip>
  <route address='203.0.113.0' prefix='24' gateway='192.0.2.200' metric='2'/>
  <portgroup name='web' default='yes' trustGuestRxFilters='yes'><bandwidth><inbound average='10' peak='20'/></bandwidth></portgroup>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>"""


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


def found(**changes: object) -> str:
    plan = networks.read_plan(FOUND)
    assert plan is not None
    return network_build.edit(FOUND, NetworkPlan.model_validate({**plan.model_dump(), **changes}))


def lines(xml: str) -> list[str]:
    text = etree.tostring(etree.fromstring(xml), method="c14n").decode().replace("><", ">\n<")
    return [line.strip() for line in text.split("\n")]


def test_nothing_asked_changes_nothing() -> None:
    assert lines(found()) == lines(FOUND)


@pytest.mark.parametrize(
    ("changes", "gone", "new"),
    [
        ({"mtu": 1400}, [], ['<mtu size="1400">', "</mtu>"]),
        (
            {"bridge": "virbr9"},
            ['<bridge delay="7" macTableManager="libvirt" name="virbr3" stp="off">'],
            ['<bridge delay="7" macTableManager="libvirt" name="virbr9" stp="off">'],
        ),
        (
            {"in_kbps": 2000},
            ['<inbound average="1000" burst="5120" peak="5000">'],
            ['<inbound average="2000" burst="5120" peak="5000">'],
        ),
        ({"domain": "shop"}, [], ['<domain name="shop">', "</domain>"]),
        (
            {
                "subnets": [
                    {
                        "address": "192.0.2.1/24",
                        "dhcp": [{"start": "192.0.2.100", "end": "192.0.2.120"}],
                        "reservations": [
                            {"address": "192.0.2.10", "mac": "52:54:00:00:00:0a", "name": "shop"}
                        ],
                    }
                ]
            },
            ['<host ip="192.0.2.10" mac="52:54:00:00:00:0A" name="web">'],
            ['<host ip="192.0.2.10" mac="52:54:00:00:00:0A" name="shop">'],
        ),
        (
            {"dns_hosts": [{"address": "192.0.2.9", "names": ["gw", "router"]}]},
            [],
            ["<hostname>router</hostname>"],
        ),
        (
            {"port_groups": [{"name": "web", "default": True, "in_kbps": 11}]},
            ['<inbound average="10" peak="20">'],
            ['<inbound average="11" peak="20">'],
        ),
    ],
)
def test_an_edit_changes_only_what_was_asked(
    changes: dict[str, object], gone: list[str], new: list[str]
) -> None:
    before, after = lines(FOUND), lines(found(**changes))
    assert [each for each in before if each not in after] == gone
    assert [each for each in after if each not in before] == new
    assert len(after) - len(before) == len(new) - len(gone)


def test_an_address_that_changes_keeps_the_rest_of_its_subnet() -> None:
    subnets = [{"address": "198.51.100.1/25", "dhcp": [], "reservations": []}]
    tree = etree.fromstring(found(subnets=subnets))
    element = tree.find("ip")
    assert element is not None
    assert dict(element.attrib) == {"address": "198.51.100.1", "prefix": "25", "localPtr": "yes"}
    assert element.find("tftp") is not None
    assert element.find("dhcp/bootp") is not None
    assert element.find("dhcp/range") is None


def test_what_runs_and_what_lasts_mean_the_same() -> None:
    live = FOUND.replace("connections='2'", "connections='7'")
    assert networks.same(live, FOUND)
    assert networks.digest(live) == networks.digest(FOUND)
    assert not networks.same(live.replace("virbr3", "virbr4"), FOUND)
    running = "<network><forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward></network>"
    assert networks.same(running, "<network><forward mode='nat'/></network>")


def test_steps_for_what_runs_remove_before_they_add() -> None:
    xml = network_build.build(plan_of("nat"), UUID)
    before = networks.read_plan(xml)
    assert before is not None
    wanted = before.model_dump()
    wanted["subnets"][1]["reservations"] = []
    wanted["subnets"][0]["reservations"][0]["name"] = "shop"
    wanted["dns_hosts"] = []
    wanted["port_groups"] = [GROUPS[0] | {"in_kbps": 7}]
    wanted["mtu"] = 9000
    steps = network_updates.updates(xml, before, NetworkPlan.model_validate(wanted))
    assert [(step.command, step.section, step.subnet) for step in steps] == [
        ("delete", "ip-dhcp-host", 0),
        ("add", "ip-dhcp-host", 0),
        ("delete", "ip-dhcp-host", 1),
        ("delete", "dns-host", -1),
        ("delete", "portgroup", -1),
        ("modify", "portgroup", -1),
    ]
    assert steps[1].xml == '<host mac="52:54:00:00:00:0a" name="shop" ip="192.0.2.10"/>'


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
