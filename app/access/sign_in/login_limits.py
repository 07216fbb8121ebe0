"""Limits on guessing passwords: whose guesses count together, and how many wrong ones each is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.access.context import Actor, Services
from app.access.sign_in.login_attempts import Key
from app.core.hosts.addresses import network_of

# Of IPv6 one customer often gets a /48: its /64 networks together take so many times the wrong guesses of one.
SITE_FACTOR = 10


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
