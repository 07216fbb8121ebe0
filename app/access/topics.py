"""Which live notices somebody may hear."""

from __future__ import annotations

from collections.abc import Iterable

from app.access.context import Actor
from app.access.find import FINDABLE
from app.core.ids import kind_of
from app.core.kinds import ObjectKind
from app.core.notices import EVENTS, SCREENSHOT_TAKEN, TASKS, TREE

_OF_LISTS = {TASKS: "task.view", EVENTS: "event.view"}
_OF_OBJECTS: dict[ObjectKind, str] = {}
for _about in FINDABLE.values():
    _OF_OBJECTS.setdefault(_about.kind, _about.view)


def visible_topics(actor: Actor, topics: Iterable[str]) -> list[str]:
    """The topics of objects and lists that the actor may see; what the program tells itself is left out."""
    return sorted(topic for topic in topics if _may_hear(actor, topic))


def _may_hear(actor: Actor, topic: str) -> bool:
    if topic == TREE:  # names nothing
        return True
    kind = kind_of(topic.removeprefix(SCREENSHOT_TAKEN))
    privilege = _OF_LISTS.get(topic) if kind is None else _OF_OBJECTS.get(kind)
    return privilege in actor.role.privileges
