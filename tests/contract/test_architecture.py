"""The map for people is as the code is."""

import re

from tests.contract.architecture import LAYERS, PAGE, drawing, page_with
from tests.contract.sources import APP, ROOT

MAX_MODULES = 15


def test_the_drawing_is_of_this_code() -> None:
    assert PAGE.read_text() == page_with(drawing()), "renew it: python -m tests.contract.architecture"


def test_every_path_that_the_map_names_exists() -> None:
    named = set(
        re.findall(r"`((?:app|tests|templates|static|docs|migrations)/[\w./<>*-]+)`", PAGE.read_text())
    )
    assert named
    missing = [item for item in named if not re.search(r"[<>*]", item) and not (ROOT / item).exists()]
    assert missing == []


def test_no_package_shows_more_than_about_fifteen_modules() -> None:
    crowded = {}
    for package in (APP, *(path for path in APP.rglob("*") if (path / "__init__.py").exists())):
        shown = [path for path in package.glob("*.py") if path.stem != "__init__"]
        if len(shown) > MAX_MODULES:
            crowded[package.relative_to(APP).as_posix()] = len(shown)
    assert crowded == {}


def test_the_layers_are_all_drawn() -> None:
    packages = {path.parent.name for path in APP.glob("*/__init__.py")}
    assert packages - set(LAYERS) == {"lab"}
