"""Run other programs, always with a deadline."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.lab.errors import LabError

# Virtual environments and user shells put other tools first in PATH; the lab wants the system's.
SYSTEM_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float = 30,
    check: bool = True,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end and return it with its output as text.

    Raises LabError when the program is missing, takes more than `timeout_s` seconds or, with `check`, fails.
    """
    words = [os.fspath(word) for word in command]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            cwd=cwd,
            env={**SYSTEM_ENVIRONMENT, **(extra_environment or {})},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is missing; run .ci/setup to install what the lab needs.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(words)}` did not end within {timeout_s:g} s.") from error
    if check and done.returncode != 0:
        message = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"`{' '.join(words)}` failed with status {done.returncode}: {message}")
    return done
