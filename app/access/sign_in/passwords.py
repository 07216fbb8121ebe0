"""Passwords: which are good enough, their hashes, and whether one fits."""

from __future__ import annotations

import secrets
from functools import lru_cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from zxcvbn_rs_py import zxcvbn

from app.access.sign_in.fair_queue import FairQueue
from app.access.sign_in.login_attempts import too_busy
from app.access.sign_in.login_limits import Guesser
from app.core.access.passwords import MAX_PASSWORD
from app.core.errors import InvalidInput
from app.core.messages import N_

_hasher = PasswordHash((Argon2Hasher(),))
# Each check takes 64 MiB and some 100 ms of all cores: two at a time leave room for everybody else. A few more may
# wait, each in a thread that others want too: who finds no place is told at once.
_slots = FairQueue(2, per_group=4, places=10, wait_s=5)
# zxcvbn's scale is 0 to 4; 3 means more than a hundred million guesses by somebody who knows the usual lists,
# keyboard patterns, dates and repetitions.
ENOUGH = 3


def require_strong(field: str, password: str, *, about: tuple[str, ...] = ()) -> None:
    """Raise InvalidInput (weak_password), naming the field, for a common password, a short pattern and the like.

    `about` are words that somebody who guesses would try first, such as the user's name.
    """
    try:
        score = int(zxcvbn(password, [*about, "vigie"]).score)
    except UnicodeEncodeError:  # half of a surrogate pair
        raise InvalidInput(field, N_("must be text")) from None
    if score < ENOUGH:
        raise InvalidInput(
            field,
            N_("is too easy to guess: a common password, or a short pattern"),
            hint=N_(
                "Use four or more words that do not belong together, or let a password manager make one."
            ),
            code="weak_password",
        )


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


@lru_cache(maxsize=1)
def _unknown_hash() -> str:
    """The hash of a password that nobody knows, to spend the same time on unknown names."""
    return _hasher.hash(secrets.token_urlsafe(32))
