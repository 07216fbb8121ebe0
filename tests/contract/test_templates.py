"""Templates stay readable: short lines, and no two optional attributes that could grow together."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import Environment

from tests.contract.sources import ROOT

TEMPLATES = ROOT / "templates"
LINE_LENGTH = 140
SOURCES = {
    path.relative_to(TEMPLATES).as_posix(): path.read_text() for path in sorted(TEMPLATES.rglob("*.html"))
}


def test_lines_are_short() -> None:
    long = {
        f"{name}:{number}": len(line)
        for name, source in SOURCES.items()
        for number, line in enumerate(source.splitlines(), 1)
        if len(line) > LINE_LENGTH
    }
    assert long == {}


def test_optional_attributes_are_kept_apart() -> None:
    """Blocks are trimmed: `{% endif %}` and the next `{% if %}` leave no space between their attributes."""
    assert [f"{name}:{line}" for name, source in SOURCES.items() for line in _joined_attributes(source)] == []


def _joined_attributes(source: str) -> Iterator[int]:
    """Lines where one block ends and the next begins inside the tag of an element."""
    inside, quoted, ended, block = False, False, False, ""
    for line, kind, text in Environment(extensions=["jinja2.ext.do"]).lex(source):
        if kind == "block_begin":
            block = "?"
        elif block == "?" and kind == "name":
            if inside and not quoted and ended and text in ("if", "for"):
                yield line
            block = text
        elif kind == "block_end":
            ended, block = block in ("endif", "endfor"), ""
        elif kind == "variable_begin":
            ended = False
        elif kind == "data":
            ended = ended and not text.strip()
            for char in text:
                if char == '"' and inside:
                    quoted = not quoted
                elif char in "<>" and not quoted:
                    inside = char == "<"
