"""The form of a network filter: a row of fields for each rule; rows without an action are not rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.core.messages import N_, filled
from app.core.networks.nwfilters import NwfilterPlan, NwfilterRule
from app.web.auth import Visitor
from app.web.pages.rendering.forms import Form, FormInvalid, broken_rules

COLUMNS = ("action", "direction", "family", "protocol", "ports", "source", "destination", "priority")
SPARE = 3  # empty rows that the form offers
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """The plan's fields, and the row of each rule."""

    plan: dict[str, object]
    numbers: list[int]


def rows_of(form: Form) -> list[Row]:
    """All rows as they were typed."""
    columns = [form.lists.get(f"rule_{name}", []) for name in COLUMNS]
    return [dict(zip(COLUMNS, values, strict=True)) for values in zip(*columns, strict=False)]


def read(form: Form) -> Read:
    """The plan that the form describes, unchecked but for what is no rule at all. Raises InvalidInput."""
    rules, numbers = [], []
    for number, row in enumerate(rows_of(form), 1):
        if row["action"]:
            rules.append(_rule(row, number))
            numbers.append(number)
    plan = {
        "rules": rules,
        "references": form["references"].replace(",", " ").split(),
        "default_in": form["default_in"] or None,
        "default_out": form["default_out"] or None,
    }
    return Read(plan, numbers)


def _rule(row: Row, number: int) -> dict[str, object]:
    first, dash, last = row["ports"].replace("–", "-").partition("-")
    if dash and not (first.strip() and last.strip()):
        message = [N_("write one port, or the first and the last: 1000-2000")]
        raise InvalidInput(
            "rules", N_("Rule %(number)d: %(said)s"), params={"number": number, "said": message}
        )
    return {
        **{name: row[name] for name in ("action", "direction", "family", "protocol")},
        "port_start": first.strip() or None,
        "port_end": last.strip() or None,
        "source": row["source"].strip() or None,
        "destination": row["destination"].strip() or None,
        "priority": row["priority"].strip() or "500",
    }


@contextmanager
def at_their_fields(found: Read, visitor: Visitor) -> Iterator[None]:
    """Errors of a plan in the block become errors of the form, with the number of their rule."""
    try:
        yield
    except ValidationError as error:
        broken = broken_rules(error, whole=True)
        raise FormInvalid([_placed(item, found, visitor) for item in broken]) from None
    except FormInvalid:
        raise
    except InvalidInput as error:
        raise _placed(error, found, visitor) from None


def _placed(error: InvalidInput, found: Read, visitor: Visitor) -> InvalidInput:
    path = error.field.split(".")
    message = error.rule_text(visitor.translate)
    if path[0] == "rules" and len(path) > 1 and path[1].isdecimal():
        params = {"number": found.numbers[int(path[1])], "said": message}
        message = filled(visitor.translate, N_("Rule %(number)d: %(said)s"), params)
    return InvalidInput(path[0], message, hint=error.hint, code=error.code)


def values(plan: NwfilterPlan) -> dict[str, str]:
    """What the form's single fields hold for a plan."""
    return {
        "name": plan.name,
        "references": " ".join(plan.references),
        "default_in": plan.default_in or "",
        "default_out": plan.default_out or "",
    }


def rows(plan: NwfilterPlan) -> list[Row]:
    """The rows of a plan's rules."""
    return [_row(rule) for rule in plan.rules]


def _row(rule: NwfilterRule) -> Row:
    ports = "" if rule.port_start is None else str(rule.port_start)
    if rule.port_end is not None:
        ports += f"-{rule.port_end}"
    return {
        "action": rule.action,
        "direction": rule.direction,
        "family": rule.family,
        "protocol": rule.protocol,
        "ports": ports,
        "source": rule.source or "",
        "destination": rule.destination or "",
        "priority": str(rule.priority),
    }


def with_spare(found: list[Row]) -> list[Row]:
    """The rows with some empty ones behind them."""
    empty = dict.fromkeys(COLUMNS, "") | {"direction": "in", "family": "ipv4", "protocol": "tcp"}
    filled_in = [row for row in found if row["action"] or row["ports"] or row["source"] or row["destination"]]
    return filled_in + [empty] * SPARE
