"""`vigie`: the command line. Each command is one service call, as pages and the API make them."""

import gc

# Modules are never freed: collecting garbage while the server's are imported costs a fifth of that time.
was_enabled = gc.isenabled()
gc.disable()
try:
    from app.cli.root import main
finally:
    if was_enabled:
        gc.enable()

__all__ = ["main"]
