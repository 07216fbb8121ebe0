"""Pages over a real database with a small inventory; no engine, no hosts behind them."""

from tests.integration.api.conftest import console, shared

__all__ = ["console", "shared"]
