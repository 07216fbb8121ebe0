"""Pages over a real database with a small inventory; no engine, no hosts behind them."""

from tests.integration.api.conftest import _shared_console_is_left_as_found, console, shared

__all__ = ["_shared_console_is_left_as_found", "console", "shared"]
