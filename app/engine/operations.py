"""What tasks can do: each operation is declared once, by its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.engine.run import Outcome, Run

Steps = Callable[[Run], Outcome]


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of task and how it is done.

    `steps` may be run again from the start after a crash, so it looks before it acts; what must not be repeated
    goes through `Run.send_once`. Permission, states and texts are those of `core.actions`, which services check.
    """

    kind: str
    steps: Steps


OPERATIONS: dict[str, Operation] = {}


def operation(kind: str) -> Callable[[Steps], Steps]:
    """Declare the function as the steps of tasks of this kind."""

    def declare(steps: Steps) -> Steps:
        OPERATIONS[kind] = Operation(kind, steps)
        return steps

    return declare
