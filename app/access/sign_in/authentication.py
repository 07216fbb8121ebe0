"""Who calls: the session or the token that came with a request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.access.context import Actor, Services, Via
from app.access.secrets import secret_digest
from app.access.sign_in.last_seen import LAST_SEEN
from app.core.access.privileges import Role
from app.core.errors import NotSignedIn
from app.core.messages import N_
from app.db.models import Login, Token, User


def actor_of_session(services: Services, secret: str, remote: str | None) -> tuple[Actor, str | None]:
    """Return whose login this is, and the language chosen. Raises NotSignedIn when it ended."""
    now = datetime.now(UTC)
    idle = timedelta(seconds=services.settings.session_idle_s)
    with services.database.read() as session:
        query = sa.select(Login, User).join(User, User.id == Login.user_id)
        row = session.execute(query.where(Login.secret_sha256 == secret_digest(secret))).one_or_none()
        session.expunge_all()
    if row is None or row[1].disabled or now >= row[0].expires_at or now - row[0].last_seen_at > idle:
        raise NotSignedIn(N_("Your session has ended."), hint=N_("Sign in again."), code="session_ended")
    login, user = row
    seen = sa.update(Login).where(Login.id == login.id).values(last_seen_at=now)
    _touch(services, login.id, now - login.last_seen_at, seen)
    return Actor(user.id, user.name, Role(user.role), "page", remote, login_id=login.id), user.language


def actor_of_token(services: Services, token: str, remote: str | None, via: Via = "api") -> Actor:
    """Return whose token this is. Raises NotSignedIn when it is unknown, revoked or expired."""
    now = datetime.now(UTC)
    with services.database.read() as session:
        query = sa.select(Token, User).join(User, User.id == Token.user_id)
        row = session.execute(query.where(Token.secret_sha256 == secret_digest(token))).one_or_none()
        session.expunge_all()
    if row is None or row[1].disabled or (row[0].expires_at is not None and now >= row[0].expires_at):
        raise NotSignedIn(
            N_("The token is not valid."),
            why=N_("It is unknown, revoked or expired, or its user is disabled."),
            hint=N_("Make a new token."),
            code="token_invalid",
        )
    known, user = row
    used = sa.update(Token).where(Token.id == known.id).values(last_used_at=now)
    _touch(
        services, known.id, timedelta.max if known.last_used_at is None else now - known.last_used_at, used
    )
    return Actor(user.id, user.name, Role(user.role), via, remote, token_id=known.id)


def _touch(services: Services, identifier: str, age: timedelta, update: sa.Update) -> None:
    def write() -> None:
        with services.database.begin(wait_ms=50) as session:
            session.execute(update)

    LAST_SEEN.write(identifier, age.total_seconds(), write)
