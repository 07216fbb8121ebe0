"""The one error of the lab."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

P = ParamSpec("P")
R = TypeVar("R")


class LabError(Exception):
    """Something the lab cannot do. The message is a sentence that also says what to do about it."""


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command of the command line show a LabError as one line, and end with status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except LabError as error:
            typer.echo(f"vigie lab: {error}", err=True)
            raise typer.Exit(1) from error

    return wrapped
