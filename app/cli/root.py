"""The commands of `vigie`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated

import typer

from app.cli import hosts, storage, users, vms
from app.cli.runtime import plain_errors
from app.config import load_settings
from app.db.epoch import EpochFile
from app.db.migrate import check, upgrade
from app.db.session import Database

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Vigie: a console for many KVM hosts. Settings: VIGIE_… and docs/settings.md.",
)
db = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(db, name="db")
app.add_typer(users.users, name="user")
app.add_typer(users.token, name="token")
app.add_typer(hosts.host, name="host")
app.add_typer(vms.vm, name="vm")
app.add_typer(storage.volume, name="volume")
app.add_typer(storage.image, name="image")
# They make hosts, whose daemons run as other users; the servers that they start are commands of their own.
MAKING_HOSTS = ("lab", "demo", "bench")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    """Vigie: a console for many KVM hosts."""
    if context.invoked_subcommand not in MAKING_HOSTS:
        os.umask(0o077)  # databases hold hashes and sealed secrets: nobody else reads them
    if show_version:
        typer.echo(f"vigie {version('vigie')}")
        raise typer.Exit


@app.command()
@plain_errors
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    from app.main import serve as run  # the server's libraries take half a second to load

    raise typer.Exit(run(load_settings(host=host, port=port)))


@db.command("upgrade")
@plain_errors
def upgrade_() -> None:
    """Bring the schema up to date. The server does so too when it starts."""
    with _closing() as database:
        upgrade(database)


@db.command("check")
@plain_errors
def check_() -> None:
    """Say whether the schema is the one that this version needs."""
    with _closing() as database:
        check(database)
    typer.echo("The database fits this version.")


@db.command("restored")
@plain_errors
def restored() -> None:
    """Say that the database is an older copy: tasks under way in it end at the next start, and are not repeated.

    Vigie notices restored files by itself; not that a whole machine or file system was set back. Stop it first.
    """
    EpochFile(load_settings().epoch_path).remove()
    typer.echo("At the next start, all tasks that were under way in the database end.")


@contextmanager
def _closing() -> Iterator[Database]:
    database = Database(load_settings().database)
    try:
        yield database
    finally:
        database.close()


def main() -> None:
    """Entry point of the command `vigie`."""
    from app.lab.bench.cli import bench  # loaded last: they pull in what only tests and demos need
    from app.lab.cli import app as lab
    from app.lab.demo.cli import demo

    app.add_typer(lab, name="lab")
    app.command()(demo)
    app.command()(bench)
    app()
