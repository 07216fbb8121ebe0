"""The program's sources as syntax trees, for the tests of house rules."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Every module of the program."""
    return sorted(APP.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text(), filename=str(path))


def name_of(path: Path) -> str:
    """The path below the repository, as people write it."""
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """A module's name below `app`, as imports write it."""
    return ".".join(path.relative_to(APP).with_suffix("").parts).removesuffix(".__init__")
