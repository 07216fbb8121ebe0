"""Call stacks of the running program at chosen points, for tests of how many functions a journey passes through."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.session import Database

APP = f"{Path(__file__).parents[3] / 'app'}/"
Stack = tuple[str, ...]
"""The named functions of ours that run at a point, outermost first."""


@dataclass(frozen=True)
class _Recorded:
    point: object
    stack: Stack
    arguments: tuple[object, ...]


class CallPaths:
    """Records the stack whenever a watched function is called or a statement is executed; each runs as it is.

    A function counts when it has a name of its own under app/: no lambdas, comprehensions or generated functions.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._recorded: list[_Recorded] = []

    def watch(self, owner: type, function: Callable[..., Any]) -> object:
        """Record the calls of a method of `owner`. Returns the point, for `at`."""

        @functools.wraps(function)
        def recorded(*arguments: Any, **named: Any) -> Any:
            own = (_name(function),) if function.__code__.co_filename.startswith(APP) else ()
            self._record(function, sys._getframe(1), own, arguments)
            return function(*arguments, **named)

        self._monkeypatch.setattr(owner, function.__name__, recorded)
        return function

    def watch_statements(self, database: Database) -> None:
        """Record the statements of a database; their points are the first three words of each."""

        def execute(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            self._record(" ".join(statement.split()[:3]), sys._getframe(1), (), (statement,))

        sa.event.listen(database.engine, "before_cursor_execute", execute)

    def at(
        self,
        point: object,
        *,
        through: Callable[..., Any],
        is_entry: bool = False,
        when: Callable[..., bool] = lambda *_: True,
    ) -> Stack:
        """The first stack at the point that leads through this function, and whose call was made with such arguments.

        `is_entry`: the journey begins with this function; what called it does not count. Fails when there was none.
        """
        wanted = _name(inspect.unwrap(through))
        for item in list(self._recorded):
            if item.point == point and wanted in item.stack and when(*item.arguments):
                return item.stack[item.stack.index(wanted) :] if is_entry else item.stack
        pytest.fail(f"{point} was not reached through {wanted}")

    def _record(
        self, point: object, frame: FrameType | None, own: Stack, arguments: tuple[object, ...]
    ) -> None:
        stack = [*own]
        while frame is not None:
            if frame.f_code.co_filename.startswith(APP) and not frame.f_code.co_name.startswith("<"):
                stack.append(_name_of_code(frame.f_code))
            frame = frame.f_back
        self._recorded.append(_Recorded(point, tuple(reversed(stack)), arguments))


def joined(*stacks: Stack) -> list[str]:
    """The functions of a journey: those of its stacks one after the other, each once."""
    return list(dict.fromkeys(function for stack in stacks for function in stack))


def _name(function: Callable[..., Any]) -> str:
    return _name_of_code(function.__code__)


def _name_of_code(code: Any) -> str:
    return f"{code.co_filename.removeprefix(APP)}: {code.co_qualname}"
