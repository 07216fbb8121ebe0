"""Rows of models that `find` knows are loaded by `find`, `look_up`, `preload`, or a query that says what it is limited to.

In a function that has a `ctx`, every select of such a model comes to `visible` or `unrestricted`: around it, through the
names to which it is assigned, or in the function that it is given to. A subquery belongs to the statement around it.
Such a function takes no row out of the session by its id. A part of a use case that has only ids takes a session.
"""

import ast
import importlib
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from app.access import find as finder
from app.access.context import Ctx
from app.access.find import FINDABLE, unrestricted, visible
from app.db.models import Host, Vm

LAYERS = ("access", "capacity", "inventory", "services", "tasks")
LIMITS = {visible, unrestricted}
READS = {"execute", "scalar", "scalars"}
FILTERS = {"in_", "not_in", "where", "exists"}


@dataclass(frozen=True, eq=False)
class Function:
    """A function's tree, and the module in which its names have their meaning."""

    node: ast.FunctionDef
    module: ModuleType

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.node) for child in ast.iter_child_nodes(node)}

    @property
    def parameters(self) -> list[str]:
        arguments = self.node.args
        return [item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]

    @property
    def has_ctx(self) -> bool:
        created = any(isinstance(node, ast.Name) and node.id == "ctx" for node in ast.walk(self.node))
        return "ctx" in self.parameters or created

    @property
    def returns_select(self) -> bool:
        return self.node.returns is not None and "Select" in ast.unparse(self.node.returns)

    def meaning(self, node: ast.AST) -> object:
        """What a name, or a name in a module, stands for; None for what is local."""
        match node:
            case ast.Name(id=name):
                return vars(self.module).get(name)
            case ast.Attribute(value=value, attr=name):
                return getattr(self.meaning(value), name, None)
        return None

    def mentions_models(self, node: ast.AST) -> bool:
        """Whether an expression names a model, or columns of one, or a function that selects them."""
        return any(self.means_model(self.meaning(item)) or self.is_any_model(item) for item in ast.walk(node))

    def is_any_model(self, node: ast.AST) -> bool:
        """Whether a local name stands for one of several models, or a column of one."""
        return isinstance(node, ast.Name) and node.id in self.any_models

    @cached_property
    def any_models(self) -> set[str]:
        """Parameters and local names whose annotation says so, or that are taken from a table of models."""
        arguments = self.node.args
        hints = {item.arg: item.annotation for item in (*arguments.args, *arguments.kwonlyargs)}
        taken = set()
        for node in ast.walk(self.node):
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=hint):
                    hints[name] = hint
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript(value=table)):
                    if self.means_model(self.meaning(table)):
                        taken.add(name)
        words = ("type[", "InstrumentedAttribute[")
        return taken | {
            name for name, hint in hints.items() if hint and any(map(ast.unparse(hint).count, words))
        }

    def means_model(self, found: object) -> bool:
        if isinstance(found, dict):
            found = list(found.values())
        if isinstance(found, tuple | list):
            return any(self.means_model(item) for item in found)
        if isinstance(found, FunctionType):
            return (function := function_of(found)) is not None and function.is_query
        owner = getattr(found, "class_", found)
        return inspect.isclass(owner) and owner in FINDABLE

    @cached_property
    def is_query(self) -> bool:
        """Whether it only makes a query of such models, for others to limit."""
        return self.returns_select and not self.has_ctx and self.mentions_models(self.node)

    def queries(self) -> Iterator[ast.AST]:
        """The selects of such models, each with all that is called on it."""
        for node in ast.walk(self.node):
            if isinstance(node, ast.Call):
                called = self.meaning(node.func)
                whole = self.chained(node)
                selects = called is sa.select and self.mentions_models(whole)
                if selects or (isinstance(called, FunctionType) and self.means_model(called)):
                    yield whole

    def chained(self, node: ast.AST) -> ast.AST:
        """The last of the calls that follow one another from this: `select(…).join(…).where(…)`."""
        while isinstance(attribute := self.parents.get(node), ast.Attribute):
            call = self.parents[attribute]
            node = call if isinstance(call, ast.Call) and call.func is attribute else attribute
        return node

    def loads(self) -> Iterator[ast.Call]:
        """Where rows of such models are taken out of the session by their id."""
        for node in ast.walk(self.node):
            match node:
                case ast.Call(func=ast.Attribute(attr="get" | "get_one", value=owner), args=[model, *_]):
                    if ast.unparse(owner).endswith("session") and self.means_model(self.meaning(model)):
                        yield node

    def is_limited(self, node: ast.AST, seen: frozenset[str] = frozenset()) -> bool:
        """Whether what a node gives comes to a limit."""
        while (parent := self.parents.get(node)) is not None:
            match parent:
                case ast.Call(func=ast.Attribute(attr=attr)) if attr in READS:
                    return False
                case ast.Call(func=func) if node is not func:
                    called = self.meaning(func)
                    if called in LIMITS or self._is_filter(parent, func):
                        return True
                    if isinstance(called, FunctionType) and (function := function_of(called)):
                        return function.limits(self._parameter(function, parent, node))
                case ast.Assign(targets=[*targets]):
                    return any(self._name_is_limited(target, seen) for target in targets)
                case ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
                    return self._name_is_limited(target, seen)
                case ast.stmt():
                    return False
            node = parent
        return False

    def limits(self, parameter: str) -> bool:
        """Whether it limits the query that it is given."""
        return parameter in self.parameters and self._name_is_limited(ast.Name(parameter), frozenset())

    def _is_filter(self, call: ast.Call, func: ast.AST) -> bool:
        return isinstance(func, ast.Attribute) and func.attr in FILTERS

    def _name_is_limited(self, target: ast.AST, seen: frozenset[str]) -> bool:
        if not isinstance(target, ast.Name) or target.id in seen:
            return False
        uses = (
            node
            for node in ast.walk(self.node)
            if isinstance(node, ast.Name) and node.id == target.id and isinstance(node.ctx, ast.Load)
        )
        return any(self.is_limited(self.chained(use), seen | {target.id}) for use in uses)

    def _parameter(self, function: "Function", call: ast.Call, node: ast.AST) -> str:
        for keyword in call.keywords:
            if keyword is node or keyword.value is node:
                return keyword.arg or ""
        place = next((number for number, item in enumerate(call.args) if item is node), -1)
        return function.parameters[place] if 0 <= place < len(function.parameters) else ""


