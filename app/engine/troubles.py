"""What goes wrong with the chores of a connection: when people see it as a reason, and when the log tells it."""

from __future__ import annotations

from app.core.errors import HypervisorRefused
from app.core.messages import N_

REFUSALS_TOLD = 2  # in a row: one alone may pass
UNEXPECTED = N_("Vigie cannot read a part of this host: an unexpected error, which is in Vigie's log.")


class Troubles:
    """By chore; its user holds a lock."""

    def __init__(self) -> None:
        self._reasons: dict[str, tuple[str, int]] = {}  # why it failed, and how often in a row
        self._logged: dict[str, str] = {}  # what its last failure was, on this or an earlier connection

    @property
    def reason(self) -> str | None:
        """Why a part of the host is not read, once that is no passing thing."""
        return next((why for why, times in self._reasons.values() if times >= REFUSALS_TOLD), None)

    def refused(self, chore: str, error: HypervisorRefused) -> None:
        """The host refused a chore."""
        _, times = self._reasons.get(chore, ("", 0))
        self._reasons[chore] = error.texts().why or error.title, times + 1

    def unexpected(self, chore: str) -> None:
        """A chore ended as nobody foresaw."""
        self._reasons[chore] = UNEXPECTED, REFUSALS_TOLD

    def over(self, chore: str) -> bool:
        """The chore succeeded. Returns whether it had failed."""
        self._logged.pop(chore, None)
        return self._reasons.pop(chore, None) is not None

    def forget(self) -> None:
        """A new connection has no troubles yet."""
        self._reasons.clear()

    def is_news(self, chore: str, what: str) -> bool:
        """Whether the chore did not fail like this the last time: the log has edges only."""
        before, self._logged[chore] = self._logged.get(chore), what
        return before != what
