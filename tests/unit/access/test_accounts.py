"""Signing in, sessions and users, on both databases."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from app.access import accounts, tokens
from app.access.accounts import Browser
from app.access.context import Actor, Ctx, Services
from app.access.sign_in import authentication, login_limits
from app.core.access.privileges import Role
from app.core.access.specs import PasswordChange, TokenSpec, UserPatch, UserSpec
from app.core.errors import (
    Conflict,
    EditConflict,
    InvalidInput,
    NotAllowed,
    NotSignedIn,
    TooManyRequests,
    VigieError,
)
from app.core.specs import ListQuery
from app.db.models import Audit, Login, Token

PASSWORD = "correct horse battery"


def sign_in(
    services: Services, name: str = "ada", password: str = PASSWORD, remote: str = "192.0.2.7", **cookies: str
):
    return accounts.sign_in(services, name, password, Browser(remote, "a browser", **cookies))


@pytest.fixture
def ada(services: Services):
    return accounts.first_user(services, "Ada", PASSWORD)


def spec(name: str, role: str = "viewer") -> UserSpec:
    return UserSpec.model_validate({"name": name, "password": PASSWORD, "role": role})


def test_sign_in_whatever_the_case_of_the_name(services: Services, ada) -> None:
    signed = sign_in(services, "ADA")
    found, _language = authentication.actor_of_session(services, signed.secret, "192.0.2.7")
    assert (found.user_id, found.name, found.role) == (ada.id, "Ada", "administrator")
    assert signed.secret not in repr(signed)
    with services.database.read() as session:
        assert signed.secret not in session.scalars(sa.select(Login.secret_sha256)).one()


@pytest.mark.parametrize("name", ["nobody", "", "a" * 5000, "nul\0", "\ud800", "' OR 1=1 --", "<img src=x>"])
def test_hostile_names_and_unknown_users_are_told_the_same(services: Services, ada, name: str) -> None:
    with pytest.raises(NotSignedIn) as reported:
        sign_in(services, name)
    assert reported.value.code == "wrong_password"


@pytest.mark.parametrize("password", ["", "wrong", "x" * 100_000, "\ud800", PASSWORD + " "])
def test_wrong_passwords(services: Services, ada, password: str) -> None:
    with pytest.raises(NotSignedIn, match="wrong"):
        sign_in(services, password=password)


def guess(services: Services, times: int, name: str = "ada", **where: str) -> None:
    """Wrong passwords, without the time that real checks take."""
    for _ in range(times):
        guesser = login_limits.known_device(services.vault, where.get("device"), where.get("user_id"))
        remote = where.get("remote", "203.0.113.9")
        with login_limits.limited(services, guesser or login_limits.guesser_at(remote), remote) as failed:
            failed()


def test_a_stranger_cannot_lock_an_administrator_out_by_guessing_from_many_addresses(
    services: Services, ada
) -> None:
    few = services.settings.login_attempts
    for number in range(few * 11):
        guess(services, 1, "ADA", remote=f"203.0.{number // few}.1")
    assert sign_in(services, remote="198.51.100.1").user.id == ada.id


def test_a_known_device_is_let_in_though_its_address_guessed_too_often(services: Services, ada) -> None:
    device = sign_in(services).device
    guess(services, services.settings.login_attempts, remote="192.0.2.7")
    with pytest.raises(TooManyRequests) as reported:
        sign_in(services)
    assert 1 <= reported.value.retry_after_s <= 300
    assert sign_in(services, device=device).user.id == ada.id


def test_guesses_on_a_known_device_are_limited_too(services: Services, ada) -> None:
    device = sign_in(services).device
    guess(services, services.settings.login_attempts, device=device, user_id=ada.id)
    with pytest.raises(TooManyRequests):
        sign_in(services, device=device)
    assert sign_in(services).user.id == ada.id


def test_the_cookie_of_a_device_counts_for_its_own_user_and_unchanged_only(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, cookie = services.vault, login_limits.new_device(services.vault, ada.id)
    assert login_limits.known_device(vault, cookie, ada.id) is not None
    owner, number, issued, mark = cookie.split(".")
    for forged in (
        *("", ".", "...", "é.é", "a.b.c", cookie + "0", mark, f"{owner}.{number}.{issued}."),
        f"{owner}.{number}.{int(issued) + 1}.{mark}",
    ):
        assert login_limits.known_device(vault, forged, ada.id) is None, forged
    assert login_limits.known_device(vault, cookie, "user_other") is None
    assert login_limits.known_device(vault, cookie, None) is None
    monkeypatch.setattr(login_limits, "DEVICE_S", -1)
    assert login_limits.known_device(vault, cookie, ada.id) is None


def test_what_was_counted_of_guesses_is_forgotten(services: Services, ada) -> None:
    storage = services.login_attempts._limiter.storage
    for number in range(50):
        guess(services, 1, remote=f"198.18.0.{number}")
    assert len(storage.storage) >= 50
    for key in list(storage.expirations):
        storage.expirations[key] = 0.0
    guess(services, 1, remote="198.18.1.1")
    deadline = time.monotonic() + 60
    while len(storage.storage) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    kept = (storage.storage, storage.expirations, storage.events, storage.locks)
    assert [len(item) <= 1 for item in kept] == [True] * 4
    assert not services.login_attempts._checking


def test_wrong_passwords_from_one_address_do_not_keep_a_user_out_elsewhere(services: Services, ada) -> None:
    for _ in range(services.settings.login_attempts):
        with pytest.raises(NotSignedIn):
            sign_in(services, password="wrong", remote="203.0.113.9")
    with pytest.raises(TooManyRequests):
        sign_in(services, remote="203.0.113.9")
    assert sign_in(services).user.id == ada.id


def test_guesses_are_limited_by_address_and_others_can_sign_in(services: Services, ada) -> None:
    for number in range(services.settings.login_attempts):
        with pytest.raises(NotSignedIn):
            sign_in(services, name=f"user{number}")
    with pytest.raises(TooManyRequests):
        sign_in(services)
    assert sign_in(services, remote="198.51.100.1").user.id == ada.id


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _all_at_once(number: int, work: Callable[[int], object]) -> list[str]:
    start = threading.Barrier(number)

    def one(mine: int) -> str:
        start.wait()
        try:
            work(mine)
        except VigieError as error:
            return error.code
        return "done"

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def test_guesses_at_the_same_time_do_not_slip_through(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, checked = accounts.verify_password, []

    def verify_password(password: str, known: str | None, guesser: login_limits.Guesser) -> bool:
        fits = really(password, known, guesser)
        checked.append(password)
        return fits

    monkeypatch.setattr(accounts, "verify_password", verify_password)
    reported = _all_at_once(60, lambda mine: sign_in(services, name=f"user{mine}", password="wrong"))
    assert set(reported) == {"wrong_password", "too_many_requests"}
    assert len(checked) == reported.count("wrong_password") <= services.settings.login_attempts
    assert sign_in(services, remote="198.51.100.1").user.id == ada.id


def test_a_sign_in_under_way_with_the_old_password_makes_no_login_after_a_reset(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reset comes after the old password was verified, and is not committed when the login is to be written."""
    really, verified = accounts.verify_password, threading.Event()

    def verify_password(password: str, known: str | None, guesser: login_limits.Guesser) -> bool:
        fits = really(password, known, guesser)
        verified.set()
        return fits

    monkeypatch.setattr(accounts, "verify_password", verify_password)
    with ThreadPoolExecutor(1) as thread:
        with services.database.begin() as session:
            admin = Ctx(services, session, Actor(None, "vigie", Role.ADMINISTRATOR, "system"))
            patch = UserPatch.model_validate({"password": "another horse battery"})
            accounts.update_user(admin, ada.id, patch)
            under_way = thread.submit(sign_in, services)
            assert verified.wait(5)
            time.sleep(0.3)  # by then it waits for the row, or for the lock of SQLite
        with pytest.raises(NotSignedIn) as reported:
            under_way.result(10)
    assert reported.value.code == "wrong_password"
    with services.database.read() as session:
        assert session.scalars(sa.select(Login.id)).all() == []
        refused = session.scalars(sa.select(Audit.code).where(Audit.outcome == "refused")).all()
    assert refused == ["wrong_password"]


