"""What goes wrong with the polls of a connection: when people see it as a reason, and when the log tells it."""

from __future__ import annotations

from app.core.errors import HypervisorRefused
from app.core.messages import N_

REFUSALS_TOLD = 2  # in a row: one alone may pass
UNEXPECTED = N_("Vigie cannot read a part of this host: an unexpected error, which is in Vigie's log.")


class PollErrors:
    """By name of the poll; its user holds a lock."""

    def __init__(self) -> None:
        self._reasons: dict[str, tuple[str, int]] = {}  # why it failed, and how often in a row
        self._logged: dict[str, str] = {}  # what its last failure was, on this or an earlier connection

    @property
    def reason(self) -> str | None:
        """Why a part of the host is not read, once that is no passing thing."""
        return next((why for why, times in self._reasons.values() if times >= REFUSALS_TOLD), None)

    def refused(self, poll: str, error: HypervisorRefused) -> None:
        """The host refused a poll."""
        _, times = self._reasons.get(poll, ("", 0))
        self._reasons[poll] = error.texts().why or error.title, times + 1

    def unexpected(self, poll: str) -> None:
        """A poll ended as nobody foresaw."""
        self._reasons[poll] = UNEXPECTED, REFUSALS_TOLD

    def over(self, poll: str) -> bool:
        """The poll succeeded. Returns whether it had failed."""
        self._logged.pop(poll, None)
        return self._reasons.pop(poll, None) is not None

    def forget(self) -> None:
        """A new connection has no errors yet."""
        self._reasons.clear()

    def is_new(self, poll: str, what: str) -> bool:
        """Whether the poll did not fail like this the last time: the log has edges only."""
        before, self._logged[poll] = self._logged.get(poll), what
        return before != what
