"""Waiting for tasks: a running server does them, a command asks for them and shows how they go."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from app.access.context import Ctx, Services
from app.cli.runtime import operator, show
from app.core.errors import Unavailable
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.tasks import tasks

NoWait = Annotated[bool, typer.Option("--no-wait", help="Only ask for it; the server goes on by itself.")]
COLUMNS = ("id", "title", "target", "state", "message")
LOOK_S = 0.3
# A server looks at the tasks every two seconds.
TAKEN_UP_S = 15


def follow(services: Services, requested: Sequence[TaskRecord], *, no_wait: bool, as_json: bool) -> None:
    """Show tasks when they have ended, or at once. Ends the command with status 1 when one has failed.

    Raises Unavailable when no server takes them up.
    """
    found = list(requested) if no_wait else [_ended(services, task) for task in requested]
    if as_json:
        show(found if len(found) != 1 else found[0], COLUMNS, as_json=True)
    else:
        for task in found:
            typer.echo(_line(task), err=task.state is TaskState.FAILED)
    if any(task.state in (TaskState.FAILED, TaskState.CANCELLED) for task in found):
        raise typer.Exit(1)


def _ended(services: Services, task: TaskRecord) -> TaskRecord:
    begun = time.monotonic()
    shown = ""
    while not task.state.is_final:
        if task.state is TaskState.QUEUED and time.monotonic() - begun > TAKEN_UP_S:
            raise Unavailable(
                "The task waits: no running server takes it up.",
                hint=f"Start the server with the same data directory; task {task.id} is done then.",
            )
        time.sleep(LOOK_S)
        with services.database.read() as session:
            task = tasks.show_task(Ctx(services, session, operator()), task.id)
        message = f"{task.title}: {task.progress} %" if task.progress is not None else ""
        if message and message != shown and sys.stderr.isatty():
            typer.echo(f"\r{message}\033[K", nl=False, err=True)
            shown = message
    if shown:
        typer.echo("\r\033[K", nl=False, err=True)
    return task


def _line(task: TaskRecord) -> str:
    about = f"{task.title} · {task.target.name}" if task.target else task.title
    if task.error is None:
        return f"{about}: {task.message or task.state.value}"
    message = (task.error.title, task.error.why, task.error.hint, task.error.detail)
    return f"{about}: " + " ".join(item for item in message if item)
