"""Titles and tones of states."""

import pytest

from app.core.hosts.states import HostStatus
from app.core.vms.states import VmState
from app.web.pages.rendering.states import title_of, tone


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (HostStatus.CONNECTED, "ok"),
        (HostStatus.MAINTENANCE, "warn"),
        (HostStatus.NOT_ANSWERING, "bad"),
        (HostStatus.AUTH_FAILED, "bad"),
        (HostStatus.IDENTITY_CHANGED, "bad"),
        (HostStatus.CONNECTING, "busy"),
        (HostStatus.DISABLED, "off"),
    ],
)
def test_each_status_of_a_host_has_a_tone_and_a_title(status: HostStatus, expected: str) -> None:
    assert tone(status) == tone(status.value) == expected
    assert title_of(status)


def test_a_running_task_is_busy_and_a_running_vm_is_well() -> None:
    assert (tone("running"), tone("running", "task")) == ("ok", "busy")
    assert title_of(VmState.RUNNING) == "Running"


def test_a_state_that_is_unknown_has_no_title_and_no_colour() -> None:
    assert (title_of("new"), tone("new"), tone(None)) == (None, "off", "off")
