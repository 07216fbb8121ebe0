"""Templates stay readable: short lines, no logic, and no two optional attributes that could grow together.

A template chooses by the truth of one value, repeats, and names. What is to be seen is decided in Python, by frozen
dataclasses beside the page's handlers (`VmPage`), by properties of records and by the filters of `rendering`.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import Environment, nodes
from jinja2.defaults import DEFAULT_FILTERS

from app.web.pages.rendering.environment import environment
from tests.contract.sources import ROOT

TEMPLATES = ROOT / "templates"
LINE_LENGTH = 140
_ENVIRONMENT = Environment(extensions=["jinja2.ext.i18n"])
_ARITHMETIC = (
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos,
)  # fmt: skip
# Jinja's own filters that write a value down and decide nothing. Those of `rendering` are typed and may be used.
_WRITING = {
    "first", "join", "last", "length", "round", "string", "trim", "truncate", "upper", "urlencode", "xmlattr",
}  # fmt: skip
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


def test_templates_do_not_decide() -> None:
    found = {
        f"{name}:{line}": what
        for name, source in SOURCES.items()
        for line, what in _decisions(_ENVIRONMENT.parse(source))
    }
    assert found == {}


def _decisions(template: nodes.Template) -> Iterator[tuple[int, str]]:
    """Line and kind of everything that belongs into Python."""
    tested = {id(item) for item in _tested(template)}
    for node in template.find_all(nodes.Node):
        if isinstance(node, nodes.Compare) and not _marks_the_chosen(node):
            yield node.lineno, "compares"
        elif isinstance(node, nodes.And) or (isinstance(node, nodes.Or) and id(node) in tested):
            yield node.lineno, "combines conditions"
        elif isinstance(node, _ARITHMETIC):
            yield node.lineno, "calculates"
        elif isinstance(node, nodes.Filter) and node.name not in _WRITING | _own_filters():
            yield node.lineno, f"filters by {node.name}"
        elif isinstance(node, nodes.Test) and not _asks_whether_there_is(node):
            yield node.lineno, f"tests {node.name}"
        elif isinstance(node, nodes.CondExpr) and any(_parts(node, nodes.CondExpr)):
            yield node.lineno, "nests conditions"
        elif isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Dict):
            yield node.lineno, "looks something up"


def _tested(template: nodes.Template) -> Iterator[nodes.Node]:
    """Every part of a condition. Outside of one, `or` only puts a fallback in the place of nothing."""
    for node in template.find_all((nodes.If, nodes.CondExpr, nodes.For)):
        if node.test is not None:
            yield node.test
            yield from node.test.find_all(nodes.Or)


def _marks_the_chosen(node: nodes.Compare) -> bool:
    """`key == tab`: which one of what is repeated is the present one. Neither side is a constant."""
    sides = [node.expr, *(op.expr for op in node.ops)]
    constants = (nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Concat)
    return [op.op for op in node.ops] == ["eq"] and not any(isinstance(side, constants) for side in sides)


def _asks_whether_there_is(node: nodes.Test) -> bool:
    """`x is none`, where 0 or empty text is something, and `caller is defined` in a macro."""
    is_caller = isinstance(node.node, nodes.Name) and node.node.name == "caller"
    return node.name == "none" or (node.name == "defined" and is_caller)


def _parts(node: nodes.CondExpr, kind: type[nodes.Node]) -> Iterator[nodes.Node]:
    for item in (node.test, node.expr1, node.expr2):
        if isinstance(item, kind):
            yield item
        elif item is not None:
            yield from item.find_all(kind)


def _own_filters() -> set[str]:
    return set(environment("en").filters) - set(DEFAULT_FILTERS)


def _joined_attributes(source: str) -> Iterator[int]:
    """Lines where one block ends and the next begins inside the tag of an element."""
    inside, quoted, ended, block = False, False, False, ""
    for line, kind, text in _ENVIRONMENT.lex(source):
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
