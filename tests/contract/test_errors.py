"""docs/errors.md explains every error code of the program, and no other."""

import ast
import re
from collections.abc import Iterator

from tests.contract.sources import APP, ROOT, modules, tree

# Constructors that take the code first.
CODE_FIRST = {"TaskFailed", "Refusal"}
# Example data, not errors that are raised.
SAMPLES = {APP / "web/pages/gallery.py", *(APP / "web/api/examples").glob("*.py")}


def constant(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def codes_in(node: ast.AST) -> Iterator[str]:
    """The codes that one piece of syntax names."""
    match node:
        case ast.keyword(arg="code", value=value):
            yield from constant(value)
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in CODE_FIRST:
            yield from constant(first)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if key is not None and list(constant(key)) == ["code"]:
                    yield from constant(value)
        case ast.ClassDef(body=body):
            for line in body:
                match line:
                    case ast.Assign(targets=[ast.Name(id="code")], value=value):
                        yield from constant(value)
                    case ast.AnnAssign(target=ast.Name(id="code"), value=default):
                        yield from constant(default)
        case ast.AnnAssign(target=ast.Name(id="_REFUSALS"), value=ast.Dict(values=entries)):
            for entry in entries:
                assert isinstance(entry, ast.Tuple)
                yield from constant(entry.elts[0])


def used() -> set[str]:
    return {
        code
        for path in modules()
        if path not in SAMPLES
        for node in ast.walk(tree(path))
        for code in codes_in(node)
    }


def documented() -> list[str]:
    return re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)


def test_the_collector_sees_every_way_to_name_a_code() -> None:
    ways = {
        "busy": "attribute of a class",
        "name_taken": "argument",
        "host_observed": "first argument of a refusal",
        "host_lost": "first argument of a failed task",
        "hook_failed": "table of libvirt's errors",
        "vm_gone": "error of a task",
    }
    assert set(ways) - used() == set()


def test_every_code_is_explained() -> None:
    assert used() - set(documented()) == set()


def test_no_unknown_code_is_explained() -> None:
    assert set(documented()) - used() == set()


def test_each_is_explained_once() -> None:
    assert len(documented()) == len(set(documented()))
