"""A lab leaves nothing behind, however it ended, and never lets a packet out."""

import json
import signal
import socket
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.lab.cli import app
from app.lab.errors import LabError
from app.lab.hosts import namespace, network
from app.lab.lab import Lab

RANGE = IPv4Network("198.19.240.0/22")


def traces(lab: Lab) -> list[str]:
    """Everything on the machine that names this lab."""
    state = lab.state
    shown = [
        subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        for command in (
            ["ip", "-o", "link"],
            ["ip", "-4", "route", "show", "table", "all"],
            ["losetup", "-l"],
        )
    ]
    lines = "\n".join([*shown, Path("/proc/mounts").read_text()]).splitlines()
    marks = (
        network.machine_cable(state),
        str(state.data),
        str(state.run),
        str(state.subnet.network_address)[:-1],
    )
    found = [line for line in lines if any(mark in line for mark in marks)]
    found += [str(path) for path in (state.data, state.run) if path.exists()]
    found += [f"process {host.name}" for host in lab.hosts if host.is_alive]
    return found


@pytest.mark.timeout(120)
def test_kill_9_of_everything_then_down_leaves_nothing(tmp_path: Path) -> None:
    lab = Lab.up(1, tmp_path, address_range=RANGE)
    host = lab.hosts[0]
    host.create_guest("running", start=True, boots=False)
    with pytest.raises(OSError), socket.create_connection(("198.19.243.9", 80), 2):
        pass
    everybody = [process.pid for process in namespace.processes(host.init_pid)]
    everybody += [host.init_pid, host.switch_pid]
    for pid in everybody:
        namespace.send(pid, signal.SIGKILL)
    assert traces(lab)
    blackhole = ["ip", "route", "show", "type", "blackhole"]
    assert (
        str(RANGE) in subprocess.run(blackhole, capture_output=True, text=True, timeout=5, check=True).stdout
    )
    done = CliRunner().invoke(app, ["down", "--id", lab.state.id])
    assert done.exit_code == 0, done.output
    assert traces(lab) == []
    assert (
        str(RANGE)
        not in subprocess.run(blackhole, capture_output=True, text=True, timeout=5, check=True).stdout
    )
    assert list(tmp_path.iterdir()) == []


def test_a_lab_changes_no_address_of_the_machine(lab: Lab) -> None:
    # A browser gives up the requests under way, to any server, when one does: scripts of a page went missing.
    command = ["ip", "-o", "-4", "address"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    assert "127.0.0.1/8" in shown
    assert str(lab.state.machine_address) not in shown
    assert network.machine_cable(lab.state) not in shown


def test_two_labs_live_side_by_side(lab: Lab) -> None:
    other = Lab.up(1)
    try:
        assert other.state.subnet != lab.state.subnet
        assert other.hosts[0].virsh("hostname") == "kvm-01"
        with pytest.raises(LabError, match="--id"):
            Lab.attach()
    finally:
        other.down()
    assert lab.hosts[0].virsh("hostname") == "kvm-01"


def test_range_in_use_is_refused() -> None:
    with pytest.raises(LabError, match="in use"):
        Lab.up(1, address_range=IPv4Network("127.8.0.0/16"))


def test_status_and_exec_by_command_line(lab: Lab) -> None:
    shown = CliRunner().invoke(app, ["status", "--id", lab.state.id, "--json"])
    report = json.loads(shown.output)[0]
    assert [host["address"] for host in report["hosts"]] == [host.address for host in lab.hosts]
    assert {host["daemon"] for host in report["hosts"]} == {"running"}
    assert lab.hosts[1].exec("hostname").stdout.strip() == "kvm-02"
