"""Every example of the API's description holds against the model that it is an example of."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr

import app.core
from app.core.records import Page, Record
from app.web.api import install_api, system
from app.web.api.access import sessions, tokens
from app.web.api.examples.examples import EXAMPLES
from app.web.api.inventory import search, tree
from app.web.api.openapi import describe

CORE = [
    importlib.import_module(package.name) for package in pkgutil.walk_packages(app.core.__path__, "app.core.")
]


def model_of(name: str) -> type[BaseModel]:
    if name.startswith("Page_"):
        return Page[model_of(name.removeprefix("Page_").rstrip("_"))]  # type: ignore[misc]
    for module in (*CORE, search, sessions, system, tokens, tree):
        found = vars(module).get(name)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    raise AssertionError(f"no model {name}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_valid(name: str) -> None:
    model_of(name).model_validate(EXAMPLES[name])


def bodies() -> list[str]:
    """What operations take: the description of the API names them."""
    app = FastAPI()
    install_api(app)
    described = describe(app)["paths"]
    found = set()
    for operations in described.values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found |= set(re.findall(r"#/components/schemas/(\w+)", json.dumps(content)))
    return sorted(found)


@pytest.mark.parametrize("name", bodies())
def test_every_body_has_an_example(name: str) -> None:
    assert name in EXAMPLES


def test_secrets_never_come_out() -> None:
    def holds_secret(model: Any) -> bool:
        return any(field.annotation in (SecretStr, SecretStr | None) for field in model.model_fields.values())

    def kinds_of(record: type[Record]) -> Iterator[type[Record]]:
        for kind in record.__subclasses__():
            yield kind
            yield from kinds_of(kind)

    answers = set(kinds_of(Record))
    assert len(answers) > 50
    assert not [answer.__name__ for answer in answers if holds_secret(answer)]