def test_right_passwords_at_the_same_time_are_given_back(services: Services, ada) -> None:
    for _ in range(4):
        assert _all_at_once(4, lambda _: sign_in(services)) == ["done"] * 4


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a check does so for as long as a busy machine takes."""
    monkeypatch.setattr(login_limits._slots, "_wait_s", 120)


@contextmanager
def checks_held(number: int = 2) -> Iterator[ExitStack]:
    """Nobody's password is checked until the stack is closed."""
    with ExitStack() as held:
        for item in range(number):
            held.enter_context(login_limits._slots.slot(f"test {item}", AssertionError))
        yield held


def test_few_wait_for_their_password_to_be_checked_and_others_are_told_at_once(
    services: Services, ada, patient: None
) -> None:
    refused = threading.Semaphore(0)

    def one(mine: int) -> None:
        try:
            sign_in(services, name=f"user{mine}", password="wrong", remote=f"192.0.2.{mine}")
        except TooManyRequests:
            refused.release()
            raise

    with checks_held() as held, ThreadPoolExecutor(1) as outer:
        reported = outer.submit(_all_at_once, 30, one)
        assert all(refused.acquire(timeout=30) for _ in range(20))
        held.close()
        assert sorted(set(reported.result())) == ["too_many_requests", "wrong_password"]
        assert reported.result().count("too_many_requests") == 20


