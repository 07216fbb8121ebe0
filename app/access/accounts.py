"""Users, as administrators keep them and as they see themselves: their logins, password and language."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from app.access import audit
from app.access.context import Actor, Ctx, Services
from app.access.find import find, ref, unrestricted, visible
from app.access.names.unique_names import save_named
from app.access.paging import Order, mentions, page, storable
from app.access.row_versions import check_version
from app.access.sign_in.login_limits import Guesser, guesser_of, limited
from app.access.sign_in.passwords import hash_password, require_strong, verify_password
from app.core.access.privileges import Role
from app.core.access.records import SessionRecord, UserRecord
from app.core.access.specs import LanguageName, PasswordChange, UserPatch, UserSpec
from app.core.casefold import fold
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import USER_ACCESS
from app.core.records import Page
from app.core.specs import ListQuery
from app.db.models import Login, Token, User

SORT_KEYS = Order(
    {
        "name": User.name_key,
        "role": User.role,
        "created_at": User.created_at,
        "last_login_at": User.last_login_at,
    },
    default="name",
    unique=User.id,
)
LOGINS = Order(
    {"last_seen_at": Login.last_seen_at, "created_at": Login.created_at},
    default="-last_seen_at",
    unique=Login.id,
)


def user_named(services: Services, name: str) -> User | None:
    """The user with this sign-in name, in any case, for whoever is not signed in yet."""
    if len(name) > 63 or not storable(name):
        return None
    with services.database.read() as session:
        user = session.scalar(sa.select(User).where(User.name_key == fold(name)))
        session.expunge_all()  # read outside the transaction, which must not wait for a hash
    return user


def list_sessions(ctx: Ctx, params: ListQuery) -> Page[SessionRecord]:
    """The asker's own logins, the latest used first."""
    idle = ctx.now - timedelta(seconds=ctx.services.settings.session_idle_s)
    query = sa.select(Login).where(Login.user_id == ctx.actor.user_id, Login.expires_at > ctx.now)
    query = query.where(Login.last_seen_at >= idle)
    if params.q:
        query = query.where(mentions((Login.remote, Login.user_agent), params.q))
    query = visible(ctx, query, Login, "user.edit")
    return page(ctx, query, params, LOGINS, lambda rows: [_session(ctx, row) for (row,) in rows])


def _session(ctx: Ctx, row: Login) -> SessionRecord:
    return SessionRecord(
        id=row.id,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        remote=row.remote,
        user_agent=row.user_agent,
        current=row.id == ctx.actor.login_id,
    )


def end_session(ctx: Ctx, login_id: str) -> None:
    """End a login of the asker, or with user.edit of anybody."""
    login = find(ctx, Login, login_id, "user.edit")
    ctx.session.delete(login)
    audit.record(ctx, "session.end", session=login_id)
    ctx.notify(f"{USER_ACCESS}{login.user_id}")


def list_users(ctx: Ctx, params: ListQuery) -> Page[UserRecord]:
    """The users."""
    ctx.require("user.view")
    query = visible(ctx, sa.select(User), User, "user.view")
    if params.q:
        query = query.where(mentions((User.name_key, User.display), params.q))
    return page(ctx, query, params, SORT_KEYS, _records)


def show_user(ctx: Ctx, user_id: str) -> UserRecord:
    """One user; everybody may see themselves."""
    if user_id != ctx.actor.user_id:
        ctx.require("user.view")
    return user_record(find(ctx, User, user_id, "user.view"))


def find_user(ctx: Ctx, name: str) -> UserRecord:
    """The user with this sign-in name, in any case. Raises NotFound."""
    ctx.require("user.view")
    query = visible(ctx, sa.select(User), User, "user.view")
    user = ctx.session.scalar(query.where(User.name_key == fold(name)))
    if user is None:
        raise NotFound(N_("There is no such user."))
    return user_record(user)


def create_user(ctx: Ctx, spec: UserSpec) -> UserRecord:
    """Make a user who can sign in at once."""
    ctx.require("user.edit")
    password = spec.password.get_secret_value()
    require_strong("password", password, about=_words(spec.name, spec.display))
    hashed = hash_password(password, guesser_of(ctx.actor))  # takes its time: before the database is locked
    user = User(
        id=new_id(ObjectKind.USER),
        display=spec.display or spec.name,
        password_hash=hashed,
        role=spec.role,
        language=spec.language,
        disabled=False,
        created_at=ctx.now,
        version=1,
    )
    save_named(ctx, user, spec.name)
    audit.record(ctx, "user.create", target=ref(user), role=user.role)
    return user_record(user)


def update_user(ctx: Ctx, user_id: str, patch: UserPatch, expected_version: int | None = None) -> UserRecord:
    """Change a user. A new password ends all logins of the user, and the tokens unless they are kept.

    Disabling ends the logins; tokens are refused for as long as it lasts.
    """
    ctx.require("user.edit")
    hashed = _hashed(ctx, user_id, patch)
    user = find(ctx, User, user_id, "user.edit", lock=True)
    check_version(user, expected_version)
    changed = sorted(patch.model_fields_set)
    ends = patch.disabled or patch.password is not None
    if patch.disabled or (patch.role is not None and patch.role != Role.ADMINISTRATOR.value):
        _keep_an_administrator(ctx, user)
    if hashed is not None:
        user.password_hash = hashed
    if "language" in changed:
        user.language = patch.language
    user.display = patch.display or user.display
    user.role = patch.role or user.role
    user.disabled = user.disabled if patch.disabled is None else patch.disabled
    user.version += 1
    if ends:
        _end_logins(ctx, user.id)
    ended = _end_tokens(ctx, user.id) if hashed is not None and not patch.keep_tokens else 0
    audit.record(
        ctx,
        "user.update",
        target=ref(user),
        fields=", ".join(changed),
        role=user.role,
        disabled=user.disabled,
        tokens_ended=ended,
    )
    ctx.notify(f"{USER_ACCESS}{user.id}")
    return user_record(user)


