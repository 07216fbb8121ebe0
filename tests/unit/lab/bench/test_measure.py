"""Figures of the benchmark are computed and written down right."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.lab.bench.cli import BEGIN, END, put_between_markers
from app.lab.bench.measure import Spread, load_of, table
from app.lab.errors import LabError
from app.lab.rest import Answer


def test_percentiles_are_values_that_were_measured() -> None:
    spread = Spread(tuple(float(value) for value in range(100, 0, -1)))
    assert (spread.p50, spread.p95) == (51.0, 95.0)
    assert (Spread((7.0,)).p50, Spread((7.0,)).p95) == (7.0, 7.0)


def test_table_is_markdown() -> None:
    assert table(["a", "b"], [["x", 1234.5], ["y", None], ["z", 0.123], ["n", 4500]]) == (
        "| a | b |\n| --- | ---: |\n| x | 1,234.5 |\n| y | – |\n| z | 0.12 |\n| n | 4,500 |\n"
    )


def test_load_sees_a_busy_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            assert load_of(busy.pid, 0.5).cpu_share > 0.02
        finally:
            busy.kill()
    with subprocess.Popen(["sleep", "60"]) as idle:
        try:
            assert load_of(idle.pid, 0.3).cpu_share < 0.2
        finally:
            idle.kill()
    with pytest.raises(LabError, match="ended"):
        load_of(busy.pid, 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("app;dur=12.3", 12.3), ('db;dur=1, total;desc="all";dur=4', 4.0), ("cache", None), ("", None)],
)
def test_server_time_is_read_from_its_header(header: str, expected: float | None) -> None:
    assert Answer(200, {"server-timing": header}, b"").server_ms == expected


def test_text_is_put_between_markers_again_and_again(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}{END}after\n")
    for text in ("first\n", "second\n"):
        put_between_markers(page, text)
    assert page.read_text() == f"before\n{BEGIN}\nsecond\n\n{END}after\n"
    page.write_text("no markers")
    with pytest.raises(LabError, match="markers"):
        put_between_markers(page, "text")
