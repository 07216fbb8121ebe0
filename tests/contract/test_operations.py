"""Every operation is complete, and nothing but its declaration knows it by its name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from app.core.access.privileges import PRIVILEGES
from app.core.inventory.changes import DEEDS
from app.core.vms.power import VmVerb
from app.services.operations import load_operations
from app.services.vms.power.power_operation import VERBS
from app.tasks.catalogue import AnyOperation, operations
from tests.contract.sources import APP, ROOT, modules, name_of, tree

load_operations()

FRENCH = sorted(APP.glob("locale/fr/LC_MESSAGES/*.po"))
OPERATIONS = sorted(operations(), key=lambda item: item.kind)
KINDS = frozenset(operation.kind for operation in OPERATIONS)
ROUTES = {"get", "post", "put", "patch", "delete", "api_route", "websocket"}
_IN_TEMPLATES = re.compile(r"(\w+)?\(?\s*[\"']([a-z]+\.[a-z-]+)[\"']")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.kind)
def test_an_operation_is_complete(operation: AnyOperation) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", operation.kind)
    assert operation.title in french()
    assert operation.explains <= DEEDS
    assert operation.parameters.version >= 1
    assert {"target_id", "host_id"} <= operation.parameters.model_fields.keys()


def test_titles_differ() -> None:
    assert len({operation.title for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("verb", VmVerb)
def test_a_power_verb_is_complete(verb: VmVerb) -> None:
    operation = VERBS[verb]
    assert operation.privilege in PRIVILEGES
    assert operation.states


def test_privileges_that_are_named_exist() -> None:
    named = [(name_of(path), *privilege) for path in modules() for privilege in privileges_in(tree(path))]
    assert len(named) > 100
    assert [item for item in named if item[2] not in PRIVILEGES] == []


def test_no_kind_stands_outside_its_declaration() -> None:
    found = [
        f"{name_of(path)}:{line} {kind}"
        for path in modules()
        for line, kind in kinds_in(tree(path), in_web=path.is_relative_to(APP / "web"))
    ]
    assert found == []


def test_no_kind_stands_in_a_template() -> None:
    found = [
        f"{name_of(path)} {match[2]}"
        for path in sorted(Path(ROOT / "templates").rglob("*.html"))
        for match in _IN_TEMPLATES.finditer(path.read_text())
        if match[2] in KINDS - PRIVILEGES and match[1] != "url_for"
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "in_web"),
    [
        ("KINDS = ('network.create', 'x')", False),
        ("query.where(Task.kind == 'vm.create')", False),
        ("submit(ctx, kind='network.start')", True),
        ("router.post('/x', name='network.stop')(work); attempt(visitor, form, 'network.start', work)", True),
    ],
)
def test_a_kind_outside_its_declaration_is_seen(source: str, in_web: bool) -> None:
    assert len(list(kinds_in(ast.parse(source), in_web=in_web))) == 1


@pytest.mark.parametrize(
    ("source", "in_web"),
    [
        ("@declare\nclass Start(Operation): kind = 'network.start'", False),
        ("ctx.require('vm.create')", False),
        (
            "router.post('/x', name='network.start')(work); attempt(visitor, form, 'network.start', work)",
            True,
        ),
    ],
)
def test_declarations_privileges_and_routes_are_let_be(source: str, in_web: bool) -> None:
    assert list(kinds_in(ast.parse(source), in_web=in_web)) == []


def french() -> set[str]:
    """Message ids that have their French."""
    known = set()
    for path in FRENCH:
        with path.open("rb") as file:
            known |= {message.id for message in read_po(file) if message.string and not message.fuzzy}
    return known


def privileges_in(module: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines and texts where something is said to be a privilege."""
    for node in ast.walk(module):
        requested: list[ast.expr | None] = []
        match node:
            case ast.Call(func=ast.Name(id="Touch"), args=[_, _, privilege]):
                requested = [privilege]
            case ast.Call(func=ast.Name(id="find"), args=[ast.Name(id="ctx"), _, _, privilege, *_]):
                requested = [privilege]
            case ast.Call(func=ast.Attribute(attr="require" | "can"), args=[privilege, *_]):
                requested = [privilege]
            case ast.Call(func=ast.Name(id="visible"), args=[_, _, _, privilege]):
                requested = [privilege]
            case ast.Call(func=ast.Name(id="visible_part"), args=[_, _, privilege]):
                requested = [privilege]
            case ast.Call(func=ast.Name(id="Found"), args=[_, privilege, *_]):
                requested = [privilege]
            case ast.Assign(targets=[ast.Name(id="privilege")], value=privilege):
                requested = [privilege]
            case ast.AnnAssign(target=ast.Name(id="privilege"), value=privilege):
                requested = [privilege]
        for item in requested:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.lineno, item.value


def kinds_in(module: ast.AST, *, in_web: bool) -> Iterator[tuple[int, str]]:
    """Lines and texts where a kind stands. What is a privilege, too, counts where it is compared with a kind.

    The pages and the API call their routes, and so what they refuse, after the kinds.
    """
    declared = {id(item) for node in ast.walk(module) for item in declaration(node)}
    compared = {id(item) for node in ast.walk(module) for item in beside_kind(node)}
    routes = {name for node in ast.walk(module) for name in route_names(node)} if in_web else set()
    for node in ast.walk(module):
        if not isinstance(node, ast.Constant) or node.value not in KINDS - routes or id(node) in declared:
            continue
        if node.value not in PRIVILEGES or id(node) in compared:
            yield node.lineno, str(node.value)


def declaration(node: ast.AST) -> Iterator[ast.expr]:
    """The kind in the declaration of an operation."""
    if isinstance(node, ast.ClassDef) and any(
        isinstance(item, ast.Name) and item.id == "declare" for item in node.decorator_list
    ):
        for statement in node.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id="kind")], value=value):
                    yield value


def route_names(node: ast.AST) -> Iterator[str]:
    """The names of the routes that a call declares."""
    match node:
        case ast.Call(func=ast.Attribute(attr=attr), keywords=keywords) if attr in ROUTES:
            yield from (ast.literal_eval(keyword.value) for keyword in keywords if keyword.arg == "name")


def beside_kind(node: ast.AST) -> Iterator[ast.expr]:
    """Constants that are compared with an attribute `kind`, or with several at once."""
    match node:
        case ast.Compare(left=left, comparators=others):
            both = [left, *others]
        case ast.Call(func=ast.Attribute(value=owner, attr="in_" | "not_in"), args=args):
            both = [owner, *args]
        case _:
            return
    if any(isinstance(item, ast.Attribute) and item.attr == "kind" for item in both):
        yield from (item for side in both for item in ast.walk(side) if isinstance(item, ast.expr))
