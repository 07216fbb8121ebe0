"""Names that people could take for one another: of look-alike characters, or different only in case.

Such names are allowed, since hosts and tools allow them, and told: in previews, and as an event once they are kept.
The table of look-alikes is Unicode's: https://www.unicode.org/reports/tr39/#Confusable_Detection
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache

import sqlalchemy as sa
from confusable_homoglyphs.confusables import confusables_data

from app.access.context import Ctx
from app.access.find import FINDABLE, visible
from app.core.casefold import fold
from app.core.kinds import Severity
from app.core.messages import N_
from app.core.records import Ref
from app.db.events import record_event
from app.db.models import Datacenter, Host, Image, Network, Pool, Vm

ONLY_CASE = N_("“%(name)s” differs only in case from “%(other)s”.")
LOOKS_LIKE = N_("“%(name)s” looks like “%(other)s”.")

Named = type[Vm] | type[Pool] | type[Network] | type[Host] | type[Image] | type[Datacenter]
_WORDS: dict[Named, str] = {
    Vm: "vm",
    Pool: "pool",
    Network: "network",
    Host: "host",
    Image: "image",
    Datacenter: "datacenter",
}


def skeleton(text: str) -> str:
    """The text with each character as the one that stands for all that look like it."""
    return text.translate(_table())


def look_alike(name: str, others: Iterable[str]) -> tuple[str, str] | None:
    """The first of the other names that could be taken for this one, after the message that says so."""
    folded, shapes = fold(name), _shapes(name)
    for other in others:
        if other == name:
            continue
        if fold(other) == folded:
            return ONLY_CASE, other
        if shapes & _shapes(other):
            return LOOKS_LIKE, other
    return None


def warning(ctx: Ctx, model: Named, name: str, host_id: str | None = None) -> str | None:
    """A sentence about another object of the kind (on the host) whose name could be taken for this one."""
    found = _found(ctx, model, name, host_id, "")
    return None if found is None else ctx.say(found[0], {"name": name, "other": found[1]})


def record_warning(
    ctx: Ctx, model: Named, name: str, *, target: Ref, host: Ref | None = None, task_id: str | None = None
) -> None:
    """Write an event when another object of the kind (on the host) could be taken for this one by its name."""
    found = _found(ctx, model, name, host.id if host else None, target.id)
    if found is not None:
        record_event(
            ctx.session,
            ctx.services.hub,
            f"{_WORDS[model]}.look_alike",
            found[0],
            {"name": name, "other": found[1]},
            severity=Severity.WARNING,
            target=target,
            host=host,
            task_id=task_id,
            actor=ctx.actor.name,
        )


def _found(ctx: Ctx, model: Named, name: str, host_id: str | None, but: str) -> tuple[str, str] | None:
    query = sa.select(model.name).where(model.id != but, model.name != name).order_by(model.name)
    # Look-alikes of another script are looked for on all hosts: there are few such names, and none is an accident.
    if host_id is not None and model in (Vm, Pool, Network) and name.isascii():
        query = query.where(model.host_id == host_id)
    return look_alike(name, ctx.session.scalars(visible(ctx, query, model, FINDABLE[model].view)))


def _shapes(name: str) -> frozenset[str]:
    return frozenset({skeleton(name), skeleton(fold(name))})


@cache
def _table() -> dict[int, str]:
    """Each character to the one that stands for its group: the library has pairs, in both directions."""
    near: dict[str, set[str]] = defaultdict(set)
    for character, others in confusables_data.items():
        for other in others:
            near[character].add(other["c"])
            near[other["c"]].add(character)
    table: dict[int, str] = {}
    seen: set[str] = set()
    for character in near:
        if character in seen:
            continue
        group, ahead = {character}, [character]
        while ahead:
            new = near[ahead.pop()] - group
            group |= new
            ahead += new
        seen |= group
        head = max(group, key=lambda item: (len(near[item]), len(item), item))
        table |= {ord(item): head for item in group if len(item) == 1}
    return table
