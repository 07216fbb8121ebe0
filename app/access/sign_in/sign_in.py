"""Sign in with a name and a password, and out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from app.access import audit
from app.access.accounts import user_named, user_record
from app.access.context import Actor, Ctx, Services
from app.access.find import look_up, ref, unrestricted
from app.access.secrets import new_secret, secret_digest
from app.access.sign_in.known_devices import known_device, new_device
from app.access.sign_in.login_limits import guesser_at, limited
from app.access.sign_in.passwords import verify_password
from app.core.access.privileges import Role
from app.core.access.records import UserRecord
from app.core.errors import NotSignedIn
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import USER_ACCESS
from app.db.models import Login, User


@dataclass(frozen=True, slots=True)
class SignIn:
    """A login that was just made. `secret` goes into the cookie and is kept nowhere else.

    `device` goes into a cookie that outlives the login: guesses from elsewhere do not keep this browser out.
    """

    secret: str = field(repr=False)
    device: str = field(repr=False)
    login_id: str
    expires_at: datetime
    user: UserRecord


@dataclass(frozen=True, slots=True)
class Browser:
    """What came with an attempt to sign in: the address, and what an earlier login left in the browser's cookies."""

    remote: str | None
    user_agent: str | None = None
    device: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)


def sign_in(services: Services, name: str, password: str, browser: Browser) -> SignIn:
    """Check a name and a password and make a login; the browser's earlier login ends.

    Raises NotSignedIn for a wrong name or password, or a disabled account; TooManyRequests after too many.
    """
    remote = browser.remote
    user = user_named(services, name)
    device = known_device(services.vault, browser.device, user.id if user else None)
    guesser = device or guesser_at(remote)
    with limited(services, guesser, remote) as failed:
        fits = verify_password(password, user.password_hash if user else None, guesser)
        if not fits or user is None:
            failed()
            who = Actor(
                user.id if user else None, user.name if user else _shown(name), Role.VIEWER, "page", remote
            )
            error = _wrong_password()
            audit.record_refusal(services, who, "login", error)
            raise error
    actor = Actor(user.id, user.name, Role(user.role), "page", remote)
    try:
        if user.disabled:
            raise NotSignedIn(
                N_("This account is disabled."), hint=N_("Ask an administrator."), code="account_disabled"
            )
        return _make_login(services, actor, browser, verified=user.password_hash)
    except NotSignedIn as refused:
        audit.record_refusal(services, actor, "login", refused)
        raise


def _wrong_password() -> NotSignedIn:
    return NotSignedIn(N_("The name or the password is wrong."), code="wrong_password")


def _shown(name: str) -> str:
    """What somebody typed as a name, made fit for the audit. It may be a password in the wrong field: cut short."""
    return "".join(item if item.isprintable() else "?" for item in name)[:63]


def _make_login(services: Services, actor: Actor, browser: Browser, *, verified: str | None) -> SignIn:
    """Write the login, unless the hash that was verified was replaced meanwhile; the row's lock waits for a reset."""
    secret, user_agent = new_secret(), browser.user_agent
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor)
        user = look_up(ctx, User, actor.user_id or "", lock=True)
        if user is None or user.disabled or user.password_hash != verified:
            raise _wrong_password()
        session.execute(sa.delete(Login).where(Login.expires_at < ctx.now))
        _end_earlier(ctx, browser)
        login = Login(
            id=new_id(ObjectKind.LOGIN),
            secret_sha256=secret_digest(secret),
            user_id=user.id,
            created_at=ctx.now,
            last_seen_at=ctx.now,
            expires_at=ctx.now + timedelta(seconds=services.settings.session_max_s),
            remote=actor.remote,
            user_agent=_shown(user_agent)[:200] if user_agent else None,
        )
        session.add(login)
        user.last_login_at = ctx.now
        audit.record(ctx, "login", target=ref(user))
        return SignIn(
            secret, new_device(services.vault, user.id), login.id, login.expires_at, user_record(user)
        )


def _end_earlier(ctx: Ctx, browser: Browser) -> None:
    """End the login that the browser had until now, whoever's it is: its cookie is about to be replaced."""
    if not browser.secret:
        return
    known = sa.select(Login).where(Login.secret_sha256 == secret_digest(browser.secret))
    earlier = ctx.session.scalar(unrestricted(known))
    if earlier is not None:
        ctx.session.delete(earlier)
        ctx.notify(f"{USER_ACCESS}{earlier.user_id}")


def sign_out(ctx: Ctx) -> None:
    """End the login with which this is asked."""
    if ctx.actor.login_id is None:
        return
    if (login := look_up(ctx, Login, ctx.actor.login_id)) is not None:
        ctx.session.delete(login)
    audit.record(ctx, "logout")
    ctx.notify(f"{USER_ACCESS}{ctx.actor.user_id}")
