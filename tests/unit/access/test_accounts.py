"""Users, their sessions and passwords, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from app.access import accounts, tokens
from app.access.context import Actor, Ctx, Services
from app.access.sign_in import authentication
from app.access.sign_in.login_limits import Guesser
from app.core.access.privileges import Role
from app.core.access.specs import PasswordChange, TokenSpec, UserPatch, UserSpec
from app.core.errors import (
    Conflict,
    EditConflict,
    InvalidInput,
    NotAllowed,
    NotSignedIn,
)
from app.core.specs import ListQuery
from app.db.models import Login, Token
from tests.unit.access.signing_in import PASSWORD, sign_in


def spec(name: str, role: str = "viewer") -> UserSpec:
    return UserSpec.model_validate({"name": name, "password": PASSWORD, "role": role})


def test_passwords_are_hashed_before_the_database_is_locked(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, wrote = accounts.hash_password, []

    def hash_password(password: str, guesser: Guesser) -> str:
        with services.database.begin(wait_ms=0) as session:  # another writer, while the hash is made
            session.execute(sa.update(Login).values(remote="192.0.2.1"))
        wrote.append(password)
        return really(password, guesser)

    monkeypatch.setattr(accounts, "hash_password", hash_password)
    admin = Actor(ada.id, ada.name, Role.ADMINISTRATOR, "page")
    with services.database.begin() as session:
        eve = accounts.create_user(Ctx(services, session, admin), spec("eve"))
    with services.database.begin() as session:
        patch = UserPatch.model_validate({"password": "another long password"})
        accounts.update_user(Ctx(services, session, admin), eve.id, patch)
    with services.database.begin() as session:
        change = PasswordChange.model_validate({"current": PASSWORD, "new": "a third long password"})
        accounts.change_password(Ctx(services, session, admin), change)
    assert wrote == [PASSWORD, "another long password", "a third long password"]


def test_disabling_ends_logins_and_tokens(services: Services, ctx, ada) -> None:
    other = accounts.create_user(ctx(), spec("bob"))
    token = tokens.create_token(ctx(), TokenSpec(name="ci"), user_id=other.id).token
    ctx.commit()
    signed = sign_in(services, "bob")
    accounts.update_user(ctx(), other.id, UserPatch(disabled=True))
    ctx.commit()
    with pytest.raises(NotSignedIn, match="ended"):
        authentication.actor_of_session(services, signed.secret, None)
    with pytest.raises(NotSignedIn) as reported:
        authentication.actor_of_token(services, token, None)
    assert reported.value.code == "token_invalid"
    with pytest.raises(NotSignedIn, match="disabled"):
        sign_in(services, "bob")


@pytest.mark.parametrize("patch", [{"disabled": True}, {"role": "operator"}])
def test_the_last_administrator_stays(ctx, ada, patch) -> None:
    with pytest.raises(Conflict) as reported:
        accounts.update_user(ctx(), ada.id, UserPatch.model_validate(patch))
    assert reported.value.code == "last_administrator"
    with pytest.raises(Conflict):
        accounts.delete_user(ctx(), ada.id)
    accounts.create_user(ctx(), spec("eve", "administrator"))
    accounts.update_user(ctx(), ada.id, UserPatch.model_validate(patch))


def test_sessions_end_by_disuse_and_by_age(services: Services, ada) -> None:
    for change in (
        {"last_seen_at": Login.last_seen_at - timedelta(seconds=services.settings.session_idle_s + 60)},
        {"expires_at": Login.created_at - timedelta(seconds=1)},
    ):
        signed = sign_in(services)
        with services.database.begin() as session:
            row = session.get_one(Login, signed.login_id)
            (name,) = change
            seconds = services.settings.session_idle_s + 60
            setattr(row, name, row.created_at - timedelta(seconds=seconds))
        with pytest.raises(NotSignedIn, match="ended"):
            authentication.actor_of_session(services, signed.secret, None)


def test_a_new_password_ends_the_other_logins(services: Services, ctx, ada) -> None:
    here, there = sign_in(services), sign_in(services)
    me, _ = authentication.actor_of_session(services, here.secret, None)
    with services.database.begin() as session:
        mine = Ctx(services, session, me)
        with pytest.raises(InvalidInput) as reported:
            accounts.change_password(mine, PasswordChange.model_validate({"current": "no", "new": PASSWORD}))
        assert reported.value.field == "current"
        accounts.change_password(
            mine, PasswordChange.model_validate({"current": PASSWORD, "new": "another long one"})
        )
        assert [item.current for item in accounts.list_sessions(mine, ListQuery()).items] == [True]
    authentication.actor_of_session(services, here.secret, None)
    with pytest.raises(NotSignedIn):
        authentication.actor_of_session(services, there.secret, None)
    with pytest.raises(NotSignedIn):
        sign_in(services)


def test_a_password_reset_by_an_administrator_ends_the_tokens(services: Services, ctx, ada) -> None:
    bob = accounts.create_user(ctx(), spec("bob"))
    token = tokens.create_token(ctx(), TokenSpec(name="ci"), user_id=bob.id).token
    kept = UserPatch.model_validate({"password": "a new long password", "keep_tokens": True})
    accounts.update_user(ctx(), bob.id, kept)
    ctx.commit()
    assert authentication.actor_of_token(services, token, None).user_id == bob.id
    accounts.update_user(ctx(), bob.id, UserPatch.model_validate({"password": "one more long password"}))
    ctx.commit()
    with pytest.raises(NotSignedIn) as reported:
        authentication.actor_of_token(services, token, None)
    assert reported.value.code == "token_invalid"
    with pytest.raises(InvalidInput) as wrong:
        accounts.update_user(ctx(), bob.id, UserPatch(keep_tokens=True))
    assert wrong.value.field == "keep_tokens"


def test_a_password_change_ends_the_tokens_unless_they_are_kept(services: Services, ctx, ada) -> None:
    token = tokens.create_token(ctx(user_id=ada.id), TokenSpec(name="ci")).token
    ctx.commit()
    passwords = (PASSWORD, "a second long password", "a third long password")
    for keep, (old, new) in zip((True, False), pairwise(passwords), strict=True):
        authentication.actor_of_token(services, token, None)
        change = PasswordChange.model_validate({"current": old, "new": new, "keep_tokens": keep})
        accounts.change_password(ctx(user_id=ada.id, name="Ada"), change)
        ctx.commit()
    with pytest.raises(NotSignedIn):
        authentication.actor_of_token(services, token, None)


def test_a_token_cannot_make_a_token(services: Services, ctx, ada) -> None:
    token = tokens.create_token(ctx(user_id=ada.id), TokenSpec(name="ci"))
    ctx.commit()
    found = authentication.actor_of_token(services, token.token, None)
    with services.database.begin() as session, pytest.raises(NotAllowed) as reported:
        tokens.create_token(Ctx(services, session, found), TokenSpec(name="another"))
    assert reported.value.code == "token_from_token"


def test_a_token_ends_after_ninety_days_unless_another_time_is_given(ctx, ada) -> None:
    def days(**given: int) -> int:
        token = tokens.create_token(ctx(user_id=ada.id), TokenSpec(name="ci", **given))
        assert token.expires_at is not None
        return (token.expires_at - token.created_at).days

    assert (days(), days(expires_in_days=365)) == (90, 365)
    for wrong in (None, 0, 3651):
        with pytest.raises(ValidationError):
            TokenSpec.model_validate({"name": "ci", "expires_in_days": wrong})


WEAK = (
    *("password123", "1234567890", "qwertyuiop", "aaaaaaaaaa", "abcabcabcabc", "azertyuiop", "Summer2026!"),
    *("administrator", "vigie12345", "motdepasse1", "1q2w3e4r5t", "bobby-tables1", "x" * 200, "é" * 200),
)


def test_common_passwords_and_short_patterns_are_refused(ctx, ada) -> None:
    def refused(field: str, call: Callable[[], object]) -> None:
        with pytest.raises(InvalidInput) as reported:
            call()
        assert (reported.value.field, reported.value.code) == (field, "weak_password")

    one = ctx()
    for weak in WEAK:
        named = UserSpec.model_validate({"name": "bobby-tables", "password": weak})
        refused("password", lambda spec=named: accounts.create_user(one, spec))
    patch = UserPatch.model_validate({"password": WEAK[0]})
    refused("password", lambda: accounts.update_user(one, ada.id, patch))
    change = PasswordChange.model_validate({"current": PASSWORD, "new": WEAK[0]})
    refused("new", lambda: accounts.change_password(ctx(user_id=ada.id, name="Ada"), change))


def test_names_are_unique_whatever_their_case(ctx, ada) -> None:
    with pytest.raises(Conflict) as reported:
        accounts.create_user(ctx(), spec("aDA"))
    assert reported.value.code == "name_taken"


def test_lost_edits_are_refused(ctx, ada) -> None:
    accounts.update_user(ctx(), ada.id, UserPatch(display="A"), ada.version)
    with pytest.raises(EditConflict):
        accounts.update_user(ctx(), ada.id, UserPatch(display="B"), ada.version)


def test_privileges(ctx, ada) -> None:
    for call in (
        lambda c: accounts.list_users(c, ListQuery()),
        lambda c: accounts.create_user(c, spec("x")),
        lambda c: accounts.show_user(c, ada.id),
        lambda c: accounts.delete_user(c, ada.id),
    ):
        with pytest.raises(NotAllowed):
            call(ctx("operator"))


def test_tokens_expire_and_are_revoked(services: Services, ctx, ada) -> None:
    token = tokens.create_token(ctx(user_id=ada.id), TokenSpec(name="ci", expires_in_days=1))
    ctx.commit()
    assert token.token.startswith("vigie_")
    assert len(token.token) == 49
    assert authentication.actor_of_token(services, token.token, None).user_id == ada.id
    with services.database.begin() as session:
        row = session.get_one(Token, token.id)
        assert token.token not in (row.secret_sha256, row.prefix)
        assert row.last_used_at is not None
        row.expires_at = row.created_at - timedelta(seconds=1)
    with pytest.raises(NotSignedIn):
        authentication.actor_of_token(services, token.token, None)
    second = tokens.create_token(ctx(user_id=ada.id), TokenSpec(name="ci"))
    tokens.revoke_token(ctx(), second.id)
    ctx.commit()
    with pytest.raises(NotSignedIn):
        authentication.actor_of_token(services, second.token, None)
