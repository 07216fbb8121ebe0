"""The lab's network: a switch in a network namespace, a cable from it to each host, and one to the machine.

Everything but two routes of the machine, the blackhole and its own address, belongs to a namespace that ends
with its processes. The machine's address in the lab is a local route and not an address of an interface: a
browser gives up every request under way, even one to loopback, when an address of the machine changes.
"""

import json
from ipaddress import IPv4Address, IPv4Network

from app.lab.errors import LabError
from app.lab.hosts import namespace
from app.lab.process import run
from app.lab.state import HostState, LabState

# Marks our routes in `ip route` (a number of the range that no routing daemon has).
ROUTE_PROTOCOL = "249"
BRIDGE = "br0"
CABLE_PREFIX = "vlab-"
RULE_COMMENT = "vigie-lab-cut"


def close_range(address_range: IPv4Network) -> None:
    """Make sure that nothing sent to the range ever leaves this machine.

    Raises LabError when the machine already has a route or an address in it.
    """
    for route in _routes():
        target = route.get("dst", "default")
        if target == "default" or route.get("protocol") == ROUTE_PROTOCOL:
            continue
        if IPv4Network(target, strict=False).overlaps(address_range) and not _is_lab_cable(route):
            raise LabError(
                f"{address_range} is in use on this machine (route to {target} by {route.get('dev', '?')}); "
                "give the lab another range with --range or VIGIE_LAB_RANGE."
            )
    run(["ip", "route", "replace", "blackhole", str(address_range), "proto", ROUTE_PROTOCOL])


def remove_routes_but(labs: list[LabState]) -> None:
    """Take away every blackhole and every local route of ours but those of these labs."""
    kept = {str(lab.address_range) for lab in labs} | {str(lab.machine_address) for lab in labs}
    for route in _routes():
        if route.get("protocol") == ROUTE_PROTOCOL and route["dst"] not in kept:
            kind = "local" if route.get("dev") == "lo" else "blackhole"
            _remove_route(kind, str(route["dst"]))


def machine_cable(state: LabState) -> str:
    """Name of the machine's own end of the cable into the lab."""
    return f"{CABLE_PREFIX}{state.id}"


def connect_machine(state: LabState, switch_pid: int) -> None:
    """Make the bridge in the switch and connect the machine with it."""
    cable = machine_cable(state)
    run(["ip", "link", "add", cable, "type", "veth", "peer", "name", "machine", "netns", str(switch_pid)])
    # No IPv6 of its own making: the machine should say nothing into the lab by itself.
    run(["ip", "link", "set", cable, "addrgenmode", "none"])
    run(["ip", "link", "set", cable, "up"])
    address = str(state.machine_address)
    run(["ip", "route", "replace", "local", address, "dev", "lo", "proto", ROUTE_PROTOCOL])
    run(["ip", "route", "add", str(state.subnet), "dev", cable, "src", address])
    _ip(switch_pid, "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    _ip(switch_pid, "link", "set", "machine", "master", BRIDGE)
    _ip(switch_pid, "link", "set", "machine", "up")
    _ip(switch_pid, "link", "set", BRIDGE, "up")


def disconnect_machine(state: LabState) -> None:
    """Remove the machine's cable, if its switch did not take it along, and the machine's address."""
    run(["ip", "link", "del", machine_cable(state)], check=False)
    _remove_route("local", str(state.machine_address))


def connect_host(host: HostState, host_pid: int, switch_pid: int) -> None:
    """Plug the host into the switch and give it its address. No default route: nothing lies beyond."""
    port = port_name(host)
    _ip(switch_pid, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(host_pid))
    _ip(switch_pid, "link", "set", port, "master", BRIDGE)
    _ip(switch_pid, "link", "set", port, "up")
    _ip(host_pid, "link", "set", "lo", "up")
    # The same card after every boot: others remember its address for a while.
    _ip(host_pid, "link", "set", "eth0", "address", hardware_address(host))
    _ip(host_pid, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip(host_pid, "link", "set", "eth0", "up")


def unplug_host(host: HostState, switch_pid: int) -> None:
    """Pull the host's cable for good, so that a dead host is silent at once."""
    run(_ip_command(switch_pid, "link", "del", port_name(host)), check=False)


def set_link(host: HostState, switch_pid: int, *, up: bool) -> None:
    """Take the switch's port of the host down or up: no packet passes either way."""
    _ip(switch_pid, "link", "set", port_name(host), "up" if up else "down")


def drop(host_pid: int, chain: str) -> None:
    """Drop what comes in (`INPUT`) or goes out (`OUTPUT`) by the host's cable."""
    allow(host_pid, chain)
    run(namespace.inside_command(host_pid, ["iptables", "-w", "5", "-I", *_rule(chain)]))


def allow(host_pid: int, chain: str) -> None:
    """Take the rule of `drop` away, if it is there."""
    delete = namespace.inside_command(host_pid, ["iptables", "-w", "5", "-D", *_rule(chain)])
    while run(delete, check=False).returncode == 0:
        pass


def host_address(subnet: IPv4Network, number: int) -> IPv4Address:
    """Address of the nth host (counted from 1)."""
    return subnet.network_address + 10 + number


def hardware_address(host: HostState) -> str:
    """MAC address of the host's card, locally administered."""
    return "02:76:" + ":".join(f"{byte:02x}" for byte in host.address.packed)


def port_name(host: HostState) -> str:
    """The host's port at the switch."""
    return f"port{host.number}"


def _rule(chain: str) -> list[str]:
    side = "-i" if chain == "INPUT" else "-o"
    return [chain, side, "eth0", "-m", "comment", "--comment", RULE_COMMENT, "-j", "DROP"]


def _ip_command(pid: int, *words: str) -> list[str]:
    return namespace.inside_command(pid, ["ip", *words], network_only=True)


def _ip(pid: int, *words: str) -> None:
    run(_ip_command(pid, *words))


def _remove_route(kind: str, target: str) -> None:
    run(["ip", "route", "del", kind, target, "proto", ROUTE_PROTOCOL], check=False)


def _routes() -> list[dict[str, object]]:
    listed = run(["ip", "-json", "-N", "-4", "route", "show", "table", "all"]).stdout
    routes: list[dict[str, object]] = json.loads(listed or "[]")
    return routes


def _is_lab_cable(route: dict[str, object]) -> bool:
    return str(route.get("dev", "")).startswith(CABLE_PREFIX)
