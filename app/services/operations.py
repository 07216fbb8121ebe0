"""Every operation that the product has: importing this declares them all."""

from __future__ import annotations

import importlib
import pkgutil

import app.services


def load_operations() -> None:
    """Import every module of the use cases, so that the catalogue of operations is whole."""
    for module in pkgutil.walk_packages(app.services.__path__, "app.services."):
        importlib.import_module(module.name)
