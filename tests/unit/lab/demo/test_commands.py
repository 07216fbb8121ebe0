"""What the demo prints can be pasted as it is."""

from __future__ import annotations

import shlex
from pathlib import Path

from app.lab.demo.cli import _executable


def test_commands_of_the_demo_name_an_executable_that_is_there() -> None:
    (path,) = shlex.split(_executable())
    assert Path(path).is_absolute()
    assert Path(path).exists()
