"""What the macros of `templates/_macros` and `_list/parts.html` draw: typed values made of what pages hand them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.core.inventory.conditions import ConditionRecord
from app.core.kinds import ObjectKind
from app.core.records import Ref
from app.web.pages.rendering.states import tone

T = TypeVar("T")

_PATHS: dict[ObjectKind, str] = {
    ObjectKind.VM: "/vms/",
    ObjectKind.HOST: "/hosts/",
    ObjectKind.POOL: "/storage/",
    ObjectKind.VOLUME: "/storage/volumes/",
    ObjectKind.NETWORK: "/networks/",
    ObjectKind.NWFILTER: "/nwfilters/",
    ObjectKind.IMAGE: "/images/",
    ObjectKind.PRESET: "/vms/new?spec=",
    ObjectKind.DATACENTER: "/datacenters/",
    ObjectKind.TASK: "/tasks/",
    ObjectKind.USER: "/users/",
    ObjectKind.TOKEN: "/tokens#",
    ObjectKind.CREDENTIAL: "/credentials/",
}


def url_of(ref: Ref) -> str | None:
    """The address of an object's page; None for what has none."""
    path = _PATHS.get(ref.kind)
    return f"{path}{ref.id}" if path else None


def button_class(kind: str, small: bool = False, icon_only: bool = False) -> str:
    """The classes of a button or of a link that looks like one; `kind` is default, primary, danger or ghost."""
    named = "" if kind == "default" else f" btn-{kind}"
    return f"btn{named}{' btn-sm' if small else ''}{' vg-icon-only' if icon_only else ''}"


@dataclass(frozen=True, slots=True)
class ConditionBadge:
    """What is wrong with an object, in short: the worst condition, how many more there are, and all of it as text."""

    title: str
    tone: str
    more: int
    text: str


def badge(conditions: Sequence[ConditionRecord]) -> ConditionBadge | None:
    """The badge for conditions, the worst first; None when there are none."""
    if not conditions:
        return None
    worst = conditions[0]
    text = " ".join(condition.text for condition in conditions)
    return ConditionBadge(worst.title, tone(worst.severity), len(conditions) - 1, text)


@dataclass(frozen=True, slots=True)
class Few(Generic[T]):
    """The beginning of something long, and how many more there are."""

    shown: Sequence[T]
    more: int


def first_few(every: Sequence[T], most: int) -> Few[T]:
    """At most `most` of them."""
    return Few(every[:most], max(0, len(every) - most))


@dataclass(frozen=True, slots=True)
class Sorting:
    """How a column sorts: `order` as ARIA says it, None while another column counts; `next` is what a click asks for."""

    order: str | None
    icon: str | None
    next: str


def sorting(column: str, current: str) -> Sorting:
    """How the column sorts while the list is sorted by `current` (a column, with - for the other way)."""
    if current == column:
        return Sorting("ascending", "up", f"-{column}")
    if current == f"-{column}":
        return Sorting("descending", "down", column)
    return Sorting(None, None, column)
