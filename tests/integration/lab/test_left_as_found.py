"""A test that leaves the lab otherwise than it found it fails itself, and the next one finds it whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = [pytest.mark.lab]

ROOT = Path(__file__).parents[3]
# Each leaves something; after each comes one that leaves nothing, and looks whether all hosts are well.
TESTS = """
import subprocess
import pytest

def leave_a_guest(host):
    host.create_guest("left", boots=False, start=True)

def leave_a_pool(host):
    host.virsh("pool-define-as", "left", "dir", "--target", "/var/lib/libvirt/left")

def stop_a_pool(host):
    host.virsh("pool-destroy", "local")

def change_a_network(host):
    host.virsh("net-autostart", "default", "--disable")

def leave_a_filter(host):
    (host.run_directory / "left.xml").write_text("<filter name='left' chain='root'/>")
    host.virsh("nwfilter-define", str(host.run_directory / "left.xml"))

def leave_a_rule(host):
    host.cut_in()

def leave_a_frozen_daemon(host):
    host.freeze()

def leave_a_dead_host(host):
    host.kill_host()

def leave_a_process(host):
    host.exec("sh", "-c", "exec setsid sleep 1234 > /dev/null 2>&1 < /dev/null &")

LEAVE = [each for name, each in dict(globals()).items() if name.startswith(("leave", "stop", "change"))]

@pytest.mark.parametrize("leave", LEAVE, ids=lambda leave: leave.__name__)
class TestEach:
    def test_leaves(self, lab, leave):
        leave(lab.hosts[0])

    def test_finds_all_well(self, lab, leave):
        for host in lab.hosts:
            assert host.virsh("list", "--all", "--name") == ""
            assert host.virsh("pool-list", "--name").split() == ["local", "shared"]
            assert host.virsh("net-list", "--autostart", "--name").split() == ["default"]
            assert host.virsh("nwfilter-list") == ""
            assert "DROP" not in host.exec("iptables-save").stdout
            assert host.exec("pgrep", "sleep", check=False).stdout == ""

def test_that_makes_guests_has_them_removed(fresh_lab):
    leave_a_guest(fresh_lab.hosts[0])

def test_that_fails_is_told_of_its_own_failure_only(lab):
    lab.hosts[0].cut()
    raise AssertionError("its own")
"""
LEFT = {
    "leave_a_guest": "guest left is left",
    "leave_a_pool": "pool left is left",
    "stop_a_pool": "pool local is off",
    "change_a_network": "network default has another autostart",
    "leave_a_filter": "network filter left is left",
    "leave_a_rule": "firewall rule -A INPUT -i eth0",
    "leave_a_frozen_daemon": "frozen: libvirtd",
    "leave_a_dead_host": "it is down",
    "leave_a_process": "process sleep 1234 is left",
}


@pytest.mark.timeout(280)
def test_who_leaves_the_lab_otherwise_fails_and_the_next_passes(tmp_path: Path) -> None:
    module, report = tmp_path / "test_leaving.py", tmp_path / "report.xml"
    module.write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
    ]
    command += ["-p", "tests.conftest", "-p", "no:cacheprovider", f"--junitxml={report}", str(module)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=270, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    failures = {
        case.get("name", ""): [item.get("message", "") for item in case if item.tag in ("error", "failure")]
        for case in ElementTree.parse(report).iter("testcase")
    }
    assert len(failures) == 2 * len(LEFT) + 2
    for leave, words in LEFT.items():
        assert [words in item for item in failures.pop(f"test_leaves[{leave}]")] == [True], done.stdout
    assert [
        "its own" in item for item in failures.pop("test_that_fails_is_told_of_its_own_failure_only")
    ] == [True]
    assert {name: text for name, text in failures.items() if text} == {}
