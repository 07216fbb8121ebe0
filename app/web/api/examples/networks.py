"""Examples of what goes in and comes out about networks, by name of the schema: single ones, and rows of lists."""

from __future__ import annotations

Json = dict[str, object]

_HOST = "host_b2c3d4e5f6g7h2i3"
_VM = "vm_c2d3e4f5g6h7i2j3"
_NETWORK = "net_f2g3h4i5j6k7l2m3"
_OBSERVED: Json = {"stale": False, "observed_at": "2026-11-23T07:30:00Z"}
_NETWORK_RECORD: Json = {
    "id": _NETWORK,
    "uuid": "9a7f7a55-6f4a-4b1c-a8f1-d6a3a6c0c3b2",
    "name": "default",
    "host_id": _HOST,
    "host_name": "kvm-01",
    "active": True,
    "autostart": True,
    "persistent": True,
    **_OBSERVED,
    "bridge": "virbr0",
    "forward_mode": "nat",
    "addresses": ["192.168.122.1/24"],
    "dhcp": True,
}
_NETWORK_PLAN: Json = {
    "name": "shop",
    "mode": "nat",
    "subnets": [
        {
            "address": "192.0.2.1/24",
            "dhcp": [{"start": "192.0.2.100", "end": "192.0.2.199"}],
            "reservations": [{"address": "192.0.2.10", "mac": "52:54:00:12:34:56", "name": "web-01"}],
        }
    ],
}
_NWFILTER: Json = {
    "name": "shop-web",
    "default_in": "drop",
    "rules": [
        {
            "action": "accept",
            "direction": "in",
            "protocol": "tcp",
            "port_start": 443,
            "source": "192.0.2.0/24",
        }
    ],
    "references": ["clean-traffic"],
}
_NWFILTER_RECORD: Json = {
    "id": "nwf_m2n3o4p5q6r7s2t3",
    "uuid": "2f7a1c2d-52e5-4b0e-9e3c-1c0fba7c6d44",
    "name": "shop-web",
    "host_id": _HOST,
    "host_name": "kvm-01",
    "built_in": False,
    **_OBSERVED,
}
_HOST_REF: Json = {"kind": "host", "id": _HOST, "name": "kvm-01"}
_NETWORK_NAME: Json = {
    "name": "shop",
    "hosts": 12,
    "missing": 1,
    "active": 11,
    "differing": 1,
    "variants": 2,
    "mode": "nat",
    "bridge": "virbr1",
    "addresses": ["192.0.2.1/24"],
    "sample_id": _NETWORK,
}
_LOGICAL_NETWORK_HOST: Json = {
    "host": _HOST_REF,
    "stale": False,
    "network_id": _NETWORK,
    "active": True,
    "differs": ["mtu"],
    "mode": "nat",
    "bridge": "virbr1",
    "addresses": ["192.0.2.1/24"],
    "mtu": 9000,
}
_MAC_CONFLICT: Json = {
    "mac": "52:54:00:12:34:56",
    "users": [
        {"vm": {"kind": "vm", "id": _VM, "name": "web-01"}, "host": _HOST_REF},
        {"vm": {"kind": "vm", "id": "vm_d2e3f4g5h6i7j2k3", "name": "web-02"}, "host": _HOST_REF},
    ],
}

NETWORKS: dict[str, Json] = {
    "NetworkRecord": _NETWORK_RECORD,
    "NetworkDetail": _NETWORK_RECORD | {"plan": _NETWORK_PLAN, "version": 91_542_880},
    "NetworkSpec": _NETWORK_PLAN | {"host_id": _HOST},
    "NetworkPatch": {"mtu": 1450, "autostart": True},
    "NetworkCopy": {"host_ids": [_HOST]},
    "NwfilterSpec": _NWFILTER | {"host_id": _HOST},
    "NwfilterPatch": {"default_in": "accept"},
    "NwfilterDetail": _NWFILTER_RECORD | {"plan": _NWFILTER, "version": 82_771_003},
    "Page_NetworkRecord_": {"items": [_NETWORK_RECORD], "next": None, "total": 1},
    "Page_NwfilterRecord_": {"items": [_NWFILTER_RECORD], "next": None, "total": 1},
    "Page_LogicalNetworkRecord_": {"items": [_NETWORK_NAME], "next": None, "total": 1},
    "Page_LogicalNetworkHost_": {"items": [_LOGICAL_NETWORK_HOST], "next": None, "total": 1},
    "Page_MacConflict_": {"items": [_MAC_CONFLICT], "next": None, "total": 1},
}
