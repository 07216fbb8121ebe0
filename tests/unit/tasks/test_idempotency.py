"""Requests sent twice, on both databases."""

from datetime import timedelta

import pytest

from app.core.access.privileges import Role
from app.core.errors import Conflict, InvalidInput
from app.tasks.idempotency import KEPT, remember, remembered

ANSWER = {"status": 202, "body": {"id": "task_1"}}


def test_the_same_request_gets_the_first_answer(ctx) -> None:
    assert remembered(ctx(), "key", "sha") is None
    remember(ctx(), "key", "sha", ANSWER)
    assert remembered(ctx(), "key", "sha") == ANSWER


def test_another_request_with_the_key_is_refused(ctx) -> None:
    remember(ctx(), "key", "sha", ANSWER)
    with pytest.raises(Conflict) as reported:
        remembered(ctx(), "key", "other")
    assert reported.value.code == "idempotency_mismatch"


def test_two_at_the_same_time(ctx) -> None:
    remember(ctx(), "key", "sha", ANSWER)
    with pytest.raises(Conflict) as reported:
        remember(ctx(), "key", "sha", ANSWER)
    assert reported.value.code == "idempotency_running"
    ctx.roll_back()


def test_keys_belong_to_who_asks(ctx) -> None:
    remember(ctx(user_id="user_a"), "key", "sha", ANSWER)
    assert remembered(ctx(user_id="user_b"), "key", "other") is None


def test_an_answer_is_forgotten_after_a_day(ctx) -> None:
    remember(ctx(), "key", "sha", ANSWER)
    later = ctx()
    later.now += KEPT + timedelta(seconds=1)
    assert remembered(later, "key", "other") is None
    remember(later, "key", "other", {})
    assert remembered(later, "key", "other") == {}


@pytest.mark.parametrize("key", ["", "k" * 256, "nul\0", "\ud800"])
def test_bad_keys(ctx, key: str) -> None:
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        remembered(ctx(), key, "sha")


def test_an_answer_is_not_given_to_whoever_has_lost_the_right(ctx) -> None:
    remember(ctx(role=Role.OPERATOR, user_id="user_a"), "key", "sha", ANSWER)
    with pytest.raises(Conflict):
        remembered(ctx(role=Role.VIEWER, user_id="user_a"), "key", "sha")
