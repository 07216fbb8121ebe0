"""Plain HTML forms: read into specs, refused field by field, shown again with what was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, TypeVar, get_origin

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from app.core.errors import InvalidInput, VigieError
from app.core.messages import N_
from app.services import audit
from app.services.context import Ctx
from app.web.auth import Visitor

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")

# Said beside the field; {…} are filled from the rule that was broken.
_RULES = {
    "missing": N_("This is needed."),
    "string_too_short": N_("Write at least %(min_length)s characters."),
    "too_short": N_("Write at least %(min_length)s characters."),
    "string_too_long": N_("Write at most %(max_length)s characters."),
    "too_long": N_("Write at most %(max_length)s."),
    "string_pattern_mismatch": N_("This has characters that are not allowed here."),
    "literal_error": N_("Choose one of the list."),
    "enum": N_("Choose one of the list."),
    "int_parsing": N_("Write a whole number."),
    "greater_than_equal": N_("Write %(ge)s or more."),
    "less_than_equal": N_("Write %(le)s or less."),
}


class FormInvalid(InvalidInput):
    """Fields of a form break rules: the sentence for each, by name."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(*next(iter(errors.items())))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Form:
    """What was posted. Empty fields count as left out."""

    values: Mapping[str, str]
    lists: Mapping[str, list[str]]

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def version(self) -> int:
        """The version that the form was made from; 0, which nothing has, when it was left out."""
        text = self["version"] or "0"
        if not (text.isascii() and text.isdecimal()) or len(text) > 18:
            raise InvalidInput("version", N_("must be a whole number"))
        return int(text)

    def read(self, spec: type[S], **given: object) -> S:
        """The spec that the form fills in; `given` wins over the fields. Raises FormInvalid."""
        found: dict[str, object] = {}
        for name, about in spec.model_fields.items():
            if name in given:
                found[name] = given[name]
            elif get_origin(about.annotation) is list or "list[" in str(about.annotation):
                if name in self.lists:
                    found[name] = [
                        part for text in self.lists[name] for part in text.replace(",", " ").split()
                    ]
            elif self.values.get(name):
                found[name] = self.values[name]
        try:
            return spec.model_validate(found)
        except ValidationError as error:
            raise FormInvalid(_sentences(error)) from None


def _sentences(error: ValidationError) -> dict[str, str]:
    said: dict[str, str] = {}
    for each in error.errors():
        name = str(each["loc"][0]) if each["loc"] else ""
        rule = _RULES.get(each["type"])
        text = rule % each.get("ctx", {}) if rule else each["msg"].removeprefix("Value error, ")
        said.setdefault(name, text)
    return said


async def _posted(request: Request) -> Form:
    data: FormData = await request.form()
    lists: dict[str, list[str]] = {}
    for name, value in data.multi_items():
        if isinstance(value, str):
            lists.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return Form({name: values[-1] for name, values in lists.items()}, lists)


Posted = Annotated[Form, Depends(_posted)]
"""The fields of the form that a page sent."""


@dataclass(frozen=True, slots=True)
class Told:
    """An error of the whole form, in the reader's language."""

    title: str
    why: str | None
    hint: str | None
    status: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A form as it is drawn: its values, the sentence beside each wrong field, and the error of the whole."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: Told | None = None

    def value(self, name: str, default: object = "") -> str:
        """What to put in a field: what was typed, else the default."""
        typed = self.values.get(name)
        return str(default if default is not None else "") if typed is None else typed

    @property
    def status(self) -> int:
        """HTTP status of a page that shows this form."""
        if self.problem is not None:
            return self.problem.status
        return 422 if self.errors else 200


def refused(form: Form, error: VigieError, visitor: Visitor) -> Shown:
    """The form to draw again after an error; the sentence of a field goes beside it."""
    if isinstance(error, FormInvalid):
        return Shown(form.values, {name: visitor.translate(text) for name, text in error.errors.items()})
    if isinstance(error, InvalidInput):
        text = " ".join(visitor.translate(part) for part in (error.rule, error.hint) if part)
        return Shown(form.values, {error.field: text[:1].upper() + text[1:]})
    said = Told(
        visitor.translate(error.title),
        visitor.translate(error.why) if error.why else None,
        visitor.translate(error.hint) if error.hint else None,
        int(error.status),
    )
    return Shown(form.values, {}, said)


@contextmanager
def transaction(visitor: Visitor) -> Iterator[Ctx]:
    """A transaction that is committed at the end of the block, and rolled back by any error."""
    with visitor.services.database.begin() as session:
        yield Ctx(visitor.services, session, visitor.actor, visitor.translate)


@contextmanager
def reading(visitor: Visitor) -> Iterator[Ctx]:
    """A read transaction for drawing a page after the work is done."""
    with visitor.services.database.read() as session:
        yield Ctx(visitor.services, session, visitor.actor, visitor.translate)


def attempt(
    visitor: Visitor, form: Form, action: str, work: Callable[[Ctx], T], *, target: str | None = None
) -> T | Shown:
    """Do `work` in a transaction. On an error nothing is kept, the refusal is audited, the form comes back."""
    try:
        with transaction(visitor) as ctx:
            return work(ctx)
    except VigieError as error:
        audit.record_refusal(visitor.services, visitor.actor, action, error, target)
        return refused(form, error, visitor)
