"""`vigie vm` beside a running server: what it asks for is done by the server, and it says how it went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.lab.lab import Lab
from tests.browser.console import Console, console_over, wait_for

pytestmark = pytest.mark.lab
Vigie = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A server that knows one host."""
    with console_over(fresh_lab, tmp_path / "vigie") as made:
        host_id = made.add(fresh_lab.hosts[0])
        wait_for(
            lambda: made.rest.ask("GET", f"/api/v1/hosts/{host_id}/offers").status == 200,
            "what the host offers",
        )
        yield made


@pytest.fixture
def vigie(console: Console) -> Vigie:
    """Run `vigie` on the server's data directory."""

    def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("vigie")), *arguments],
            env=os.environ | {"VIGIE_CONFIG": str(console.server.config)},
            input=given, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    return run


def test_vms_are_created_listed_and_stopped(vigie: Vigie, fresh_lab: Lab) -> None:
    made = vigie(
        "vm", "create", "job-##", "--count", "2", "--host", "kvm-01", "--memory", "64M", "--disk", "local:8M"
    )
    assert (made.returncode, made.stdout.count("The VM was created.")) == (0, 2), made.stderr
    assert sorted(fresh_lab.hosts[0].virsh("list", "--name").split()) == ["job-01", "job-02"]
    spec = "name: from-file\nmemory_bytes: 67108864\nstart: false\ndisks: []\n"
    kept = vigie("vm", "create", "--spec", "-", "--host", "kvm-01", "--json", given=spec)
    assert json.loads(kept.stdout)["state"] == "succeeded"
    stopped = vigie("vm", "power", "force-off", "job-01", "job-02", "--json")
    assert [task["state"] for task in json.loads(stopped.stdout)] == ["succeeded"] * 2
    listed = {vm["name"]: vm["state"] for vm in json.loads(vigie("vm", "list", "--json").stdout)}
    assert listed == {"job-01": "shutoff", "job-02": "shutoff", "from-file": "shutoff"}
    gone = vigie("vm", "delete", "job-01", "--volumes", "--yes")
    assert (gone.returncode, "deleted with 1 volumes" in gone.stdout) == (0, True), gone.stderr
    assert "job-01" not in fresh_lab.hosts[0].virsh("vol-list", "local")
    assert vigie("vm", "bring-back", "job-01").returncode == 0
    assert "job-01" in fresh_lab.hosts[0].virsh("list", "--all", "--name")


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
    for arguments, said in REFUSED:
        done = vigie("vm", *arguments)
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (1, True, False), (
            done.stderr
        )
    assert fresh_lab.hosts[0].virsh("list", "--all", "--name") == ""
