"""Every address in templates and scripts is one that Vigie serves, with the method that is used there; so are those in tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, get_args

import pytest
from fastapi.routing import RouteContext, iter_route_contexts

from app.web.app import all_routes
from tests.contract.addresses import ANY, HOLE, Address, in_script, in_template
from tests.contract.sources import ROOT, tree

STATIC = "/static/"
API = "/api/v1"
SAMPLES = ROOT / "templates" / "gallery"  # its buttons show verbs and do nothing


class Served:
    """A route: its methods, and its segments with what each parameter may be, when that is a closed set."""

    def __init__(self, route: RouteContext) -> None:
        self.methods = route.methods or set()
        self.segments = route.path.split("/")
        self.values = {
            field.alias: closed(field.field_info.annotation) for field in route.dependant.path_params
        }
        self._shape = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route.path)))

    def takes(self, address: Address) -> bool:
        """Whether the address leads here."""
        segments = address.path.split("/")
        return (
            (address.method == ANY or address.method in self.methods)
            and len(segments) == len(self.segments)
            and all(map(self._fits, segments, self.segments))
        )

    def may_take(self, address: str) -> bool:
        """Whether the address leads here, also with a name or id of a test's own in the place of a parameter."""
        return self.takes(Address(ANY, address)) or bool(self._shape.fullmatch(address))

    def _fits(self, written: str, segment: str) -> bool:
        """A parameter is given by an expression, or by one of its values; what is fixed is written as it is."""
        if parameter := re.fullmatch(r"\{(\w+)\}(.*)", segment):
            if HOLE in written:
                return written.endswith(parameter[2])
            return written in self.values.get(parameter[1], ())
        return written == segment or (HOLE in written and bool(re.fullmatch(pattern(written), segment)))


def pattern(written: str) -> str:
    """What a segment with expressions may be."""
    return ".+" if written == HOLE else ".*".join(map(re.escape, written.split(HOLE)))


def closed(annotation: Any) -> set[str]:
    """The values of an enumeration or of literals; none for other types."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {str(item.value) for item in annotation}
    return {item for item in get_args(annotation) if isinstance(item, str)}


@pytest.fixture(scope="module")
def served() -> list[Served]:
    """All routes."""
    found = iter_route_contexts(all_routes())
    return [Served(route) for route in found if route.methods and hasattr(route, "dependant")]


def lost(addresses: Iterable[Address], served: list[Served]) -> list[str]:
    """The addresses that lead nowhere."""
    return [
        f"{address.method} {address.path.replace(HOLE, '…')}"
        for address in addresses
        if not (
            (ROOT / address.path.removeprefix("/")).is_file()
            if address.path.startswith(STATIC)
            else any(route.takes(address) for route in served)
        )
    ]


def test_addresses_in_templates_are_served(served: list[Served]) -> None:
    templates = [path for path in sorted(ROOT.glob("templates/**/*.html")) if path.parent != SAMPLES]
    sources = {path: list(in_template(path.read_text())) for path in templates}
    assert sum(map(len, sources.values())) > 300
    wrong = {path.relative_to(ROOT).as_posix(): lost(found, served) for path, found in sources.items()}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_addresses_in_scripts_are_served(served: list[Served]) -> None:
    sources = {path: list(in_script(path.read_text())) for path in sorted(ROOT.glob("static/js/**/*.js"))}
    assert sum(map(len, sources.values())) > 15
    wrong = {path.relative_to(ROOT).as_posix(): lost(found, served) for path, found in sources.items()}
    assert {path: found for path, found in wrong.items() if found} == {}


def in_tests(parsed: ast.AST) -> Iterator[str]:
    """Addresses of objects: texts with an id in them."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
            yield text.partition("?")[0].removeprefix(API)


def test_addresses_in_tests_are_served(served: list[Served]) -> None:
    """A test that calls an address which is gone is answered 404, and may find nothing wrong with that."""
    nouns = {segments[1] for route in served if len(segments := route.segments) > 1} - {""}
    nouns |= {route.segments[3] for route in served if route.segments[1:3] == ["api", "v1"]}
    found = {
        (path.relative_to(ROOT).as_posix(), address)
        for folder in ("browser", "integration", "soak")
        for path in (ROOT / "tests" / folder).rglob("*.py")
        for address in in_tests(tree(path))
        if address.count("/") > 1 and address.startswith("/") and address.split("/")[1] in nouns
    }
    assert len(found) > 100
    assert [
        (path, address)
        for path, address in sorted(found)
        if not any(route.may_take(prefix + address) for route in served for prefix in ("", API))
    ] == []


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ('<a href="/vmz">', ["GET /vmz"]),
        ('{% set url = "/vms/" ~ vm.id %}<form method="post" action="{{ url }}/machine">', ["POST /vms/…/machine"]),
        ('{{ act.button("x", attrs={"hx-post": "/hosts/" ~ host.id ~ "/reconnected"}) }}', ["POST /hosts/…/reconnected"]),
        ('<a href="/vms/{{ vm.id }}/xml?at=1"></a><div hx-get="/hosts/{{ host.id }}">', []),
        ('<button hx-post="/storage/{{ pool.id }}/act/renew">', ["POST /storage/…/act/renew"]),
    ],
)  # fmt: skip
def test_a_wrong_address_is_found(source: str, wrong: list[str], served: list[Served]) -> None:
    assert lost(in_template(source), served) == wrong
