"""Where the program finds its directories: in a checkout, and in an installed wheel."""

from pathlib import Path

import pytest

from app import resources
from app.resources import resource


@pytest.mark.parametrize("name", ["templates", "static", "migrations"])
def test_in_this_checkout(name: str) -> None:
    assert resource(name).is_dir()


def test_the_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "app"
    (package / "_resources" / "static").mkdir(parents=True)
    (package.parent / "static").mkdir()
    (package.parent / "templates").mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert resource("static") == package / "_resources" / "static"
    assert resource("templates") == package.parent / "templates"


def test_a_folder_that_neither_has() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        resource("nowhere")
