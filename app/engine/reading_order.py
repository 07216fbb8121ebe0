"""Which of two readings of the same thing is the newer one: the one that began later, whichever ends first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from app.core.inventory.reports import HostReport
from app.inventory.collectors.all_collectors import Collectors
from app.inventory.collectors.collector import Newest


class ReadingOrder:
    """Remembers, by host and collector, when what was admitted began to be read. Its user locks."""

    def __init__(self, collectors: Collectors) -> None:
        self._collectors = collectors
        self._newest: defaultdict[str, defaultdict[str, Newest]] = defaultdict(lambda: defaultdict(Newest))

    def admit(self, report: HostReport) -> HostReport:
        """The report without what newer readings have told already. Reports without a beginning are taken whole."""
        if report.began_s is None or not report.parts:
            return report
        parts = self._collectors.admit(report.parts, self._newest[report.host_id], report.began_s)
        return replace(report, parts=parts)

    def forget(self, host_id: str) -> None:
        """Forget a host."""
        self._newest.pop(host_id, None)
