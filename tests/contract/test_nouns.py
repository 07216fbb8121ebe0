"""A noun uses of another noun, in its own layer, only what that one's `__init__` says is public.

The docstring of a noun's package names its modules that are public to other nouns. All others are its own.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.contract.sources import APP, dotted, modules, name_of, tree

LAYERS = ("services", "inventory", "web.api", "web.pages")
NOUNS = {"vms", "hosts", "storage", "networks", "library", "tasks", "access", "inventory"}
PUBLIC = re.compile(r"Public to other nouns: (.*)\.$", re.DOTALL)


def noun_of(module: str) -> tuple[str, str] | None:
    """The layer and the noun of a module, or None when it is of none."""
    for layer in LAYERS:
        noun, _, _ = module.removeprefix(f"{layer}.").partition(".")
        if (
            module.startswith(f"{layer}.")
            and noun in NOUNS
            and (APP.joinpath(*layer.split("."), noun)).is_dir()
        ):
            return layer, noun
    return None


def public_of(layer: str, noun: str) -> set[str]:
    """The modules of a noun that are public to others in the layer."""
    reported = ast.get_docstring(tree(APP.joinpath(*layer.split("."), noun, "__init__.py"))) or ""
    found = PUBLIC.search(reported)
    return {f"{layer}.{noun}.{name}" for name in re.findall(r"`([\w.]+)`", found[1])} if found else set()


def imported(path: Path) -> Iterator[str]:
    """The modules below `app` that a module imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app."):
            module = (node.module or "").removeprefix("app.")
            for name in node.names:
                below = APP.joinpath(*module.split("."), name.name)
                is_module = below.is_dir() or below.with_suffix(".py").exists()
                yield f"{module}.{name.name}" if is_module else module


def used_by_others() -> dict[str, set[str]]:
    """The modules of nouns that other nouns of the layer import, with those that do."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        own = noun_of(dotted(path))
        for module in imported(path) if own else ():
            other = noun_of(module)
            if own and other and other[0] == own[0] and other != own:
                found[module].add(name_of(path))
    return found


def test_nouns_use_what_is_public_of_others() -> None:
    private = {
        module: sorted(users)
        for module, users in used_by_others().items()
        if module not in public_of(*(noun_of(module) or ("", "")))
    }
    assert private == {}


def test_what_is_public_is_there_and_used() -> None:
    public = set()
    for layer in LAYERS:
        for noun in NOUNS:
            if APP.joinpath(*layer.split("."), noun).is_dir():
                public |= public_of(layer, noun)
    assert public - set(used_by_others()) == set()


def test_private_names_stay_in_their_module() -> None:
    taken = [
        f"{name_of(path)}: {name.name}"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app.")
        for name in node.names
        if name.name.startswith("_")
    ]
    assert taken == []
