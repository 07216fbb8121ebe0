"""Sizes in fields of forms: in units that people use, without the loss of a byte."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.web.pages.rendering.forms import Form

# Decimals that tell every byte of a GiB apart.
_EXACT = 10
# More digits before the point than any size has; a huge exponent would become a number of that many digits.
_MOST_DIGITS = 20


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
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
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
