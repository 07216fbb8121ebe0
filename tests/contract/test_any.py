"""Types say what values are: `Any`, which turns mypy off, only where a library or a generic leaves no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.contract.sources import APP

# A number, because mypy has no rule for it: strict forbids to leave types out, but not to write Any. It may only fall.
MAX_LINES = 46


def lines_with_any(path: Path) -> Iterator[str]:
    """Places where a module names the type, other than its imports."""
    tree = ast.parse(path.read_text())
    lines = {
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    }
    yield from (f"{path.relative_to(APP.parent)}:{line}" for line in sorted(lines))


def test_any_becomes_rarer() -> None:
    found = [place for path in sorted(APP.rglob("*.py")) for place in lines_with_any(path)]
    assert len(found) <= MAX_LINES, "\n".join(found)
