"""What a name may hold."""

import pytest
from pydantic import TypeAdapter, ValidationError

from app.core.inventory.specs import DatacenterSpec
from app.core.plain_names import plain_name
from app.core.specs import TagName
from app.core.vms.create.spec import VmName, VolumeName


@pytest.mark.parametrize(
    "character",
    [
        *("\x00", "\x1f", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"),  # control, and what begins a line
        *(
            "\u202a",
            "\u202b",
            "\u202d",
            "\u202e",
            "\u202c",
            "\u2066",
            "\u2069",
            "\u200e",
            "\u200f",
            "\u061c",
        ),  # direction
        *(
            "\u200b",
            "\u200c",
            "\u200d",
            "\u2060",
            "\ufeff",
            "\u00ad",
            "\u180e",
            "\u034f",
            "\u3164",
            "\u2800",
            "\ufe0f",
        ),
        *("\U000e0041", "\U000e0101", "\ufff9", "\ud800", "\u0378"),
    ],
)
def test_a_name_holds_nothing_that_turns_or_hides_its_letters(character: str) -> None:
    for name in (f"web{character}01", f"{character}web", f"web{character}"):
        with pytest.raises(ValueError, match="direction marks"):
            plain_name(name)


@pytest.mark.parametrize("kind", [VmName, VolumeName, TagName])
def test_names_of_all_kinds_keep_the_rule(kind: object) -> None:
    with pytest.raises(ValidationError, match="direction marks"):
        TypeAdapter(kind).validate_python("a\u202eb")
    assert TypeAdapter(kind).validate_python("ﬁle") == "file"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  web 01  ", "web 01"),
        ("ｗｅｂ－０１", "web-01"),
        ("e\u0301te\u0301", "été"),
        ("web\u00a001", "web 01"),
        ("Ⅳ", "IV"),
        ("日本語", "日本語"),
        ("Ünïcödé", "Ünïcödé"),
        ("🐧", "🐧"),
    ],
)
def test_a_name_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert DatacenterSpec(name=typed).name == plain_name(kept) == kept


def test_length_counts_in_the_form_that_is_kept() -> None:
    assert len(DatacenterSpec(name="e\u0301" * 63).name) == 63
    with pytest.raises(ValidationError):
        DatacenterSpec(name="ﷺ" * 10)  # eighteen letters each
