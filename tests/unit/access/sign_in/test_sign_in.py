"""Signing in and out, and how many may guess, on both databases."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import sqlalchemy as sa

from app.access import accounts
from app.access.context import Actor, Ctx, Services
from app.access.sign_in import authentication, known_devices, login_limits, passwords
from app.access.sign_in import sign_in as sign_in_module
from app.core.access.privileges import Role
from app.core.access.specs import UserPatch
from app.core.errors import (
    NotSignedIn,
    TooManyRequests,
    VigieError,
)
from app.db.models import Audit, Login
from tests.unit.access.signing_in import PASSWORD, sign_in


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
        guesser = known_devices.known_device(services.vault, where.get("device"), where.get("user_id"))
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
    really, checked = sign_in_module.verify_password, []

    def verify_password(password: str, known: str | None, guesser: login_limits.Guesser) -> bool:
        fits = really(password, known, guesser)
        checked.append(password)
        return fits

    monkeypatch.setattr(sign_in_module, "verify_password", verify_password)
    reported = _all_at_once(60, lambda mine: sign_in(services, name=f"user{mine}", password="wrong"))
    assert set(reported) == {"wrong_password", "too_many_requests"}
    assert len(checked) == reported.count("wrong_password") <= services.settings.login_attempts
    assert sign_in(services, remote="198.51.100.1").user.id == ada.id


def test_a_sign_in_under_way_with_the_old_password_makes_no_login_after_a_reset(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reset comes after the old password was verified, and is not committed when the login is to be written."""
    really, verified = sign_in_module.verify_password, threading.Event()

    def verify_password(password: str, known: str | None, guesser: login_limits.Guesser) -> bool:
        fits = really(password, known, guesser)
        verified.set()
        return fits

    monkeypatch.setattr(sign_in_module, "verify_password", verify_password)
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
    monkeypatch.setattr(passwords._slots, "_wait_s", 120)


@contextmanager
def checks_held(number: int = 2) -> Iterator[ExitStack]:
    """Nobody's password is checked until the stack is closed."""
    with ExitStack() as held:
        for item in range(number):
            held.enter_context(passwords._slots.slot(f"test {item}", AssertionError))
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
        eventually(lambda: passwords._slots.waiting == 5)
        held.close()
        assert ours.result().user.id == ada.id
        assert attack.result().count("wrong_password") == 4


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
        sign_in_module.sign_out(Ctx(services, session, me))
    assert requested == [frozenset({f"user-access:{ada.id}"})]
    with pytest.raises(NotSignedIn):
        authentication.actor_of_session(services, signed.secret, None)


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
