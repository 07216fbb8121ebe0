"""What commands share: the opened program, plain errors, and the two ways to print."""

from __future__ import annotations

import functools
import getpass
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, ParamSpec, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from app.access.context import Actor, Ctx, Services
from app.access.vault import Vault
from app.config import SettingsError, load_settings
from app.core.access.privileges import Role
from app.core.errors import VigieError, rule_of
from app.core.notices import Hub
from app.db.migrate import check
from app.db.session import Database

P = ParamSpec("P")
R = TypeVar("R")

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Show an expected error as one line on standard error and end with status 1, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except VigieError as error:
            title, why, hint = error.texts()
            message = [joined(title, why, hint), error.detail]
        except (SettingsError, OSError) as error:
            message = [str(error)]
        except ValidationError as error:
            message = [
                f"{'.'.join(map(str, item['loc'])) or 'value'}: {rule_of(item)}" for item in error.errors()
            ]
        typer.echo("vigie: " + " ".join(filter(None, message)), err=True)
        raise typer.Exit(1)

    return wrapped


def joined(title: str, why: str | None, hint: str | None) -> str:
    """The texts of an error in one line; a reason that its title says already is left out."""
    return " ".join(filter(None, (title, None if why and why in title else why, hint)))


def operator() -> Actor:
    """Whoever may run commands on the data directory is an administrator; the audit names the account."""
    return Actor(None, getpass.getuser(), Role.ADMINISTRATOR, "cli")


@contextmanager
def opened() -> Iterator[Services]:
    """The program around the settings' database. Raises SettingsError, and Unavailable when the schema is old."""
    settings = load_settings()
    database = Database(settings.database, epoch_file=settings.epoch_path)
    try:
        check(database)
        yield Services(settings, database, Hub(), Vault(settings.key_path))
    finally:
        database.close()


@contextmanager
def reading() -> Iterator[Ctx]:
    """A context that only reads."""
    with opened() as services, services.database.read() as session:
        yield Ctx(services, session, operator())


@contextmanager
def writing() -> Iterator[Ctx]:
    """A context whose transaction is committed at the end."""
    with opened() as services, services.database.begin() as session:
        yield Ctx(services, session, operator())


def read_password(from_stdin: bool) -> str:
    """A password from standard input (its first line) or, twice, from the terminal; never from an argument."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def show(records: Sequence[BaseModel] | BaseModel, columns: Sequence[str], *, as_json: bool) -> None:
    """Print a record or a list: as JSON, or as a table of these fields."""
    if as_json:
        plain = (
            [record.model_dump(mode="json") for record in records]
            if isinstance(records, Sequence)
            else records.model_dump(mode="json")
        )
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    rows = [records] if isinstance(records, BaseModel) else records
    cells = [[column.upper().replace("_", " ") for column in columns]]
    cells += [[_cell(getattr(record, column)) for column in columns] for record in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    """One field for a terminal: names of hosts and VMs may hold escape sequences."""
    text = "-" if value is None else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)
