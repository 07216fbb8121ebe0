"""Plain HTML forms: read into specs, refused field by field, shown again with what was typed; sizes in their units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar, get_origin

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from app.access import audit
from app.access.context import Ctx
from app.core.errors import InvalidInput, VigieError, rule_of
from app.core.messages import N_
from app.web.auth import Visitor

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")

# Said beside the field; filled from the rule that was broken.
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
# Decimals that tell every byte of a GiB apart.
_EXACT = 10
# More digits before the point than any size has; a huge exponent would become a number of that many digits.
_MAX_DIGITS = 20


class FormInvalid(InvalidInput):
    """Several fields of a form may break rules: one error for each."""

    def __init__(self, errors: Sequence[InvalidInput]) -> None:
        super().__init__(errors[0].field, errors[0].rule, params=errors[0].params)
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

    @property
    def tags(self) -> list[str]:
        """The field of tags: words between spaces or commas, with or without the # that pages show before them."""
        return [word.lstrip("#") for word in self["tags"].replace(",", " ").split() if word.strip("#")]

    def words(self, name: str) -> list[str]:
        """The words of a field, between spaces or commas."""
        return self[name].replace(",", " ").split()

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
            raise FormInvalid(broken_rules(error)) from None


def broken_rules(error: ValidationError, *, whole: bool = False) -> list[InvalidInput]:
    """The first rule that each field breaks; `whole` names what is inside a field, too: subnets.0.address."""
    found: dict[str, InvalidInput] = {}
    for item in error.errors():
        name = ".".join(map(str, item["loc"] if whole else item["loc"][:1]))
        found.setdefault(name, broken_rule(name, item))
    return list(found.values())


def broken_rule(name: str, about: Mapping[str, Any]) -> InvalidInput:
    """What pydantic says of a field, in words for people."""
    rule = _RULES.get(about["type"])
    if rule is None:
        return InvalidInput(name, rule_of(about))
    return InvalidInput(name, rule, params=about.get("ctx"))


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
class FormError:
    """An error of the whole form, in the reader's language."""

    title: str
    why: str | None
    hint: str | None
    status: int


class FieldErrors(dict[str, str]):
    """The sentence of each wrong field; knows which of them a control on the page has shown."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(errors)
        self._shown: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """The sentence for the control of this name, which shows it."""
        self._shown.add(name)
        return super().get(name, default)

    @property
    def unshown(self) -> dict[str, str]:
        """What no control has asked for yet."""
        return {name: text for name, text in self.items() if name not in self._shown}


@dataclass(frozen=True, slots=True)
class Shown:
    """A form as it is drawn: its values, the sentence beside each wrong field, and the error of the whole.

    An error whose field has no control on the page becomes a banner where the template has `f.summary(form)`;
    `render` puts it there once every control had its turn.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: FormError | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", FieldErrors(self.errors))

    @property
    def key(self) -> str:
        """What tells the form's place for a banner from those of other forms of the page."""
        return f"banner {id(self)}"

    @property
    def unshown(self) -> dict[str, str]:
        """Errors that no control of the page has shown, by field."""
        return self.errors.unshown if isinstance(self.errors, FieldErrors) else {}

    def value(self, name: str, default: object = "") -> str:
        """What to put in a field: what was typed, else the default."""
        typed = self.values.get(name)
        return str(default if default is not None else "") if typed is None else typed

    def checked(self, name: str, default: bool = False) -> bool:
        """Whether a box is ticked: as it was sent, else the default."""
        return self.values.get(name) == "true" if self.values else default

    def is_wrong(self, *names: str) -> bool:
        """Whether one of these fields has an error; it does not count as shown by that."""
        return any(name in self.errors for name in names)

    def is_open(self, wrong: Sequence[str], filled: Sequence[str] = ()) -> bool:
        """Whether folded fields are to be seen: one of `wrong` has an error or one of `filled` a value."""
        return self.is_wrong(*wrong) or any(self.value(name) for name in filled)

    @property
    def status(self) -> int:
        """HTTP status of a page that shows this form."""
        if self.problem is not None:
            return self.problem.status
        return 422 if self.errors else 200


@dataclass(frozen=True, slots=True)
class PartForms:
    """A page of several forms: `form` is what was typed in the one that was sent, the others are as at first."""

    part: str
    form: Shown

    def of(self, part: str) -> Shown:
        """The form of a part."""
        return self.form if part == self.part else Shown()


def refused(form: Form, error: VigieError, visitor: Visitor) -> Shown:
    """The form to draw again after an error; the sentence of a field goes beside it."""
    if isinstance(error, InvalidInput):
        broken = error.errors if isinstance(error, FormInvalid) else [error]
        return Shown(form.values, {item.field: _sentence(item, visitor) for item in broken})
    form_error = FormError(
        *error.texts(visitor.translate),
        int(error.status),
    )
    return Shown(form.values, {}, form_error)


def _sentence(error: InvalidInput, visitor: Visitor) -> str:
    text, hint = error.rule_text(visitor.translate), error.texts(visitor.translate).hint
    if hint:
        text = f"{text.rstrip('.')}. {hint}"
    return text[:1].upper() + text[1:]


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


def number_in(text: str) -> int | None:
    """The number that somebody typed or that an address holds; None for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def amount_in(form: Form, name: str, unit: int) -> int | None:
    """The bytes that a field means, which counts in units of `unit` bytes; None when it is empty.

    Raises InvalidInput.
    """
    text = form[name].replace(",", ".").strip()
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise InvalidInput(name, N_("must be a number")) from None
    if not number.is_finite() or number.adjusted() > _MAX_DIGITS:
        raise InvalidInput(name, N_("must be a number"))
    return _whole(number, unit)


def shown_in(value: int | None, unit: int) -> str:
    """The shortest decimal number of units from which `amount_in` makes exactly these bytes; empty for none."""
    if not value:
        return ""
    exact = Decimal(value) / unit
    rounded = (exact.quantize(Decimal(1).scaleb(-digits)) for digits in range(_EXACT + 1))
    text = f"{next(item for item in rounded if _whole(item, unit) == value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _whole(number: Decimal, unit: int) -> int:
    return int((number * unit).to_integral_value(ROUND_HALF_EVEN))
