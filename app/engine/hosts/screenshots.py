"""Screenshots of VMs that somebody looks at: a few at a time, each VM at most every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
import structlog

from app.access.context import Services
from app.core.errors import VigieError
from app.core.notices import SCREENSHOT_TAKEN
from app.core.vms.states import VmState
from app.db.models import Vm, VmScreenshot
from app.engine.thread_pool import ElasticThreadPool
from app.hypervisor import Host

log = structlog.get_logger(__name__)

EVERY_S = 3.0
AT_ONCE = 4
FORGET_ABOVE = 1000


class Screenshots:
    """Takes a screenshot when asked, unless one was taken just now."""

    def __init__(
        self, services: Services, threads: ElasticThreadPool, host: Callable[[str], Host | None]
    ) -> None:
        self._services = services
        self._threads = threads
        self._host = host
        self._lock = threading.Lock()
        self._taken_at: dict[str, float] = {}
        self._in_work = 0

    def want(self, vm_id: str) -> None:
        """Somebody looks at the VM. What is not taken now is asked for again by the page soon."""
        now = time.monotonic()
        with self._lock:
            if self._in_work >= AT_ONCE or now - self._taken_at.get(vm_id, -EVERY_S) < EVERY_S:
                return
            if len(self._taken_at) > FORGET_ABOVE:
                self._taken_at = {id_: at for id_, at in self._taken_at.items() if now - at < EVERY_S}
            self._taken_at[vm_id] = now
            self._in_work += 1
        self._threads.submit(partial(self._take, vm_id), slack_s=1.0)

    def _take(self, vm_id: str) -> None:
        try:
            with self._services.database.read() as session:
                query = sa.select(Vm.host_id, Vm.uuid).where(Vm.id == vm_id, Vm.state == VmState.RUNNING)
                row = session.execute(query).one_or_none()
            host = self._host(row.host_id) if row else None
            if row is None or host is None:
                return
            picture = host.screenshot(row.uuid)
            with self._services.database.begin() as session:
                session.merge(
                    VmScreenshot(
                        vm_id=vm_id,
                        image=picture.data,
                        media_type="image/png",
                        width=picture.width,
                        height=picture.height,
                        taken_at=datetime.now(UTC),
                    )
                )
            self._services.hub.publish([SCREENSHOT_TAKEN + vm_id])
        except VigieError as error:
            log.debug("no_screenshot", vm=vm_id, reason=error.code)
        finally:
            with self._lock:
                self._in_work -= 1
