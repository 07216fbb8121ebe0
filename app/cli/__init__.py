"""`vigie`: the command line. Each command is one service call, as pages and the API make them."""

from app.cli.root import main

__all__ = ["main"]
