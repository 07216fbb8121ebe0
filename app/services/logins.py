"""What guards the door: password hashes, limits on guessing, and secrets that only their holder knows."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.core.errors import TooManyRequests, Unavailable
from app.core.folding import fold
from app.core.messages import N_
from app.services.context import Services

WINDOW_MINUTES = 5
MAX_PASSWORD = 200
TOUCH_S = 60
# A name takes so many times the wrong guesses of an address, so that one address blocks nobody else.
NAME_FACTOR = 10

Key = tuple[str, ...]

_hasher = PasswordHash((Argon2Hasher(),))
# Each check takes 64 MiB and some 100 ms of all cores: two at a time leave room for everybody else. A few more may
# wait, each in a thread that others want too: who finds them all waiting is told at once.
_slots = threading.BoundedSemaphore(2)
_places = threading.BoundedSemaphore(10)
_WAIT_S = 5
_limiter = MovingWindowRateLimiter(MemoryStorage())
_counting = threading.Lock()
_running: Counter[Key] = Counter()


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password."""
    with _slot():
        return _hasher.hash(password)


def verify_password(password: str, known: str | None) -> bool:
    """Whether the password fits the hash. It takes as long when there is no hash (no such user)."""
    try:
        password.encode()
    except UnicodeEncodeError:
        password, known = "", None
    with _slot():
        fits = _hasher.verify(password[: MAX_PASSWORD + 1], known or _unknown_hash())
    return fits and known is not None and len(password) <= MAX_PASSWORD


@contextmanager
def limited(services: Services, name: str, remote: str | None) -> Iterator[Callable[[], None]]:
    """Allow one more guess at a name, from an address; call what is given when the guess was wrong.

    Raises TooManyRequests when there were too many wrong ones in five minutes: at the name from this address, from
    this address, or at the name from anywhere. Guesses that are still checked count as wrong ones, so that many at
    the same time cannot slip through. A right one forgets those at its name from its address.
    """
    strict = RateLimitItemPerMinute(services.settings.login_attempts, WINDOW_MINUTES)
    loose = RateLimitItemPerMinute(services.settings.login_attempts * NAME_FACTOR, WINDOW_MINUTES)
    program, named, place = str(services.database.url), digest(fold(name)), _place(remote)
    own: Key = (program, "name from", named, place)
    limits: dict[Key, RateLimitItemPerMinute] = {own: strict, (program, "name", named): loose}
    if place:
        limits[program, "address", place] = strict
    wrong = False

    def failed() -> None:
        nonlocal wrong
        wrong = True

    with _counting:
        for key, item in limits.items():
            _allow(item, key)
        _running.update(limits.keys())
    try:
        yield failed
        right = not wrong
    except BaseException:
        right = False  # not even checked, perhaps
        raise
    finally:
        with _counting:
            for key, item in limits.items():
                _running[key] -= 1
                if not _running[key]:
                    del _running[key]
                if wrong:
                    _limiter.hit(item, *key)
            if right:
                _limiter.clear(strict, *own)


def _place(remote: str | None) -> str:
    """The address to count for: of IPv6 its /64, which is what one customer gets."""
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return remote or ""
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _allow(item: RateLimitItemPerMinute, key: Key) -> None:
    window = _limiter.get_window_stats(item, *key)
    if window.remaining <= 0:
        raise TooManyRequests(
            N_("Too many attempts to sign in."),
            retry_after_s=max(1, round(window.reset_time - time.time())),
            hint=N_("Wait a few minutes. An administrator can look in the audit for who tried."),
        )
    if window.remaining <= _running[key]:
        raise _busy()


def _busy() -> TooManyRequests:
    return TooManyRequests(
        N_("Too many people sign in at this moment."),
        retry_after_s=5,
        hint=N_("Try again in a few seconds."),
    )


@contextmanager
def _slot() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise _busy()
    try:
        if not _slots.acquire(timeout=_WAIT_S):
            raise _busy()
        try:
            yield
        finally:
            _slots.release()
    finally:
        _places.release()


@lru_cache(maxsize=1)
def _unknown_hash() -> str:
    """The hash of a password that nobody knows, to spend the same time on unknown names."""
    return _hasher.hash(secrets.token_urlsafe(32))


def new_secret() -> str:
    """Return 256 random bits as 43 url-safe characters."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return the form in which a random secret is kept: its SHA-256, which is enough for 256 random bits."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


class Touches:
    """Decides when "last seen" is written: at most once a minute each, whether or not the writing worked."""

    def __init__(self) -> None:
        self._tried: dict[str, float] = {}
        self._lock = threading.Lock()

    def write(self, identifier: str, age_s: float, write: Callable[[], None]) -> None:
        """Call `write` when the kept time is a minute old and nobody tried within the last minute."""
        now = time.monotonic()
        with self._lock:
            if age_s < TOUCH_S or now - self._tried.get(identifier, -TOUCH_S) < TOUCH_S:
                return
            if len(self._tried) > 10_000:
                self._tried.clear()
            self._tried[identifier] = now
        try:
            write()
        except Unavailable:
            return  # who reads must not suffer from a database that cannot be written


TOUCHES = Touches()
