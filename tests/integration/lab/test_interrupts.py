"""Runs of the tests and of the benchmark that are interrupted leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.lab.fleets.fleet import FleetState, all_fleets
from app.lab.state import all_labs
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.lab]

ROOT = Path(__file__).parents[3]
TESTS = """
import os, pathlib, time

def test_that_holds_all_that_there_is_to_hold(lab, cluster, make_fleet):
    make_fleet(2, 2)
    pathlib.Path(__file__).with_name("worker").write_text(str(os.getpid()))
    time.sleep(250)
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs."""
    return os.path.exists(f"/proc/{pid}")


def with_word(word: str) -> list[str]:
    """Command lines of this machine's processes in which this stands."""
    shown = subprocess.run(["pgrep", "-af", word], capture_output=True, text=True, timeout=10, check=False)
    return shown.stdout.splitlines()


@pytest.mark.timeout(280)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_interrupted_run_of_the_tests_takes_down_lab_fleet_and_database(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "test_holding.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(ROOT), "-p", "tests.conftest", "-p", "no:cacheprovider", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL) as run:
        worker = int(wait_for(lambda: _text(tmp_path / "worker"), "the test has all", 120))
        folder = Path(f"/tmp/vigie-pg-{worker}")
        assert _held(worker) == (["lab", "fleet"], True)
        if number == signal.SIGINT:
            os.killpg(run.pid, number)  # as a terminal does
        else:
            run.send_signal(number)
        assert run.wait(120) == pytest.ExitCode.INTERRUPTED
    assert _held(worker) == ([], False)
    assert with_word(str(folder)) == []
    assert with_word(f"fleet-t{worker}-") == []
    assert not is_alive(worker)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _held(worker: int) -> tuple[list[str], bool]:
    """What a process of tests holds: labs and fleets; and whether it has a database."""
    held = ["lab" for lab in all_labs() if lab.id == f"t{worker}"]
    held += ["fleet" for fleet in all_fleets() if fleet.id.startswith(f"t{worker}-")]
    return held, Path(f"/tmp/vigie-pg-{worker}").exists()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_interrupted_benchmark_takes_down_its_fleet(number: signal.Signals) -> None:
    earlier = [item.id for item in all_fleets()]
    command = [
        sys.executable,
        "-c",
        "from app.cli import main; main()",
        "bench",
        "--quick",
        "--only",
        "fleets",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
        fleet = wait_for(lambda: _own_fleet(earlier), "the fleet of the benchmark")
        wait_for(lambda: with_word(str(fleet.directory)), "its daemon")
        time.sleep(1)  # into the measuring
        bench.send_signal(number)
        assert bench.wait(60) == 128 + number
    assert not fleet.directory.exists()
    assert fleet.id not in [item.id for item in all_fleets()]
    assert with_word(str(fleet.directory)) == []


def _own_fleet(earlier: list[str]) -> FleetState | None:
    """The fleet of ten hosts that is new: the benchmark's first."""
    new = [fleet for fleet in all_fleets() if fleet.id not in earlier and fleet.hosts == 10]
    return new[0] if new else None
