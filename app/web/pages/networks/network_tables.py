"""The lists of networks: all of them, their names across the fleet, the hosts of one name, filters, MAC addresses."""

from __future__ import annotations

from app.core.messages import N_
from app.core.networks.nwfilters import NwfilterQuery, NwfilterRecord
from app.core.networks.records import LogicalNetworkHost, LogicalNetworkRecord, MacConflict, NetworkRecord
from app.core.networks.specs import LogicalNetworkHostsQuery, NetworkQuery
from app.core.specs import ListQuery
from app.web.pages.rendering.table_types import Choice, Column, CreateLink, Empty, Table
from app.web.pages.rendering.titles import TITLES

MODE_TITLES = TITLES["network_mode"]
FIELD_TITLES: dict[str, str] = {
    "mode": N_("Mode"),
    "bridge": N_("Bridge"),
    "addresses": N_("Subnets"),
    "vlan": N_("VLAN"),
    "mtu": N_("MTU"),
}
_LIBVIRT = ("nat", "route", "isolated", "open", "bridge", "private", "vepa", "passthrough", "hostdev")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


NETWORKS: Table[NetworkRecord] = Table(
    key="networks",
    title=N_("Networks"),
    path="/networks",
    cells="networks/_cells.html",
    create=CreateLink(N_("New network…"), "/networks/new", "network.edit"),
    query=NetworkQuery,
    live="tree",
    choices=(
        Choice("mode", N_("Mode"), tuple((mode, MODE_TITLES[mode]) for mode in _LIBVIRT)),
        Choice("active", N_("State"), (("true", N_("Active")), ("false", N_("Inactive")))),
    ),
    columns=(
        Column("name", N_("Network"), lambda network: network.name, sort="name", pinned=True),
        Column("state", N_("State"), lambda network: "active" if network.active else "inactive"),
        Column("host", N_("Host"), lambda network: network.host_name, sort="host"),
        Column("mode", N_("Mode"), lambda network: network.forward_mode, sort="mode"),
        Column("bridge", N_("Bridge"), lambda network: network.bridge),
        Column("addresses", N_("Subnets"), lambda network: " ".join(network.addresses)),
        Column("dhcp", N_("DHCP"), lambda network: _yes(network.dhcp)),
        Column("vms", N_("VMs"), lambda network: network.vm_count, number=True),
        Column("vlan", N_("VLAN"), lambda network: network.vlan, shown=False),
        Column("mtu", N_("MTU"), lambda network: network.mtu, number=True, shown=False),
        Column("autostart", N_("Autostart"), lambda network: _yes(network.autostart), shown=False),
        Column("seen", N_("Seen"), lambda network: str(network.observed_at or "")),
    ),
    empty=Empty(
        N_("No networks."),
        N_("Networks appear here as soon as a host has one; virsh net-list shows what a host knows."),
        N_("Create a network"),
        "/networks/new",
        "network.edit",
    ),
)

LOGICAL_NETWORKS: Table[LogicalNetworkRecord] = Table(
    key="network-names",
    title=N_("Networks by name"),
    path="/networks/logical",
    cells="networks/_logical_network_cells.html",
    create=CreateLink(N_("New network…"), "/networks/new", "network.edit"),
    query=ListQuery,
    live="tree",
    columns=(
        Column("name", N_("Name"), lambda row: row.name, sort="name", pinned=True),
        Column("hosts", N_("Hosts"), lambda row: row.hosts, sort="hosts", number=True),
        Column("missing", N_("Hosts without it"), lambda row: row.missing, number=True),
        Column("active", N_("Active"), lambda row: row.active, sort="active", number=True),
        Column("differing", N_("Different"), lambda row: row.differing, number=True),
        Column("mode", N_("Mode"), lambda row: row.mode),
        Column("bridge", N_("Bridge"), lambda row: row.bridge),
        Column("addresses", N_("Subnets"), lambda row: " ".join(row.addresses)),
    ),
    empty=Empty(N_("No networks."), N_("Here you see on which hosts a network of a name exists.")),
)

LOGICAL_NETWORK_HOSTS: Table[LogicalNetworkHost] = Table(
    key="network-places",
    title=N_("Hosts"),
    path="/networks/hosts",
    cells="networks/_logical_network_host_cells.html",
    query=LogicalNetworkHostsQuery,
    live="tree",
    exportable=False,
    choices=(
        Choice(
            "show",
            N_("Hosts"),
            (
                ("differs", N_("where it is different")),
                ("missing", N_("without it")),
                ("inactive", N_("where it is off")),
            ),
        ),
    ),
    columns=(
        Column("host", N_("Host"), lambda row: row.host.name, sort="host", pinned=True),
        Column("network", N_("Network"), lambda row: row.network_id),
        Column("mode", N_("Mode"), lambda row: row.mode),
        Column("bridge", N_("Bridge"), lambda row: row.bridge),
        Column("addresses", N_("Subnets"), lambda row: " ".join(row.addresses)),
        Column("vlan", N_("VLAN"), lambda row: row.vlan),
        Column("mtu", N_("MTU"), lambda row: row.mtu),
    ),
    empty=Empty(N_("No hosts."), N_("Every host that has or lacks the network is listed here.")),
)

FILTERS: Table[NwfilterRecord] = Table(
    key="filters",
    title=N_("Network filters"),
    path="/nwfilters",
    cells="networks/_nwfilter_cells.html",
    create=CreateLink(N_("New filter…"), "/nwfilters/new", "network.edit"),
    query=NwfilterQuery,
    choices=(Choice("built_in", N_("Origin"), (("false", N_("Your own")), ("true", N_("Of libvirt")))),),
    columns=(
        Column("name", N_("Name"), lambda row: row.name, sort="name", pinned=True),
        Column("host", N_("Host"), lambda row: row.host_name, sort="host"),
        Column("origin", N_("Origin"), lambda row: "libvirt" if row.built_in else ""),
        Column("seen", N_("Seen"), lambda row: str(row.observed_at or "")),
    ),
    empty=Empty(
        N_("No network filters."),
        N_("Filters appear here a few minutes after a host connects, where its libvirt has them."),
        N_("Create a filter"),
        "/nwfilters/new",
        "network.edit",
    ),
)

MAC_CONFLICTS: Table[MacConflict] = Table(
    key="mac-conflicts",
    title=N_("MAC conflicts"),
    path="/networks/mac-conflicts",
    cells="networks/_mac_conflict_cells.html",
    query=ListQuery,
    exportable=False,
    columns=(
        Column("mac", N_("MAC address"), lambda row: row.mac, sort="mac", pinned=True),
        Column("users", N_("VMs"), lambda row: len(row.users), sort="users"),
    ),
    empty=Empty(
        N_("No MAC address is there twice."),
        N_("VMs with the same address lose traffic to each other once they share a network."),
    ),
)
