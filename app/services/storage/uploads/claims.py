"""Who writes a part of an upload: one request at a time, and nothing of the upload ends before it has left.

A claim is a lease in the upload's row. The request renews it for as long as it lives; when its process dies, the lease
ends by itself.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx, Services
from app.core.errors import Conflict, NotFound, Unavailable
from app.core.messages import N_
from app.core.tasks.states import TaskState
from app.db.models import Task, Upload

LEASE = timedelta(seconds=60)
RENEW_S = 10.0
SURE_S = 30.0  # after the last renewal; a volume is looked up and opened well within the rest of the lease


def lock_upload(session: Session, upload_id: str) -> Upload | None:
    """The upload as it is now, so that no other transaction changes it until this one ends; None when it has ended."""
    return session.get(Upload, upload_id, with_for_update=True, populate_existing=True)


def is_claimed(upload: Upload) -> bool:
    """Whether a request writes a part of it now."""
    return upload.claimed_until is not None and upload.claimed_until > datetime.now(UTC)


def is_cancelled(session: Session, upload_id: str) -> bool:
    """Whether the upload was given up, though it may not have ended yet."""
    return session.scalar(sa.select(Task.state).where(Task.id == upload_id)) == TaskState.CANCELLING.value


def no_such_upload(translate: Callable[[str], str]) -> NotFound:
    """It has ended, or will as soon as its writer has left."""
    return NotFound(N_("There is no such upload: it has ended, or was given up."))


class PartClaim:
    """The claim of one request, which holds as long as the block lasts."""

    def __init__(self, services: Services, translate: Callable[[str], str], upload_id: str) -> None:
        self._services = services
        self._translate = translate
        self._upload_id = upload_id
        self._mark = secrets.token_hex(16)
        self._renewed_at = 0.0
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="upload-claim", daemon=True)

    @classmethod
    def take(cls, ctx: Ctx, upload_id: str) -> PartClaim:
        """Claim the upload in this transaction. Raises NotFound, Conflict (part_under_way)."""
        claim = cls(ctx.services, ctx.translate, upload_id)
        upload = lock_upload(ctx.session, upload_id)
        if upload is None or is_cancelled(ctx.session, upload_id):
            raise no_such_upload(ctx.translate)
        if is_claimed(upload):
            raise claim._under_way()
        claim._renewed_at = time.monotonic()
        claim._extend(upload)
        return claim

    def __enter__(self) -> PartClaim:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        own = sa.update(Upload).where(Upload.id == self._upload_id, Upload.claim == self._mark)
        with (
            suppress(Unavailable),
            self._services.database.begin() as session,
        ):  # else the lease ends by itself
            session.execute(own.values(claim=None, claimed_until=None))

    def require(self, session: Session) -> Upload:
        """The upload, locked by this transaction, if it is still claimed by this request.

        Raises NotFound when it was given up, Conflict (part_under_way) when another request has taken over.
        """
        upload = lock_upload(session, self._upload_id)
        if upload is None or is_cancelled(session, self._upload_id):
            raise no_such_upload(self._translate)
        if upload.claim != self._mark:
            raise self._under_way()
        return upload

    def hold(self) -> None:
        """To be called before each step on the host: what begins now begins within the lease. Raises as `require`."""
        begun = time.monotonic()
        if begun - self._renewed_at < SURE_S:
            return
        with self._services.database.begin() as session:
            self._extend(self.require(session))
        self._renewed_at = begun

    def _extend(self, upload: Upload) -> None:
        upload.claim, upload.claimed_until = self._mark, datetime.now(UTC) + LEASE

    def _renew(self) -> None:
        """Also of an upload that was given up meanwhile: it ends only when this request has left."""
        while not self._left.wait(RENEW_S):
            begun = time.monotonic()
            with suppress(Unavailable):
                with self._services.database.begin() as session:
                    upload = lock_upload(session, self._upload_id)
                    if upload is None or upload.claim != self._mark:
                        return
                    self._extend(upload)
                self._renewed_at = begun

    def _under_way(self) -> Conflict:
        return Conflict(
            self._translate(N_("A part of this file is being written.")),
            why=self._translate(N_("Another request sent it and has not ended.")),
            hint=self._translate(N_("Wait a moment, then ask how far the upload has come, and go on there.")),
            code="part_under_way",
        )
