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
