"""Sizes survive the way into a field and back, byte by byte; what is no size is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInput
from app.core.vms.create.spec import GIB, MIB
from app.web.pages.rendering.forms import Form, amount_in, shown_in


def typed(text: str, unit: int = GIB) -> int | None:
    return amount_in(Form({"size": text}, {}), "size", unit)


@given(st.integers(1, 2**50), st.sampled_from([MIB, GIB]))
def test_a_size_that_nobody_touched_is_the_same_to_the_byte(value: int, unit: int) -> None:
    assert typed(shown_in(value, unit), unit) == value


def test_sizes_are_shown_with_no_more_digits_than_they_need() -> None:
    assert [shown_in(item, GIB) for item in (20 * GIB, 100 * GIB, 209_715_200, 1, None)] == [
        "20",
        "100",
        "0.1953125",
        "0.000000001",
        "",
    ]


def test_sizes_are_typed_with_a_point_or_a_comma() -> None:
    assert [typed("0.5"), typed(" 0,5 "), typed("")] == [GIB // 2, GIB // 2, None]


@pytest.mark.parametrize("text", ["much", "nan", "inf", "1e999999999", "-inf", "1.2.3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        typed(text)
