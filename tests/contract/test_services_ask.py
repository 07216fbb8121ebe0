"""Whoever acts for somebody asks whether they may: no function with a `ctx` reads objects unasked.

A public function of these layers that takes a `ctx` and comes to a model that `find` knows, itself or in a function
that it calls, calls `find`, `look_up`, `preload`, `visible`, `unrestricted`, `submit`, `check` or `ctx.require`, itself or in a function that
it calls. One that is given rows, or records or queries of them, need not: they were found. Calls are followed through
the imports of the whole program. A part of a use case that has only ids takes a session.
"""

import ast
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Sequence
from functools import cache
from types import FunctionType, ModuleType

import pytest
import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import FINDABLE, find, look_up, preload, unrestricted, visible
from app.core.records import Record
from app.db.models import Vm
from app.db.models.base import Base
from app.services.vms import vms
from app.tasks import submit

ASKED = {"access", "capacity", "services", "tasks"}
FOLLOWED = ASKED | {"inventory"}
ASKING = {find, look_up, preload, visible, unrestricted, submit.submit, submit.check}
ASKING_METHODS = {"require"}
FOUND = (Base, Record, sa.Select)


def public_functions() -> Iterator[FunctionType]:
    """Public functions of the layers whose first argument is a `ctx`."""
    for layer in sorted(ASKED):
        package = importlib.import_module(f"app.{layer}")
        for found in pkgutil.walk_packages(package.__path__, f"app.{layer}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                if inspect.isfunction(value) and value.__module__ == found.name and not name.startswith("_"):
                    parameters = list(inspect.signature(value).parameters)
                    if parameters[:1] == ["ctx"]:
                        yield value


@cache
def body(function: FunctionType) -> tuple[ast.AST, ...]:
    """Everything in a function's body, without annotations."""
    node = ast.parse(inspect.getsource(function)).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return tuple(item for statement in node.body for item in walk(statement))


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.walk`, without annotations."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, ast.AST):
                    yield from walk(item)


def meaning(node: ast.AST, function: FunctionType) -> object:
    """What a name, or a name in a module, stands for; None for what is local."""
    match node:
        case ast.Name(id=name):
            return function.__globals__.get(name)
        case ast.Attribute(value=value, attr=name):
            owner = meaning(value, function)
            return vars(owner).get(name) if isinstance(owner, ModuleType) else None
    return None


@cache
def mentioned(function: FunctionType) -> tuple[object, ...]:
    """Functions and classes of the program that a function's body names."""
    meanings = (meaning(node, function) for node in body(function))
    return tuple(item for item in meanings if inspect.isfunction(item) or inspect.isclass(item))


@cache
def reached(function: FunctionType) -> frozenset[FunctionType]:
    """The function, and those of the program that it comes to."""
    seen = {function}
    left = [function]
    while left:
        for item in mentioned(left.pop()):
            if isinstance(item, FunctionType) and is_followed(item) and item not in seen:
                seen.add(item)
                left.append(item)
    return frozenset(seen)


def is_followed(function: FunctionType) -> bool:
    """Whether a function belongs to these layers, or to the examples below."""
    package, _, rest = function.__module__.partition(".")
    return rest.partition(".")[0] in FOLLOWED if package == "app" else function.__module__ == __name__


def comes_to_objects(function: FunctionType) -> bool:
    return any(model in mentioned(item) for item in reached(function) for model in FINDABLE)


def asks(function: FunctionType) -> bool:
    return any(item in ASKING or asks_itself(item) for item in reached(function))


def asks_itself(function: FunctionType) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ASKING_METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "ctx"
        for node in body(function)
    )


def is_given_objects(function: FunctionType) -> bool:
    hints = typing.get_type_hints(function)
    return any(holds_objects(hint) for name, hint in hints.items() if name != "return")


def holds_objects(hint: object) -> bool:
    kind = typing.get_origin(hint) or hint
    if inspect.isclass(kind) and issubclass(kind, FOUND):
        return True
    return any(holds_objects(arg) for arg in typing.get_args(hint) if arg is not Ctx)


def test_no_function_reads_objects_unasked() -> None:
    unasked = {
        f"{function.__module__}.{function.__name__}"
        for function in public_functions()
        if comes_to_objects(function) and not asks(function) and not is_given_objects(function)
    }
    assert sorted(unasked) == []


def _reads(ctx: Ctx, vm_id: str) -> Vm:
    return ctx.session.get_one(Vm, vm_id)


def _calls(ctx: Ctx, vm_id: str) -> str:
    return _reads(ctx, vm_id).name


def _asks(ctx: Ctx, vm_id: str) -> str:
    return find(ctx, Vm, vm_id, "vm.view").name


def _calls_who_asks(ctx: Ctx, vm_id: str) -> str:
    return vms.show_vm(ctx, vm_id).name


def _is_given(ctx: Ctx, rows: Sequence[tuple[Vm, str]]) -> list[str]:
    return [ctx.session.get_one(Vm, row.id).name for row, _ in rows]


@pytest.mark.parametrize("function", [_reads, _calls])
def test_reading_unasked_is_seen(function: FunctionType) -> None:
    assert comes_to_objects(function)
    assert not asks(function)
    assert not is_given_objects(function)


def test_asking_and_being_given_are_seen() -> None:
    assert asks(_asks)
    assert asks(_calls_who_asks)
    assert is_given_objects(_is_given)