@cache
def function_of(function: FunctionType) -> Function | None:
    """The tree of a function of the program, or of the examples below."""
    if function.__module__.partition(".")[0] != "app" and function.__module__ != __name__:
        return None
    node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    return Function(node, sys.modules[function.__module__]) if isinstance(node, ast.FunctionDef) else None


def functions() -> Iterator[Function]:
    """The functions and methods of the layers that act for somebody."""
    for layer in LAYERS:
        package = importlib.import_module(f"app.{layer}")
        for found in pkgutil.walk_packages(package.__path__, f"app.{layer}."):
            module = importlib.import_module(found.name)
            if module is finder:
                continue
            for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
                if isinstance(node, ast.FunctionDef):
                    yield Function(node, module)


def unlimited(function: Function) -> list[str]:
    """What a function loads without a limit."""
    queries = [query for query in function.queries() if not function.is_limited(query)]
    return [" ".join(ast.unparse(item).split()) for item in (*queries, *function.loads())]


def test_rows_of_objects_are_found() -> None:
    loaded = {
        f"{function.module.__name__}.{function.node.name}: {item}"
        for function in functions()
        if function.has_ctx
        for item in unlimited(function)
    }
    assert sorted(loaded) == []


def _limited(ctx: Ctx) -> Any:
    query = sa.select(Vm.name).join(Host, Host.id == Vm.host_id)
    return ctx.session.execute(visible(ctx, query.order_by(Vm.name), Vm, "vm.view"))


def _limited_in_another(ctx: Ctx) -> Any:
    return _names(ctx, sa.select(Vm.name))


def _names(ctx: Ctx, query: sa.Select[str]) -> Any:
    return list(ctx.session.scalars(visible(ctx, query.limit(5), Vm, "vm.view")))


def _subquery(ctx: Ctx) -> Any:
    hosts = sa.select(Host.id).where(Host.name != "")
    query = visible(ctx, sa.select(Vm).where(Vm.host_id.in_(hosts)), Vm, "vm.view")
    return ctx.session.scalars(query)


def _regardless(ctx: Ctx, name: str) -> Any:
    return ctx.session.scalar(unrestricted(sa.select(Vm.id).where(Vm.name == name)))


def _counted(ctx: Ctx) -> Any:
    return ctx.session.scalar(sa.select(sa.func.count()).select_from(Vm))


def _joined(ctx: Ctx) -> Any:
    found = sa.select(Host.id, Host.name).subquery()
    return ctx.session.execute(sa.select(found.c.name))


def _shared() -> sa.Select[Any]:
    return sa.select(Vm)


def _made_elsewhere(ctx: Ctx) -> Any:
    return ctx.session.scalars(_shared().order_by(Vm.name))


def _given_on(ctx: Ctx) -> Any:
    return _run(ctx, sa.select(Vm.name))


def _run(ctx: Ctx, query: sa.Select[str]) -> Any:
    return ctx.session.scalars(query)


_TABLE = {"vms": Vm, "hosts": Host}


def _of_a_table(ctx: Ctx, view: str) -> Any:
    model = _TABLE[view]
    return ctx.session.scalars(sa.select(model.name))


def _of_any(ctx: Ctx, model: type[Vm] | type[Host]) -> Any:
    return ctx.session.scalars(sa.select(model.name))


def _by_id(ctx: Ctx, vm_id: str) -> Any:
    return ctx.session.get(Vm, vm_id)


@pytest.mark.parametrize("function", [_limited, _limited_in_another, _subquery, _regardless])
def test_a_limit_is_seen(function: FunctionType) -> None:
    read = function_of(function)
    assert read is not None
    assert list(read.queries())
    assert unlimited(read) == []


@pytest.mark.parametrize(
    "function", [_counted, _joined, _made_elsewhere, _given_on, _of_a_table, _of_any, _by_id]
)
def test_a_query_without_a_limit_is_seen(function: FunctionType) -> None:
    read = function_of(function)
    assert read is not None
    assert unlimited(read)