def _hashed(ctx: Ctx, user_id: str, patch: UserPatch) -> str | None:
    """The hash of the new password, made before the database is locked; None when the password stays."""
    if patch.password is None:
        if patch.keep_tokens is not None:
            raise InvalidInput("keep_tokens", N_("is of use only with a new password"))
        return None
    password = patch.password.get_secret_value()
    with ctx.services.database.read() as session:
        query = sa.select(User.name, User.display).where(User.id == user_id)
        row = session.execute(visible(ctx, query, User, "user.edit")).one_or_none()
    require_strong("password", password, about=_words(*row) if row else ())
    return hash_password(password, guesser_of(ctx.actor))


def _words(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name)


def delete_user(ctx: Ctx, user_id: str) -> None:
    """Remove a user with all logins and tokens. The audit keeps the name."""
    ctx.require("user.edit")
    user = find(ctx, User, user_id, "user.edit", lock=True)
    _keep_an_administrator(ctx, user)
    ctx.session.delete(user)
    audit.record(ctx, "user.delete", target=ref(user))
    ctx.notify(f"{USER_ACCESS}{user.id}")


def change_password(ctx: Ctx, change: PasswordChange) -> None:
    """Give oneself a new password. Every other login of oneself ends, and the tokens unless they are kept."""
    guesser = guesser_of(ctx.actor)
    known = _check_current(ctx, change, guesser)  # hashes are compared before the database is locked
    new = change.new.get_secret_value()
    require_strong("new", new, about=_words(known.name, known.display))
    hashed = hash_password(new, guesser)
    user = find(ctx, User, ctx.actor.user_id or "", "user.view", lock=True)
    check_version(user, known.version)
    user.password_hash = hashed
    user.version += 1
    _end_logins(ctx, user.id, but=ctx.actor.login_id)
    ended = 0 if change.keep_tokens else _end_tokens(ctx, user.id)
    audit.record(ctx, "user.password", target=ref(user), tokens_ended=ended)
    ctx.notify(f"{USER_ACCESS}{user.id}")


def _check_current(ctx: Ctx, change: PasswordChange, guesser: Guesser) -> User:
    """The asker's row, once the present password was given. Raises InvalidInput, TooManyRequests."""
    known = user_named(ctx.services, ctx.actor.name)
    with limited(ctx.services, guesser, ctx.actor.remote) as failed:
        current = change.current.get_secret_value()
        if known is None or not verify_password(current, known.password_hash, guesser):
            failed()
            raise InvalidInput("current", N_("is not your password"), code="wrong_password")
    return known


def set_language(ctx: Ctx, language: LanguageName | None) -> None:
    """Choose the language of one's pages; None follows the browser."""
    user = find(ctx, User, ctx.actor.user_id or "", "user.view")
    user.language = language


def first_user(services: Services, name: str, password: str, role: Role = Role.ADMINISTRATOR) -> UserRecord:
    """Make a user on behalf of the program itself, for the command line and the demo."""
    spec = UserSpec.model_validate({"name": name, "password": password, "role": role.value})
    with services.database.begin() as session:
        return create_user(Ctx(services, session, Actor(None, "vigie", Role.ADMINISTRATOR, "system")), spec)


def _keep_an_administrator(ctx: Ctx, user: User) -> None:
    """Refuse what would leave nobody who can manage users. The rows are locked: two cannot both be the last."""
    query = sa.select(User.id).where(User.role == Role.ADMINISTRATOR, User.disabled.is_(False))
    query = unrestricted(query.order_by(User.id)).with_for_update()
    others = set(ctx.session.scalars(query)) - {user.id}
    if user.role == Role.ADMINISTRATOR and not user.disabled and not others:
        raise Conflict(
            N_("This is the last administrator."),
            why=N_("Without one, nobody could manage users and hosts."),
            hint=N_("Make another user an administrator first."),
            code="last_administrator",
        )


def _end_logins(ctx: Ctx, user_id: str, *, but: str | None = None) -> None:
    query = sa.delete(Login).where(Login.user_id == user_id)
    ctx.session.execute(query if but is None else query.where(Login.id != but))


def _end_tokens(ctx: Ctx, user_id: str) -> int:
    """End the user's API tokens; return how many there were."""
    query = sa.delete(Token).where(Token.user_id == user_id).returning(Token.id)
    return len(ctx.session.scalars(query).all())


def _records(rows: Sequence[tuple[User]]) -> list[UserRecord]:
    return [user_record(user) for (user,) in rows]


def user_record(user: User) -> UserRecord:
    """What people see of a user."""
    return UserRecord.model_validate({name: getattr(user, name) for name in UserRecord.model_fields})
