"""`vigie vm` beside a running server: what it asks for is done by the server, and it says how it went."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.lab.lab import Lab
from tests.browser.console import Console
from tests.integration.cli.conftest import Vigie

pytestmark = pytest.mark.lab


def test_vms_are_created_listed_and_stopped(vigie: Vigie, fresh_lab: Lab) -> None:
    created = vigie(
        "vm", "create", "job-##", "--count", "2", "--host", "kvm-01", "--memory", "64M", "--disk", "local:8M"
    )
    assert (created.returncode, created.stdout.count("The VM was created.")) == (0, 2), created.stderr
    assert sorted(fresh_lab.hosts[0].virsh("list", "--name").split()) == ["job-01", "job-02"]
    spec = "name: from-file\nmemory_bytes: 67108864\nstart: false\ndisks: []\n"
    kept = vigie("vm", "create", "--spec", "-", "--host", "kvm-01", "--json", given=spec)
    assert json.loads(kept.stdout)["state"] == "succeeded"
    stopped = vigie("vm", "power", "force-off", "job-01", "job-02", "--json")
    assert [task["state"] for task in json.loads(stopped.stdout)] == ["succeeded"] * 2
    listed = {vm["name"]: vm["state"] for vm in json.loads(vigie("vm", "list", "--json").stdout)}
    assert listed == {"job-01": "shutoff", "job-02": "shutoff", "from-file": "shutoff"}
    gone = vigie("vm", "delete", "job-01", "--volumes", "--yes")
    assert (gone.returncode, "volumes deleted with it: 1." in gone.stdout) == (0, True), gone.stderr
    assert "job-01" not in fresh_lab.hosts[0].virsh("vol-list", "local")
    assert vigie("vm", "undelete", "job-01").returncode == 0
    assert "job-01" in fresh_lab.hosts[0].virsh("list", "--all", "--name")


def test_hardware_and_definitions_are_changed(vigie: Vigie, fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    created = vigie("vm", "create", "box", "--host", "kvm-01", "--memory", "64M", "--no-start")
    assert created.returncode == 0, created.stderr
    options = ("--vcpus-max", "2", "--title", "A box", "--compute", "watchdog=reset", "--resources", "pins=")
    refused = vigie("vm", "set", "box", *options)
    assert (refused.returncode, "pins" in refused.stderr) == (1, True), refused.stderr
    changed = vigie("vm", "set", "box", *options[:-2], "--resources", "emulator_cpus=0")
    assert changed.returncode == 0, changed.stderr
    for arguments in (
        ("add-disk", "box", "local:8M"),
        ("add-nic", "box", "default"),
        ("rename", "box", "chest"),
    ):
        assert vigie("vm", *arguments).returncode == 0, arguments
    xml = host.virsh("dumpxml", "chest")
    for part in (
        "<title>A box</title>",
        "action='reset'",
        "emulatorpin cpuset='0'",
        "chest",
        "vda",
        "<interface",
    ):
        assert part in xml, part
    assert json.loads(vigie("vm", "hardware", "chest", "--json").stdout)["watchdog"] == "reset"
    assert vigie("vm", "remove-device", "chest", "vda").returncode == 0
    text = vigie("vm", "xml", "chest").stdout
    defined = vigie("vm", "xml", "chest", "--define", "-", given=text.replace("A box", "By hand"))
    assert defined.returncode == 0, defined.stderr
    versions = json.loads(vigie("vm", "history", "chest", "--json").stdout)
    assert len(versions) >= 3
    assert vigie("vm", "history", "chest", "--restore", str(versions[1]["id"])).returncode == 0
    assert "By hand" not in host.virsh("dumpxml", "chest")


def test_the_examples_that_change_hardware_do_on_what_the_examples_create(
    vigie: Vigie, console: Console
) -> None:
    docs = Path(__file__).parents[3] / "docs"
    create = re.search(r"^vigie (vm create web-01 .*)$", (docs / "vms.md").read_text(), re.MULTILINE)
    change = re.search(r"^vigie (vm set web-01 .*)$", (docs / "vms.md").read_text(), re.MULTILINE)
    patch = re.search(r"/hardware\" -d '(\{[^']*\})'", (docs / "api.md").read_text())
    assert create
    assert change
    assert patch
    created = vigie(*create[1].replace("default:20G", "local:20G").split(), "--no-start")
    assert created.returncode == 0, created.stderr
    changed = vigie(*change[1].split())
    assert changed.returncode == 0, changed.stderr
    vm = console.rest.call("GET", "/vms?name=web-01")["items"][0]["id"]
    task = console.rest.call("PATCH", f"/vms/{vm}/hardware", json.loads(patch[1]))
    assert console.rest.call("GET", f"/tasks/{task['id']}?wait=60")["state"] == "succeeded"


REFUSED = [
    (["create", "x", "--memory", "9X", "--host", "kvm-01"], "memory: must be a size"),
    (["create", "x", "--disk", "local", "--host", "kvm-01"], "disk: must be POOL:SIZE"),
    (["create", "x", "--disk", "none:8M", "--host", "kvm-01"], "names no"),
    (["create", "x", "--host", "nowhere"], "host: names no host"),
    (["create", "a/b", "--host", "kvm-01"], "must be a plain name"),
    (["create", "x", "--count", "3"], "the name needs one run of #"),
    (["power", "start", "none-such"], "names no VM"),
]


def test_bad_input_says_why_and_ends_with_1(vigie: Vigie, fresh_lab: Lab) -> None:
    for arguments, message in REFUSED:
        done = vigie("vm", *arguments)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (1, True, False), (
            done.stderr
        )
    assert fresh_lab.hosts[0].virsh("list", "--all", "--name") == ""


def test_the_command_as_an_admin_runs_it(vigie_process: Vigie) -> None:
    done = vigie_process("vm", "power", "start", "none-such")
    assert (done.returncode, "names no VM" in done.stderr, done.stderr.count("\n")) == (1, True, 1)
    assert json.loads(vigie_process("vm", "list", "--json").stdout) == []
