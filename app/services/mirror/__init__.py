"""How observations become rows: compare, write what changed, say what happened. `services.inventory` is the door."""