def test_sixty_guesses_at_once_from_one_address_do_not_block_the_login_of_another(
    services: Services, ada, patient: None
) -> None:
    refused = threading.Semaphore(0)

    def one(mine: int) -> None:
        try:
            sign_in(services, name="ada", password="wrong", remote="203.0.113.9")
        except TooManyRequests:
            refused.release()
            raise

    with checks_held() as held, ThreadPoolExecutor(2) as outer:
        attack = outer.submit(_all_at_once, 60, one)
        assert all(refused.acquire(timeout=30) for _ in range(56))
        ours = outer.submit(sign_in, services)
        eventually(lambda: login_limits._slots.waiting == 5)
        held.close()
        assert ours.result().user.id == ada.id
        assert attack.result().count("wrong_password") == 4


def test_passwords_are_hashed_before_the_database_is_locked(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, wrote = accounts.hash_password, []

    def hash_password(password: str, guesser: login_limits.Guesser) -> str:
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


def test_guesses_from_one_ipv6_network_count_together(services: Services, ada) -> None:
    for number in range(services.settings.login_attempts):
        with pytest.raises(NotSignedIn):
            sign_in(services, name=f"user{number}", remote=f"2001:db8:0:1::{number + 1:x}")
    with pytest.raises(TooManyRequests):
        sign_in(services, remote="2001:db8:0:1:ffff::1")
    assert sign_in(services, remote="2001:db8:0:2::1").user.id == ada.id


def test_right_passwords_are_not_counted(services: Services, ada) -> None:
    for _ in range(services.settings.login_attempts + 2):
        sign_in(services)


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


def test_a_new_login_ends_the_earlier_one_of_that_browser(services: Services, ada) -> None:
    first, elsewhere = sign_in(services), sign_in(services)
    second = sign_in(services, secret=first.secret)
    assert second.secret != first.secret
    for there in (second, elsewhere):
        authentication.actor_of_session(services, there.secret, None)
    with pytest.raises(NotSignedIn):
        authentication.actor_of_session(services, first.secret, None)
    assert sign_in(services, secret="made up by somebody").secret != "made up by somebody"


def test_sign_out(services: Services, ada) -> None:
    signed = sign_in(services)
    me, _ = authentication.actor_of_session(services, signed.secret, None)
    requested: list[frozenset[str]] = []
    services.hub.listen(requested.append)
    with services.database.begin() as session:
        accounts.sign_out(Ctx(services, session, me))
    assert requested == [frozenset({f"session:{ada.id}"})]
    with pytest.raises(NotSignedIn):
        authentication.actor_of_session(services, signed.secret, None)


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


def test_the_audit_says_who_tried(services: Services, ada) -> None:
    with pytest.raises(NotSignedIn):
        sign_in(services, password="wrong")
    sign_in(services)
    with services.database.read() as session:
        rows = session.scalars(sa.select(Audit).where(Audit.action == "login").order_by(Audit.id)).all()
        assert [(row.outcome, row.code, row.remote) for row in rows] == [
            ("refused", "wrong_password", "192.0.2.7"),
            ("ok", None, "192.0.2.7"),
        ]
