"""Guards the definition that the submitter saw: nothing is changed when the host has another by now."""

from __future__ import annotations

from app.hypervisor import Host
from app.tasks.context import TaskContext


class DefinitionGuard:
    """Compares the definition on the host with the digest of the one that was seen; without a digest with nothing."""

    def __init__(self, context: TaskContext, uuid: str, digest: str | None) -> None:
        self._context, self._uuid = context, uuid
        # An earlier run has begun: the definition differs by what that did.
        self._digest = None if context.job.sent else digest

    def look(self) -> None:
        """Fail early, before anything is made. Raises HypervisorRefused (changed_meanwhile)."""
        self._context.call(self._compare)

    def begin(self) -> None:
        """Compare immediately before the first change. Raises HypervisorRefused (changed_meanwhile).

        Once it is noted that the task has begun, a later run compares nothing: so before that, too.
        """
        if self._digest is not None:
            self._context.call(self._compare)
            self._context.note_begun()
            self._context.call(self._compare)
            self._digest = None

    def _compare(self, host: Host) -> None:
        if self._digest is not None:
            host.hardware.require_unchanged(self._uuid, self._digest)
