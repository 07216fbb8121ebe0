"""Rules of networks: each names the field that breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import InvalidInput
from app.core.networks.rules import check, check_neighbours
from app.core.networks.specs import NetworkPlan

NET = {"address": "192.0.2.1/24"}
RANGE = {"start": "192.0.2.100", "end": "192.0.2.199"}


def plan(**fields: Any) -> NetworkPlan:
    return NetworkPlan.model_validate({"name": "shop", "mode": "nat", "subnets": [NET], **fields})


def subnet(**fields: Any) -> list[dict[str, Any]]:
    return [NET | fields]


def broken(requested: NetworkPlan) -> str:
    with pytest.raises(InvalidInput) as refused:
        check(requested)
    return refused.value.field


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"subnets": subnet(dhcp=[RANGE])},
        {
            "subnets": [
                *subnet(),
                {"address": "2001:db8::1/64", "dhcp": [{"start": "2001:db8::2", "end": "2001:db8::9"}]},
            ]
        },
        {"mode": "isolated", "subnets": []},
        {"mode": "bridge", "subnets": [], "bridge": "br0"},
        {"mode": "macvtap", "subnets": [], "macvtap_mode": "passthrough", "devices": ["eth0"], "vlans": [7]},
        {"mode": "openvswitch", "subnets": [], "bridge": "ovs", "vlans": [1, 2], "native_vlan": 2},
        {"mode": "hostdev", "subnets": [], "devices": ["ens1f0"]},
        {"subnets": [{"address": "192.0.2.0/31"}]},
    ],
)
def test_what_fits_passes(fields: dict[str, Any]) -> None:
    check(plan(**fields))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"subnets": []}, "subnets"),
        ({"mode": "bridge", "bridge": "br0"}, "subnets"),
        ({"mode": "bridge", "subnets": []}, "bridge"),
        ({"mode": "macvtap", "subnets": [], "macvtap_mode": "bridge"}, "devices"),
        ({"mode": "macvtap", "subnets": [], "devices": ["eth0"]}, "macvtap_mode"),
        ({"macvtap_mode": "bridge"}, "macvtap_mode"),
        ({"devices": ["eth0", "eth1"]}, "devices"),
        ({"mode": "isolated", "devices": ["eth0"]}, "devices"),
        ({"mode": "macvtap", "subnets": [], "macvtap_mode": "vepa", "devices": ["e", "e"]}, "devices"),
        ({"mode": "bridge", "subnets": [], "bridge": "br0", "domain": "x"}, "domain"),
        ({"mode": "bridge", "subnets": [], "bridge": "br0", "in_kbps": 5}, "in_kbps"),
        ({"mode": "hostdev", "subnets": [], "devices": ["e"], "mtu": 1500}, "mtu"),
        ({"domain_local": True}, "domain_local"),
        ({"vlans": [5]}, "vlans"),
        ({"mode": "hostdev", "subnets": [], "devices": ["e"], "vlans": [1, 2]}, "vlans"),
        ({"mode": "openvswitch", "subnets": [], "bridge": "o", "vlans": [1, 1]}, "vlans"),
        ({"mode": "openvswitch", "subnets": [], "bridge": "o", "vlans": [1], "native_vlan": 2}, "native_vlan"),
        ({"port_groups": [{"name": "a"}, {"name": "a"}]}, "port_groups.1.name"),
        ({"port_groups": [{"name": "a", "default": True}, {"name": "b", "default": True}]}, "port_groups.1.default"),
        ({"port_groups": [{"name": "a", "vlans": [5]}]}, "port_groups.0.vlans"),
        ({"subnets": [{"address": "192.0.2.0/24"}]}, "subnets.0.address"),
        ({"subnets": [{"address": "192.0.2.255/24"}]}, "subnets.0.address"),
        ({"subnets": [{"address": "192.0.2.1/33"}]}, "subnets.0.address"),
        ({"subnets": [{"address": "127.0.0.1/8"}]}, "subnets.0.address"),
        ({"subnets": [{"address": "224.0.0.1/24"}]}, "subnets.0.address"),
        ({"subnets": [NET, {"address": "192.0.2.129/25"}]}, "subnets.1.address"),
        ({"mtu": 1000, "subnets": [{"address": "2001:db8::1/64"}]}, "mtu"),
        ({"subnets": [{"address": "2001:db8::1/80", "dhcp": [{"start": "2001:db8::2", "end": "2001:db8::9"}]}]}, "subnets.0.address"),
        ({"subnets": subnet(dhcp=[{"start": "198.51.100.1", "end": "192.0.2.9"}])}, "subnets.0.dhcp.0.start"),
        ({"subnets": subnet(dhcp=[{"start": "192.0.2.9", "end": "192.0.2.8"}])}, "subnets.0.dhcp.0.end"),
        ({"subnets": subnet(dhcp=[{"start": "192.0.2.1", "end": "192.0.2.8"}])}, "subnets.0.dhcp.0.start"),
        ({"subnets": subnet(dhcp=[{"start": "192.0.2.9", "end": "192.0.2.255"}])}, "subnets.0.dhcp.0.end"),
        ({"subnets": subnet(dhcp=[RANGE, {"start": "192.0.2.150", "end": "192.0.2.200"}])}, "subnets.0.dhcp.1.start"),
        ({"subnets": [{"address": "10.0.0.1/8", "dhcp": [{"start": "10.1.0.0", "end": "10.9.0.0"}]}]}, "subnets.0.dhcp.0.end"),
        ({"subnets": subnet(reservations=[{"address": "192.0.2.9"}])}, "subnets.0.reservations.0.mac"),
        ({"subnets": subnet(reservations=[{"address": "192.0.2.1", "name": "a"}])}, "subnets.0.reservations.0.address"),
        ({"subnets": subnet(reservations=[{"address": "198.51.100.9", "name": "a"}])}, "subnets.0.reservations.0.address"),
        (
            {"subnets": subnet(reservations=[{"address": "192.0.2.9", "name": "a"}, {"address": "192.0.2.9", "name": "b"}])},
            "subnets.0.reservations.1.address",
        ),
        (
            {"subnets": subnet(reservations=[{"address": "192.0.2.9", "name": "a"}, {"address": "192.0.2.8", "name": "A"}])},
            "subnets.0.reservations.1.name",
        ),
        (
            {"subnets": [{"address": "2001:db8::1/64", "reservations": [{"address": "2001:db8::9", "mac": "52:54:00:00:00:01"}]}]},
            "subnets.0.reservations.0.duid",
        ),
        ({"dns_hosts": [{"address": "1.2.3", "names": ["a"]}]}, "dns_hosts.0.address"),
        ({"dns_hosts": [{"address": "192.0.2.9", "names": ["a"]}, {"address": "192.0.2.9", "names": ["b"]}]}, "dns_hosts.1.address"),
        ({"dns_forwarders": [{}]}, "dns_forwarders.0.address"),
        ({"dns": False, "dns_hosts": [{"address": "192.0.2.9", "names": ["a"]}]}, "dns"),
    ],
)  # fmt: skip
def test_what_does_not_fit_names_its_field(fields: dict[str, Any], field: str) -> None:
    assert broken(plan(**fields)) == field


def test_neighbours_leave_room() -> None:
    check_neighbours(plan(), [("other", "198.51.100.1/24"), ("strange", "no address")], "203.0.113.1")
    with pytest.raises(InvalidInput, match=r"192\.0\.2\.0/24 overlaps 192\.0\.0\.0/16 of the network big"):
        check_neighbours(plan(), [("big", "192.0.9.9/16")])
    with pytest.raises(InvalidInput, match=r"holds 192\.0\.2\.7"):
        check_neighbours(plan(), [], "192.0.2.7")
    six = plan(subnets=[{"address": "2001:db8::1/64"}])
    check_neighbours(six, [("four", "192.0.2.1/24")], "192.0.2.7")
    with pytest.raises(InvalidInput, match="by which Vigie reaches the host"):
        check_neighbours(six, [], "[2001:db8::7]")
