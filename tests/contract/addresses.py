"""Addresses that begin with `/` in templates and scripts, with the method that is used there.

What an expression gives is a `HOLE`; names that a template sets are followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from jinja2 import Environment, nodes

HOLE = "\0"
ANY = "*"  # a form whose method an expression gives
API = "/api/v1"
_METHODS = {f"hx-{method}": method.upper() for method in ("get", "post", "put", "patch", "delete")}
_LEADS = re.compile("href|src|action|formaction|(hx|data)-.*")  # attributes that may hold an address
_ENVIRONMENT = Environment(extensions=["jinja2.ext.i18n"])
_TAG = re.compile(r"<([a-z]\w*)\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_CHOICE = re.compile("\1(\\d+)\2")
# A string of a script from its quote to its end or to its query: `/vms/${id}?kind=…`.
_STRING = re.compile(r"""(?<=["'`])/(?:[^\s"'`?#$]|\$\{[^{}`]*\})*""")
_IN_SCRIPT = re.compile(r"\$\{[^{}`]*\}")
_CALL = re.compile(r"""\b(api|ask)\(\s*"([A-Z]+)",\s*["'`]$""")
_NAMED = re.compile(r"""\b(?:const|let)\s+(\w+)\s*=\s*["'`]$""")
_FORM = re.compile(r'form\[action="([^"]*)"')


class Address(NamedTuple):
    """A method and a path, without its query."""

    method: str
    path: str


def in_template(source: str) -> Iterator[Address]:
    """The addresses in attributes, in arguments of macros and in the pairs that give attributes."""
    template = _ENVIRONMENT.parse(source)
    reader = _Template(template)
    for method, text in [*reader.in_tags(template), *reader.in_expressions(template)]:
        if text.startswith("/"):
            yield Address(method, re.split("[?#]", text)[0])


def in_script(source: str) -> Iterator[Address]:
    """The addresses in the strings of a script, by GET unless `api` (which adds its prefix) or `ask` names a method."""
    code = re.sub(r"(?m)^\s*//.*$|^import .*$", "", source)
    for form in _FORM.finditer(code):
        yield Address("POST", form[1])
    code = _FORM.sub("", code)
    for found in _STRING.finditer(code):
        path, before = _IN_SCRIPT.sub(HOLE, found[0]), code[: found.start()]
        if path == API + HOLE:
            continue  # `api` itself
        call = _CALL.search(before)
        if named := _NAMED.search(before):
            call = re.search(rf'\b(api|ask)\("([A-Z]+)", {named[1]}\b', code)
        prefix = API if call and call[1] == "api" else ""
        yield Address(call[2] if call else "GET", prefix + path)


class _Template:
    """One template, with what the names that it sets may be."""

    def __init__(self, template: nodes.Template) -> None:
        self._choices: list[list[str]] = []
        self._names: dict[str, list[str]] = {}
        for item in template.find_all(nodes.Assign):
            if isinstance(item.target, nodes.Name):
                known = self._names.setdefault(item.target.name, [])
                known += self._values(item.node)

    def in_tags(self, template: nodes.Template) -> Iterator[tuple[str, str]]:
        """Method and text of each attribute."""
        for tag in _TAG.finditer(self._text(template)):
            attributes = dict(_ATTRIBUTE.findall(tag[2]))
            form = attributes.get("method", "get").upper()
            for name, text in attributes.items():
                if not _LEADS.fullmatch(name):
                    continue
                method = form if name == "action" else "POST" if name == "formaction" else None
                for value in self._expanded(text):
                    yield ANY if method and "\1" in method else method or _METHODS.get(name, "GET"), value

    def in_expressions(self, template: nodes.Template) -> Iterator[tuple[str, str]]:
        """Method and value of each pair of a dictionary, each argument and each item of a list."""
        for item in template.find_all((nodes.Pair, nodes.Call, nodes.List, nodes.Tuple)):
            if isinstance(item, nodes.Pair):
                key = item.key.value if isinstance(item.key, nodes.Const) else ""
                found = [(_METHODS.get(key, "GET"), item.value)] if _LEADS.fullmatch(key) else []
            elif isinstance(item, nodes.Call):
                values = [*item.args, *(pair.value for pair in item.kwargs if pair.key != "placeholder")]
                method = "POST" if _is_verb(item) else "GET"
                found = [(method, value) for value in values]
            else:
                found = [("GET", value) for value in item.items]
            for method, expression in found:
                for value in self._values(expression):
                    yield method, value

    def _text(self, node: nodes.Node) -> str:
        """What a template writes, all branches one after the other; expressions are numbers of choices."""
        if isinstance(node, nodes.Output):
            return "".join(
                part.data if isinstance(part, nodes.TemplateData) else self._choice(part)
                for part in node.nodes
            )
        below = node.iter_child_nodes()
        return "".join(self._text(part) for part in below if not isinstance(part, nodes.Expr))

    def _choice(self, expression: nodes.Expr) -> str:
        self._choices.append(self._values(expression))
        return f"\1{len(self._choices) - 1}\2"

    def _expanded(self, text: str) -> Iterator[str]:
        """The text with every choice of what its expressions give."""
        parts = _CHOICE.split(text)
        for chosen in product(*(self._choices[int(number)] for number in parts[1::2])):
            yield "".join(plain + value for plain, value in zip(parts[::2], [*chosen, ""], strict=True))

    def _values(self, expression: nodes.Expr) -> list[str]:
        """What an expression may give."""
        if isinstance(expression, nodes.Const):
            return [expression.value if isinstance(expression.value, str) else HOLE]
        if isinstance(expression, nodes.Concat):
            return ["".join(parts) for parts in product(*(self._values(part) for part in expression.nodes))]
        if isinstance(expression, nodes.CondExpr):
            other = self._values(expression.expr2) if expression.expr2 else [""]
            return [*self._values(expression.expr1), *other]
        if isinstance(expression, nodes.Name):
            return self._names.get(expression.name) or [HOLE]
        return [HOLE]


def _is_verb(call: nodes.Call) -> bool:
    """Whether it draws the button of a power verb, which posts."""
    return isinstance(call.node, nodes.Getattr) and call.node.attr == "verb"
