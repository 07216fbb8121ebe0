"""Title and tone (colour) of every state of every object, for pages, dashboard and tree.

The titles of a noun's states are in its `app/core/<noun>/states.py`, with the hints of a host's.
"""

from __future__ import annotations

from app.core.hosts.states import ADMIN_STATE_TITLES, HOST_STATUS_TITLES, HostStatus, Verdict
from app.core.messages import N_
from app.core.storage.states import POOL_STATE_TITLES, VOLUME_CONDITION_TITLES
from app.core.tasks.states import TASK_STATE_TITLES, TaskState
from app.core.vms.states import VM_STATE_TITLES, VmState

VERDICT_TITLES: dict[Verdict, str] = {
    Verdict.PASS: N_("Good"),
    Verdict.WARN: N_("Warning"),
    Verdict.FAIL: N_("Fault"),
}
OTHER_TITLES: dict[str, str] = {
    "info": N_("Information"),
    "warning": N_("Warning"),
    "error": N_("Error"),
    "active": N_("Active"),
    "observe": N_("Observe only"),
    "managed": N_("Managed"),
}
_TITLES: dict[str, str] = {
    **OTHER_TITLES,
    **POOL_STATE_TITLES,
    **VOLUME_CONDITION_TITLES,
    **{state.value: title for state, title in TASK_STATE_TITLES.items()},
    **{state.value: title for state, title in VERDICT_TITLES.items()},
    **{state.value: title for state, title in ADMIN_STATE_TITLES.items()},
    **{state.value: title for state, title in HOST_STATUS_TITLES.items()},
    **{state.value: title for state, title in VM_STATE_TITLES.items()},
}
_RUNNING_TASK = TaskState.RUNNING.value
_TONES: dict[str, str] = {
    **dict.fromkeys(("connected", "succeeded", "pass", "active", "ok"), "ok"),
    VmState.RUNNING.value: "ok",
    **dict.fromkeys(
        ("paused", "suspended", "missing", "unknown", "maintenance", "warn", "warning", "degraded"), "warn"
    ),
    **dict.fromkeys(("crashed", "failed", "fail", "error", "inaccessible"), "bad"),
    **dict.fromkeys(("not_answering", "auth_failed", "identity_changed", "refused"), "bad"),
    **dict.fromkeys(("queued", "cancelling", "connecting", "info", "building", "saved"), "busy"),
    HostStatus.DISABLED.value: "off",
}


def title_of(state: str | None, kind: str = "vm") -> str | None:
    """The message id of a state's title; None when it has none. Tasks and VMs both run: `kind` tells them apart."""
    if kind == "task" and state == _RUNNING_TASK:
        return TASK_STATE_TITLES[TaskState.RUNNING]
    return _TITLES.get(str(state))


def tone(state: str | None, kind: str = "vm") -> str:
    """The colour family of a state: ok, warn, bad, busy or off. Tasks and VMs both run: `kind` tells them apart."""
    if kind == "task" and state == _RUNNING_TASK:
        return "busy"
    return _TONES.get(str(state), "off")


def alert_role(tone: str) -> str:
    """Whether a note in a tone interrupts a screen reader (alert) or waits (status)."""
    return "alert" if tone == "bad" else "status"


def tone_icon(tone: str) -> str:
    """The icon of a note in a tone."""
    return {"ok": "check", "info": "info"}.get(tone, "alert")
