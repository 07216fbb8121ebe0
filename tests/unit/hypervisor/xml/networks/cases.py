"""What networks are built from, how they are edited and what can change while they run. One line is one case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lxml import etree

from app.core.networks.specs import NetworkPlan
from app.hypervisor.xml.networks import network_build, network_updates
from app.hypervisor.xml.networks.networks import read_plan
from app.hypervisor.xml.write import node
from tests.unit.hypervisor.xml.golden import Edit

UUID = "3d7536fe-e2cc-481f-86ca-dd396ba9b802"
DUID = "00:01:00:01:2a:bc:de:f0:52:54:00:00:00:0a"
RANGE = {"start": "192.0.2.100", "end": "192.0.2.120"}
RANGES = [RANGE, {"start": "192.0.2.130", "end": "192.0.2.140"}]
WEB = {"address": "192.0.2.10", "mac": "52:54:00:00:00:0a", "name": "web"}
DB = {"address": "192.0.2.11", "name": "db"}
IPV4 = {"address": "192.0.2.1/24", "dhcp": RANGES, "reservations": [WEB, DB]}
IPV6 = {
    "address": "2001:db8::1/64",
    "dhcp": [{"start": "2001:db8::100", "end": "2001:db8::1ff"}],
    "reservations": [{"address": "2001:db8::a", "duid": DUID, "name": "web"}],
}
GW = {"address": "192.0.2.9", "names": ["gw", "gw.shop.example"]}
CORP = {"domain": "corp.example", "address": "192.0.2.53"}
LDAP = {
    "service": "ldap",
    "protocol": "tcp",
    "target": "web.shop.example",
    "port": 389,
    "priority": 10,
    "weight": 5,
}
GROUPS = [{"name": "web", "default": True, "in_kbps": 10}, {"name": "db"}]


def built(mode: str, **fields: Any) -> str:
    return network_build.build(NetworkPlan(name=f"net-{mode}", mode=mode, **fields), UUID)


def changed(**fields: Any) -> Callable[[str], str]:
    """The edit from what a definition says to what the case asks for."""

    def change(xml: str) -> str:
        plan = read_plan(xml)
        assert plan is not None
        return network_build.edit(xml, NetworkPlan.model_validate(plan.model_dump() | fields))

    return change


def steps(xml: str, **fields: Any) -> str:
    """The steps from what runs to what the case asks for, as a document."""
    plan = read_plan(xml)
    assert plan is not None
    found = network_updates.updates(xml, plan, NetworkPlan.model_validate(plan.model_dump() | fields))
    tree = node(
        "updates",
        *(
            node(
                "update",
                etree.fromstring(item.xml),
                command=item.command,
                section=item.section,
                subnet=str(item.subnet),
            )
            for item in found
        ),
    )
    etree.indent(tree)
    return etree.tostring(tree, encoding="unicode")


# fmt: off
BUILT = {
    "nat": built("nat"),
    "nat-named-bridge-and-way-out": built("nat", bridge="virbr7", devices=["eth0"], mtu=1450),
    "nat-subnets": built("nat", subnets=[IPV4, IPV6]),
    "nat-reservations-without-range": built("nat", subnets=[{**IPV4, "dhcp": []}]),
    "nat-domain": built("nat", domain="shop.example"),
    "nat-domain-local": built("nat", domain="shop.example", domain_local=True),
    "nat-dns": built("nat", dns_hosts=[GW], dns_forwarders=[CORP, {"address": "192.0.2.54"}, {"domain": "no.example"}], dns_services=[LDAP, {"service": "sip", "protocol": "udp"}]),
    "nat-port-groups": built("nat", port_groups=[*GROUPS, {"name": "both", "in_kbps": 1, "out_kbps": 2}]),
    "nat-rates": built("nat", in_kbps=10000, out_kbps=20000),
    "nat-rate": built("nat", out_kbps=1),
    "nat-with-everything": built("nat", bridge="virbr7", devices=["eth0"], mtu=1450, domain="shop.example", domain_local=True, dns_hosts=[GW], dns_forwarders=[CORP], dns_services=[LDAP], port_groups=GROUPS, in_kbps=1, out_kbps=2, subnets=[IPV4, IPV6]),
    "route": built("route", devices=["eth0"], subnets=[IPV4]),
    "open": built("open", subnets=[IPV6]),
    "isolated": built("isolated"),
    "isolated-without-dns": built("isolated", dns=False, subnets=[{"address": "10.0.0.1/8"}]),
    "bridge": built("bridge", bridge="br0"),
    "bridge-port-groups": built("bridge", bridge="br0", port_groups=GROUPS),
    "macvtap": built("macvtap", devices=["eth0", "eth1"]),
    "macvtap-private": built("macvtap", macvtap_mode="private", devices=["eth0"], vlans=[5]),
    "openvswitch": built("openvswitch", bridge="ovsbr0"),
    "openvswitch-tag": built("openvswitch", bridge="ovsbr0", vlans=[42]),
    "openvswitch-trunk": built("openvswitch", bridge="ovsbr0", vlans=[10, 20], native_vlan=10, port_groups=[{"name": "tagged", "vlans": [42]}, {"name": "trunk", "vlans": [1, 2], "native_vlan": 2}]),
    "hostdev": built("hostdev", devices=["ens1f0"], vlans=[42]),
    "hostile-name": network_build.build(NetworkPlan(name="<img src=x onerror=alert(1)> & \"'", mode="isolated"), UUID),
}
EDITS = {
    "nothing": Edit("nat", changed()),
    "nothing-of-openvswitch": Edit("openvswitch", changed()),
    "nothing-of-macvtap": Edit("macvtap", changed()),
    "nothing-of-hostdev": Edit("hostdev", changed()),
    "nothing-of-the-future": Edit("future", changed()),
    "bridge": Edit("nat", changed(bridge="virbr9"), "bridge"),
    "bridge-of-the-future": Edit("future", changed(bridge="virbr9"), "bridge"),
    "bridge-of-openvswitch": Edit("openvswitch", changed(bridge="ovsbr1"), "bridge"),
    "way-out": Edit("nat", changed(devices=["eth7"]), "forward"),
    "way-out-any": Edit("nat", changed(devices=[]), "forward"),
    "way-out-of-the-future": Edit("future", changed(devices=["eth7"]), "forward"),
    "mtu": Edit("nat", changed(mtu=9000), "mtu"),
    "mtu-first": Edit("isolated", changed(mtu=9000), "mtu"),
    "mtu-default": Edit("nat", changed(mtu=None), "mtu"),
    "domain": Edit("nat", changed(domain="sales.example"), "domain"),
    "domain-not-local": Edit("nat", changed(domain_local=False), "domain"),
    "domain-none": Edit("nat", changed(domain=None, domain_local=False), "domain"),
    "domain-first": Edit("isolated", changed(domain="lab", domain_local=True), "domain"),
    "domain-of-the-future": Edit("future", changed(domain="lab"), "domain"),
    "dns-off": Edit("nat", changed(dns=False), "dns"),
    "dns-on": Edit("isolated", changed(dns=True), "dns"),
    "dns-host-more-names": Edit("nat", changed(dns_hosts=[{**GW, "names": ["gw", "router"]}]), "dns"),
    "dns-host-new": Edit("nat", changed(dns_hosts=[GW, {"address": "192.0.2.8", "names": ["ns"]}]), "dns"),
    "dns-hosts-none": Edit("nat", changed(dns_hosts=[]), "dns"),
    "dns-host-of-the-future": Edit("future", changed(dns_hosts=[{"address": "192.0.2.9", "names": ["gw2"]}]), "dns"),
    "dns-forwarders": Edit("nat", changed(dns_forwarders=[CORP, {"domain": "no.example"}]), "dns"),
    "dns-services": Edit("nat", changed(dns_services=[{**LDAP, "port": 636}]), "dns"),
    "dns-services-none": Edit("nat", changed(dns_services=[]), "dns"),
    "rate-keeps-its-peak": Edit("nat", changed(in_kbps=2000), "bandwidth"),
    "rate-above-its-peak": Edit("nat", changed(out_kbps=300), "bandwidth"),
    "rate-off": Edit("nat", changed(in_kbps=None), "bandwidth"),
    "rates-off": Edit("nat", changed(in_kbps=None, out_kbps=None), "bandwidth"),
    "rates-first": Edit("isolated", changed(in_kbps=1, out_kbps=2), "bandwidth"),
    "rates-off-of-the-future": Edit("future", changed(in_kbps=None), "bandwidth"),
    "subnet-address": Edit("nat", changed(subnets=[{**IPV4, "address": "192.0.2.2/25"}, IPV6]), "ip"),
    "subnet-elsewhere": Edit("nat", changed(subnets=[{"address": "198.51.100.1/24"}, IPV6]), "ip"),
    "subnet-gone": Edit("nat", changed(subnets=[IPV4]), "ip"),
    "subnet-new": Edit("nat", changed(subnets=[IPV4, IPV6, {"address": "198.51.100.1/24", "dhcp": [{"start": "198.51.100.2", "end": "198.51.100.9"}]}]), "ip"),
    "subnet-for-the-other-family": Edit("isolated", changed(subnets=[IPV6]), "ip"),
    "subnet-classful": Edit("isolated", changed(subnets=[{"address": "10.0.0.1/8", "dhcp": [{"start": "10.0.0.2", "end": "10.0.0.9"}]}]), "ip"),
    "subnet-of-the-future": Edit("future", changed(subnets=[{"address": "192.0.2.1/25", "dhcp": [{"start": "192.0.2.2", "end": "192.0.2.9"}]}]), "ip"),
    "range-gone": Edit("nat", changed(subnets=[{**IPV4, "dhcp": [RANGE]}, IPV6]), "ip"),
    "range-new": Edit("nat", changed(subnets=[{**IPV4, "dhcp": [*RANGES, {"start": "192.0.2.150", "end": "192.0.2.160"}]}, IPV6]), "ip"),
    "reservation-name": Edit("nat", changed(subnets=[{**IPV4, "reservations": [{**WEB, "name": "shop"}, DB]}, IPV6]), "ip"),
    "reservation-mac": Edit("nat", changed(subnets=[{**IPV4, "reservations": [{**WEB, "mac": "52:54:00:00:00:0b"}, DB]}, IPV6]), "ip"),
    "reservation-gone": Edit("nat", changed(subnets=[{**IPV4, "reservations": [DB]}, {**IPV6, "reservations": []}]), "ip"),
    "reservation-new": Edit("nat", changed(subnets=[{**IPV4, "reservations": [WEB, DB, {"address": "192.0.2.12", "mac": "52:54:00:00:00:0c"}]}, IPV6]), "ip"),
    "dhcp-none": Edit("nat", changed(subnets=[IPV4, {"address": "2001:db8::1/64"}]), "ip"),
    "vlans": Edit("openvswitch", changed(vlans=[10, 20, 30], native_vlan=20), "vlan"),
    "vlan-one": Edit("openvswitch", changed(vlans=[10], native_vlan=None), "vlan"),
    "vlans-none": Edit("openvswitch", changed(vlans=[], native_vlan=None), "vlan"),
    "vlan-of-hostdev": Edit("hostdev", changed(vlans=[7]), "vlan"),
    "vlan-first": Edit("macvtap", changed(vlans=[7]), "vlan"),
    "port-group-rate": Edit("nat", changed(port_groups=[{**GROUPS[0], "in_kbps": 11}, GROUPS[1]]), "portgroup"),
    "port-group-default": Edit("nat", changed(port_groups=[{**GROUPS[0], "default": False}, {"name": "db", "default": True}]), "portgroup"),
    "port-group-gone": Edit("nat", changed(port_groups=[GROUPS[0]]), "portgroup"),
    "port-group-new": Edit("nat", changed(port_groups=[*GROUPS, {"name": "mail", "out_kbps": 9}]), "portgroup"),
    "port-group-vlan": Edit("openvswitch", changed(port_groups=[{"name": "tagged", "vlans": [43, 44], "native_vlan": 43}]), "portgroup"),
    "port-group-of-the-future": Edit("future", changed(port_groups=[{"name": "web", "default": True}]), "portgroup"),
    "macvtap-devices": Edit("macvtap", changed(devices=["eth1", "eth2"]), "forward"),
    "macvtap-mode": Edit("macvtap", changed(macvtap_mode="vepa"), "forward"),
    "hostdev-card": Edit("hostdev", changed(devices=["ens2f0"]), "forward"),
}
RICH = built("nat", dns_hosts=[GW], dns_services=[LDAP], port_groups=GROUPS, subnets=[{**IPV4, "dhcp": [RANGE]}, IPV6])
NAT = (Path(__file__).parent / "golden" / "before" / "nat.xml").read_text()
STEPS = {
    "steps-none": steps(RICH),
    "steps-not-while-it-runs": steps(RICH, mtu=9000, bridge="virbr9", domain="x", in_kbps=1),
    "steps-reservation-changed": steps(RICH, subnets=[{**IPV4, "dhcp": [RANGE], "reservations": [{**WEB, "name": "shop"}, DB]}, IPV6]),
    "steps-reservations-gone": steps(RICH, subnets=[{**IPV4, "dhcp": [RANGE], "reservations": []}, {**IPV6, "reservations": []}]),
    "steps-ranges": steps(RICH, subnets=[{**IPV4, "dhcp": [RANGES[1]]}, IPV6]),
    "steps-subnet-elsewhere": steps(RICH, subnets=[{**IPV4, "dhcp": [], "address": "198.51.100.1/24", "reservations": []}, IPV6]),
    "steps-dns": steps(RICH, dns_hosts=[{"address": "192.0.2.8", "names": ["ns", "ns2"]}], dns_services=[{**LDAP, "port": 636}]),
    "steps-port-groups": steps(RICH, port_groups=[{**GROUPS[0], "in_kbps": 7}, {"name": "mail"}]),
    "steps-keep-what-runs": steps(NAT, subnets=[{**IPV4, "reservations": [{**WEB, "name": "shop"}, DB]}, IPV6], port_groups=[{**GROUPS[0], "in_kbps": 11}, GROUPS[1]]),
    "steps-macvtap": steps(built("macvtap", devices=["eth0", "eth1"]), devices=["eth1", "eth2"]),
    "steps-tags-of-port-groups": steps(built("openvswitch", bridge="ovsbr0", port_groups=[{"name": "a", "vlans": [1]}]), port_groups=[{"name": "a", "vlans": [2, 3], "native_vlan": 3}]),
}
# fmt: on
NEWER = {"future"}
