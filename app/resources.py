"""Where templates, static files and migrations are: in the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Return the directory `templates`, `static` or `migrations`. Raises FileNotFoundError when it is nowhere."""
    for root in (_PACKAGE / "_resources", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"the installation lacks the folder {name}")
