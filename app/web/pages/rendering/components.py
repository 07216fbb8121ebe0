"""What the macros of `templates/_macros` and `_list/parts.html` draw: typed values made of what pages hand them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.core.inventory.conditions import ConditionRecord
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.vms.records import VerbRecord
from app.services.vms.power import VERBS
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
_VERB_ICONS = {
    "start": "play",
    "shutdown": "power",
    "reboot": "refresh",
    "reset": "bolt",
    "force-off": "plug-off",
    "inject-nmi": "bolt",
    "pause": "pause",
    "resume": "play",
    "save": "save",
    "restore": "restore",
    "autostart-on": "pin",
    "autostart-off": "pin",
}
_VERB_TITLES = {verb.value: operation.title for verb, operation in VERBS.items()}
NOT_NOW = N_("Not possible now.")


def url_of(ref: Ref) -> str | None:
    """The address of an object's page; None for what has none."""
    path = _PATHS.get(ref.kind)
    return f"{path}{ref.id}" if path else None


def button_class(kind: str, small: bool = False, icon_only: bool = False) -> str:
    """The classes of a button or of a link that looks like one; `kind` is default, primary, danger or ghost."""
    named = "" if kind == "default" else f" btn-{kind}"
    return f"btn{named}{' btn-sm' if small else ''}{' vg-icon-only' if icon_only else ''}"


def verb_title(verb: str) -> str:
    """The message id of a power verb's title; an unknown verb stands as it is."""
    return _VERB_TITLES.get(verb, verb)


@dataclass(frozen=True, slots=True)
class VerbButton:
    """An action on an object as a button or menu item: disabled with its reason, asking first where data may be lost.

    `ask` is the element id of the question to ask, `question` that of the one to draw beside the button.
    """

    verb: str
    title: str
    icon: str
    is_dangerous: bool
    ask: str | None
    question: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class VerbButtons:
    """The filter `verb_button` in one language."""

    translate: Callable[[str], str]

    def __call__(self, record: VerbRecord, ask: str | None = None) -> VerbButton:
        """The button of an action; `ask` is the id of a question that the page has for it."""
        own = f"ask-{record.verb}" if record.confirm else None
        why = None if record.allowed else reason(record) or self.translate(NOT_NOW)
        return VerbButton(
            verb=record.verb,
            title=record.title,
            icon=_VERB_ICONS.get(record.verb, "dots"),
            is_dangerous=record.confirm,
            ask=ask or own,
            question=own if record.allowed else None,
            why=why,
        )


def reason(record: VerbRecord) -> str | None:
    """Why an action is not possible now, and what to do; None when it is, or when nothing is said."""
    if record.allowed:
        return None
    return " ".join(part for part in (record.why, record.hint) if part) or None


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
