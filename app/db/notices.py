"""Notices that something changed, sent once the transaction is committed."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.core.notices import Hub
from app.db.session import after_commit


def notify(session: Session, hub: Hub, *topics: str) -> None:
    """Publish the topics once the session's transaction is committed, all in one notice."""
    waiting: set[str] | None = session.info.get("notices")
    if waiting is None:
        waiting = session.info["notices"] = set()

        def send() -> None:
            hub.publish(session.info.pop("notices", ()))

        after_commit(session, send)
    waiting.update(topics)
