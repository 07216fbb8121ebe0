"""Figures of a benchmark: percentiles, what a process uses, and tables in Markdown."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.lab.errors import LabError

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spread:
    """Many measurements of one thing, in milliseconds."""

    values: tuple[float, ...]

    @property
    def p50(self) -> float:
        """Half of them are lower."""
        return self._at(0.50)

    @property
    def p95(self) -> float:
        """All but one of twenty are lower."""
        return self._at(0.95)

    def _at(self, share: float) -> float:
        ranked = sorted(self.values)
        return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))]


@dataclass(frozen=True)
class Load:
    """What a program uses: its share of one core over a time, and its memory at the end, in MiB."""

    cpu_share: float
    memory_mib: float


def load_of(pid: int, seconds: float) -> Load:
    """Watch a process and its children for so many seconds. Raises LabError when one ends meanwhile."""
    family = [pid, *_children(pid)]
    begun, used = time.monotonic(), sum(map(_cpu_seconds, family))
    time.sleep(seconds)
    share = (sum(map(_cpu_seconds, family)) - used) / (time.monotonic() - begun)
    return Load(share, sum(map(_memory_mib, family)))


def _children(pid: int) -> list[int]:
    return [int(part) for part in _proc(pid, f"task/{pid}/children").split()]


def _memory_mib(pid: int) -> float:
    """Memory of a process in MiB; what several processes share counts in parts (PSS)."""
    for line in _proc(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LabError(f"Process {pid} has ended.")


def until(done: Callable[[], bool], what: str, timeout_s: float, pause_s: float = 0.02) -> float:
    """Wait until `done` and return the seconds that it took. Raises LabError after `timeout_s`."""
    begun = time.monotonic()
    while not done():
        if time.monotonic() - begun > timeout_s:
            raise LabError(f"{what}: not within {timeout_s:g} s.")
        time.sleep(pause_s)
    return time.monotonic() - begun


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; all columns but the first are right-aligned."""
    lines = [_row(heads), _row(["---", *(["---:"] * (len(heads) - 1))])]
    return "\n".join([*lines, *(_row([_cell(value) for value in row]) for row in rows)]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _cpu_seconds(pid: int) -> float:
    fields = _proc(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError as error:
        raise LabError(f"Process {pid} has ended.") from error
