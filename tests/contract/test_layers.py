"""Imports go one way, and every part of the program has its place in the layers."""

import subprocess
import sys
from pathlib import Path

from tests.contract.sources import ROOT


def test_imports_keep_the_layers() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    reported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert reported.returncode == 0, reported.stdout
    assert "5 kept, 0 broken" in reported.stdout  # a contract that is taken out is noticed
