"""Why something cannot be done now, in the reader's words."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.messages import N_


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action cannot be done now: a stable code, a message id with parameters, and what to do.

    The parameters are lists of message ids.
    """

    code: str
    reason: str
    params: dict[str, list[str]]
    hint: str


HOST_DISABLED = Refusal(
    "host_disabled",
    N_("The host is disabled: Vigie does not connect to it."),
    {},
    N_("Enable the host first."),
)
HOST_OBSERVED = Refusal(
    "host_observed",
    N_("The host is in observe mode: Vigie changes nothing on it."),
    {},
    N_("Switch the host to managed mode first."),
)
HOST_IN_MAINTENANCE = Refusal(
    "host_maintenance",
    N_("The host is in maintenance: no new VM is placed on it."),
    {},
    N_("Choose another host, or end the maintenance first."),
)
