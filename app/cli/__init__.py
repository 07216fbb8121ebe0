"""`vigie`: the command line. Each command is one service call, as pages and the API make them."""

import gc

# What is imported stays: while it is, the collector would only search it in vain, which takes a fifth of the start.
gc.disable()
try:
    from app.cli.root import main
finally:
    gc.enable()

__all__ = ["main"]
