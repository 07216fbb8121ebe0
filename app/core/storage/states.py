"""Titles of the states of storage pools and the conditions of volumes."""

from __future__ import annotations

from app.core.messages import N_

POOL_STATE_TITLES: dict[str, str] = {
    "inactive": N_("Inactive"),
    "building": N_("Being built"),
    "running": N_("Running"),
    "degraded": N_("Degraded"),
    "inaccessible": N_("Out of reach"),
}
VOLUME_CONDITION_TITLES: dict[str, str] = {
    "incomplete": N_("Incomplete"),
    "format_disagrees": N_("Format mismatch"),
    "refused": N_("Refused"),
}


# Conditions. The first is not stored: tasks' notes of what they make say it.
INCOMPLETE, FORMAT_DISAGREES, REFUSED = "incomplete", "format_disagrees", "refused"
# Who recorded a format.
BY_VIGIE, BY_DEFINITION, AS_FOUND = "vigie", "definition", "found"
RAW = "raw"

HELD = {
    FORMAT_DISAGREES: N_(
        "Volume %(name)s on host %(host)s is recorded as %(recorded)s, but its content looks like %(found)s: Vigie no longer uses it."
    ),
    REFUSED: N_(
        "Volume %(name)s on host %(host)s was refused before use: its content or its backing chain is not safe."
    ),
}
