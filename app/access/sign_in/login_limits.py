"""What guards the door: limits on guessing, known devices, password hashes, secrets that only their holder knows."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.access.context import Actor, Services
from app.access.sign_in.fair_queue import FairQueue
from app.access.sign_in.login_attempts import Key, too_busy
from app.access.vault import Vault
from app.core.errors import Unavailable
from app.core.hosts.addresses import network_of

MAX_PASSWORD = 200
TOUCH_S = 60
DEVICE_S = 180 * 86400
# Of IPv6 one customer often gets a /48: its /64 networks together take so many times the wrong guesses of one.
SITE_FACTOR = 10

_hasher = PasswordHash((Argon2Hasher(),))
# Each check takes 64 MiB and some 100 ms of all cores: two at a time leave room for everybody else. A few more may
# wait, each in a thread that others want too: who finds no place is told at once.
_slots = FairQueue(2, per_group=4, places=10, wait_s=5)


@dataclass(frozen=True, slots=True)
class Guesser:
    """Whose guesses at passwords count together: an address, a known device of one user, or somebody signed in.

    `trusted`: it has proven before that it knows the password, so strangers cannot use up its guesses or its turn.
    """

    kind: str
    value: str
    trusted: bool = False

    @property
    def group(self) -> str:
        """Its name in the queue for the checks."""
        return f"{self.kind} {self.value}"


def guesser_at(remote: str | None) -> Guesser:
    """Whoever calls from this address: of IPv6 its /64, which is the least that one customer gets."""
    return Guesser("address", network_of(remote))


def guesser_of(actor: Actor) -> Guesser:
    """Somebody who is signed in, by this login or token; the command line is one more."""
    return Guesser("signed in", actor.login_id or actor.token_id or actor.user_id or actor.via, trusted=True)


def known_device(vault: Vault, cookie: str | None, user_id: str | None) -> Guesser | None:
    """The device that got this cookie when the user last signed in on it; None when it did not, or too long ago."""
    body, _, mark = (cookie or "").rpartition(".")
    if not body.isascii() or not hmac.compare_digest(mark.encode(), _device_mark(vault, body).encode()):
        return None
    owner, number, issued = body.split(".")
    if owner != user_id or time.time() - int(issued) > DEVICE_S:
        return None
    return Guesser("device", number, trusted=True)


def new_device(vault: Vault, user_id: str) -> str:
    """The value of a cookie by which `known_device` knows a device of the user again."""
    body = f"{user_id}.{secrets.token_hex(16)}.{int(time.time())}"
    return f"{body}.{_device_mark(vault, body)}"


def _device_mark(vault: Vault, body: str) -> str:
    return vault.mark(f"device {body}")


def hash_password(password: str, guesser: Guesser) -> str:
    """Return the Argon2id hash of a password. Raises TooManyRequests when too many hashes are waited for."""
    with _slots.slot(guesser.group, too_busy, trusted=guesser.trusted):
        return _hasher.hash(password)


def verify_password(password: str, known: str | None, guesser: Guesser) -> bool:
    """Whether the password fits the hash. It takes as long when there is no hash (no such user).

    Raises TooManyRequests when too many, or too many of this guesser, wait for theirs to be checked.
    """
    try:
        password.encode()
    except UnicodeEncodeError:
        password, known = "", None
    with _slots.slot(guesser.group, too_busy, trusted=guesser.trusted):
        fits = _hasher.verify(password[: MAX_PASSWORD + 1], known or _unknown_hash())
    return fits and known is not None and len(password) <= MAX_PASSWORD


@contextmanager
def limited(services: Services, guesser: Guesser, remote: str | None) -> Iterator[Callable[[], None]]:
    """Allow one more guess; call what is given when the guess was wrong.

    Raises TooManyRequests after too many wrong ones of the guesser in five minutes. The name that is guessed at
    does not count: a stranger could lock its owner out. Guesses that are still checked count as wrong ones, so that
    many at the same time cannot slip through. A right one of a trusted guesser forgets its wrong ones.
    """
    attempts, allowed = services.login_attempts, _allowed(services, guesser, remote)
    wrong = right = False

    def failed() -> None:
        nonlocal wrong
        wrong = True

    attempts.begin(allowed)
    try:
        yield failed
        right = not wrong  # after an error it was not even checked, perhaps
    finally:
        attempts.end(allowed, wrong=wrong, forget=right and guesser.trusted)


def _allowed(services: Services, guesser: Guesser, remote: str | None) -> dict[Key, int]:
    """How many wrong guesses are allowed, of each whom this one counts for."""
    attempts = services.settings.login_attempts
    allowed: dict[Key, int] = {(guesser.kind, guesser.value): attempts}
    if not guesser.trusted and (site := network_of(remote, 48)) != network_of(remote, 128):
        allowed["site", site] = attempts * SITE_FACTOR
    return allowed


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
