"""Every example of the API's description holds against the model that it is an example of."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from app.core import records, specs
from app.core.records import Page
from app.web.api import overview, sessions, system, tokens
from app.web.api.examples import EXAMPLES


def model_of(name: str) -> type[BaseModel]:
    if name.startswith("Page_"):
        return Page[model_of(name.removeprefix("Page_").rstrip("_"))]  # type: ignore[misc]
    for module in (specs, records, overview, sessions, system, tokens):
        if name in vars(module):
            return vars(module)[name]
    raise AssertionError(f"no model {name}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_valid(name: str) -> None:
    model_of(name).model_validate(EXAMPLES[name])


def bodies() -> list[str]:
    return [
        name
        for name, each in vars(specs).items()
        if isinstance(each, type)
        and issubclass(each, specs.Spec)
        and each is not specs.Spec
        and not name.endswith("Query")
    ]


@pytest.mark.parametrize("name", bodies())
def test_every_body_has_an_example(name: str) -> None:
    assert name in EXAMPLES


def test_secrets_never_come_out() -> None:
    def holds_secret(model: Any) -> bool:
        return any(field.annotation in (SecretStr, SecretStr | None) for field in model.model_fields.values())

    answers = [
        each for each in vars(records).values() if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    assert not [each.__name__ for each in answers if holds_secret(each)]
