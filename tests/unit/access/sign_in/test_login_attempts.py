"""Guesses at passwords, counted in one process."""

from __future__ import annotations

import pytest

from app.access.sign_in.login_attempts import SingleProcessLoginAttempts
from app.core.errors import TooManyRequests

ADA = {("address", "192.0.2.7"): 2}
SITE = ADA | {("site", "2001:db8::"): 3}


def test_wrong_guesses_use_the_allowance_up_and_right_ones_do_not() -> None:
    attempts = SingleProcessLoginAttempts()
    for wrong in (True, False, False, True):
        attempts.begin(ADA)
        attempts.end(ADA, wrong=wrong)
    with pytest.raises(TooManyRequests, match="attempts") as reported:
        attempts.begin(ADA)
    assert 1 <= reported.value.retry_after_s <= 300
    attempts.begin({("address", "198.51.100.1"): 2})


def test_guesses_that_are_being_checked_count_as_wrong_ones() -> None:
    attempts = SingleProcessLoginAttempts()
    attempts.begin(ADA)
    attempts.begin(ADA)
    with pytest.raises(TooManyRequests, match="at this moment"):
        attempts.begin(ADA)
    attempts.end(ADA)
    attempts.begin(ADA)


def test_a_guess_that_one_of_its_keys_refuses_counts_for_none() -> None:
    attempts = SingleProcessLoginAttempts()
    for _ in range(2):
        attempts.begin(ADA)
        attempts.end(ADA, wrong=True)
    for _ in range(5):
        with pytest.raises(TooManyRequests):
            attempts.begin(SITE)
    for _ in range(3):
        attempts.begin({("site", "2001:db8::"): 3})


def test_wrong_guesses_are_forgotten_when_asked() -> None:
    attempts = SingleProcessLoginAttempts()
    for _ in range(3):
        attempts.begin(ADA)
        attempts.end(ADA, wrong=True)
        attempts.begin(ADA)
        attempts.end(ADA, forget=True)
