"""Nothing has a name any more that old_names.txt lists: one term for one thing, in code, tables, paths and texts."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.core.access.privileges import PRIVILEGES
from app.core.kinds import ObjectKind
from app.db.models import Base
from app.tasks.catalogue import operations
from tests.contract.messages import extracted

ROOT = Path(__file__).parents[2]
LISTED = Path(__file__).with_name("old_names.txt")
SECTIONS = ("identifiers", "modules", "paths", "kinds", "tables", "phrases")


def old(section: str) -> set[str]:
    """The names that are listed under a heading."""
    found: dict[str, set[str]] = {name: set() for name in SECTIONS}
    names: set[str] = set()
    for line in LISTED.read_text().splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            names = found[heading[1]]
        elif line and not line.startswith("#"):
            names.add(line)
    return found[section]


def sources(*folders: str) -> Iterator[Path]:
    """The Python files in these folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def names_in(path: Path) -> set[str]:
    """The identifiers that a module defines or uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.keyword(arg=str(name)):
                found.add(name)
            case ast.alias(name=name):
                found.update(name.split("."))
    return found


def test_every_heading_of_the_list_is_looked_for() -> None:
    headings = re.findall(r"^\[(\w+)\]$", LISTED.read_text(), re.MULTILINE)
    assert headings == list(SECTIONS)
    assert all(old(section) for section in SECTIONS)


def test_no_identifier_is_old() -> None:
    names = old("identifiers")
    found = {str(path.relative_to(ROOT)): sorted(names & names_in(path)) for path in sources("app", "tests")}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_no_file_or_package_has_an_old_name() -> None:
    names = old("modules")
    parts = [
        path
        for folder in ("app", "templates", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in ("", ".py", ".html") and "__pycache__" not in path.parts
    ]
    assert [
        str(path.relative_to(ROOT)) for path in parts if path.stem.strip("_").removeprefix("test_") in names
    ] == []


def test_no_path_of_the_api_or_of_a_page_is_old(routes: list[APIRoute]) -> None:
    names = old("paths")
    assert len(routes) > 200
    wrong = {
        route.path: name
        for route in routes
        for name in names
        if re.search(rf"{re.escape(name)}(?![\w-])", route.path)
    }
    assert wrong == {}


def test_no_kind_is_old(routes: list[APIRoute]) -> None:
    names = old("kinds")
    known = {operation.kind for operation in operations()} | PRIVILEGES | {route.name for route in routes}
    assert names & (known | {kind.value for kind in ObjectKind}) == set()
    literals = {
        node.value
        for path in sources("app")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert names & literals == set()


def test_no_table_or_column_is_old() -> None:
    tables = Base.metadata.tables
    columns = {f"{name}.{column.name}" for name, table in tables.items() for column in table.columns}
    assert old("tables") & (set(tables) | columns) == set()


def test_no_message_has_an_old_phrase() -> None:
    texts = {
        text for message in extracted(ROOT) for text in ([message] if isinstance(message, str) else message)
    }
    assert len(texts) > 1000
    wrong = {
        text: phrase
        for text in texts
        for phrase in old("phrases")
        if re.search(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE)
    }
    assert wrong == {}


@pytest.fixture(scope="module")
def routes() -> list[APIRoute]:
    """The routes of the API and of the pages."""
    routers = {
        id(value): value
        for path in sources("app/web")
        for value in vars(
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        ).values()
        if isinstance(value, APIRouter)
    }
    found = (route for router in routers.values() for route in router.routes)
    return [route for route in found if isinstance(route, APIRoute)]
