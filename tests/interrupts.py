"""A run of the tests that is interrupted takes down what it made: labs, fleets, databases.

SIGINT, SIGTERM and SIGHUP end the running test as Ctrl-C does, and fixtures are torn down; more signals are ignored
meanwhile. With workers (pytest-xdist) it is their processes that made things: the first process passes the signal on
and waits for them, and they notice by themselves when it is killed.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

from app.lab.interrupts import SIGNALS, ignore_signals

WORKERS_END_S = 120.0
PR_SET_PDEATHSIG = 1

_was_interrupted = False


def pytest_configure(config: pytest.Config) -> None:
    """Let signals interrupt this process; a worker is interrupted by the end of its parent, too."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    if _is_worker(config):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # What an interpreter frees at its end closes connections of libvirt, which may wait for a host for ever.
        atexit.register(os._exit, 0)
    else:
        config.pluginmanager.register(_FirstProcess(config))


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _was_interrupted
    if not _was_interrupted:
        _was_interrupted = True
        raise KeyboardInterrupt


@pytest.hookimpl(tryfirst=True)
def pytest_keyboard_interrupt() -> None:
    """Keep signals from what fixtures start in order to clean up."""
    # Not in `_interrupt`: Python complains of a signal that came before it was ignored and is looked at after.
    ignore_signals()


class _FirstProcess:
    """Passes an interrupt on to the workers, if there are any."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Interrupt the workers, and wait until they have taken down what they made."""
        workers = _children() if self._config.pluginmanager.hasplugin("dsession") else []
        deadline = time.monotonic() + WORKERS_END_S
        while (running := [pid for pid in workers if _runs(pid)]) and time.monotonic() < deadline:
            # Again and again: when a terminal's SIGINT and this SIGTERM arrive at once, another thread of the worker
            # can take both, and then nothing wakes the main thread from a sleep. Once it has noticed, it ignores them.
            for pid in running:
                os.kill(pid, signal.SIGTERM)
            time.sleep(0.2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> Generator[None, None, None]:
    """A worker that was interrupted ends here, whatever others say: its parent waits for that."""
    try:
        yield
    finally:
        if _was_interrupted and _is_worker(config):
            os._exit(pytest.ExitCode.INTERRUPTED)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _children() -> list[int]:
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for item in lists for pid in item.read_text().split()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
