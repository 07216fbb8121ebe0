"""Commands of `vigie` in this process, and servers that are forked: a process of their own takes seconds to load.

That they work as processes is seen by the demo, and by the tests of the command line.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache

from typer.testing import CliRunner

from app.cli import root
from app.lab.errors import LabError
from app.lab.server import Child, Server
from tests.preload import Preloaded


def run_command(server: Server, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command on the server's data directory, as if it had no settings but the server's."""
    others: dict[str, str | None] = {name: None for name in os.environ if name.startswith("VIGIE_")}
    runner = CliRunner(env=others | {"VIGIE_CONFIG": str(server.config)})
    umask = os.umask(0o077)  # the command sets it, for its own process
    try:
        done = runner.invoke(root.app, words, input=given)
    finally:
        os.umask(umask)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@cache
def preloaded() -> Preloaded:
    """The process that has loaded the libraries of servers; there is one for all tests of this process."""
    return Preloaded()


class QuickServer(Server):
    """A server in a process of its own that has its libraries already; its commands run in this one."""

    def _launch(self) -> Child:
        return preloaded().start(self._environment, self.log)

    def vigie(self, *words: str, given: str = "", timeout_s: float = 60) -> str:
        """Run a command and return what it printed; a limit of time is not kept. Raises LabError with its words."""
        done = run_command(self, *words, given=given)
        if done.returncode != 0:
            raise LabError(f"`vigie {' '.join(words)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
