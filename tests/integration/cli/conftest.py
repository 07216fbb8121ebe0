"""A server that knows one host, and the command line on its data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from app.lab.lab import Lab
from tests.browser.console import Console, console_over, wait_for
from tests.commands import run_command

Vigie = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A server that knows one host."""
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        host_id = created.add(fresh_lab.hosts[0])
        capabilities = f"/api/v1/hosts/{host_id}/capabilities"
        wait_for(lambda: created.rest.ask("GET", capabilities).status == 200, "what the host offers")
        yield created


@pytest.fixture
def vigie(console: Console) -> Vigie:
    """Run `vigie` on the server's data directory, in this process."""
    return partial(run_command, console.server)


@pytest.fixture
def vigie_process(console: Console) -> Vigie:
    """As `vigie`, as an admin runs it."""

    def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("vigie")), *arguments],
            env=os.environ | {"VIGIE_CONFIG": str(console.server.config)},
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run
