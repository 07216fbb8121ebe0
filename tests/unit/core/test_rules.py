"""How broken rules are said."""

import pytest
from pydantic import ValidationError

from app.core.errors import rule_of
from app.core.vms.create.spec import VmSpec


def test_a_rule_of_ours_is_said_without_the_words_of_the_library() -> None:
    with pytest.raises(ValidationError) as refused:
        VmSpec(name="a/b")
    assert [rule_of(error) for error in refused.value.errors()] == [
        "must be a plain name: no slash, no leading hyphen"
    ]
