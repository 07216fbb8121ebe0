"""`vigie user` and `vigie token`: who may sign in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from app.access import accounts, tokens
from app.access.context import Ctx
from app.cli.runtime import AsJson, plain_errors, read_password, reading, show, writing
from app.core.access.specs import TokenSpec, UserPatch, UserSpec
from app.core.records import Page, Record
from app.core.specs import MAX_LIMIT, ListQuery

R = TypeVar("R", bound=Record)
users = typer.Typer(no_args_is_help=True, help="People who may sign in.")
token = typer.Typer(no_args_is_help=True, help="Tokens for programs; each has the rights of its user.")

Name = Annotated[str, typer.Argument(help="Sign-in name.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
USER_COLUMNS = ("name", "role", "display", "disabled", "last_login_at")
TOKEN_COLUMNS = ("id", "name", "user_name", "prefix", "expires_at", "last_used_at")


@users.command("add")
@plain_errors
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, operator or administrator.")] = "viewer",
    display: Annotated[str | None, typer.Option(help="Name to show.")] = None,
    password_stdin: Stdin = False,
    as_json: AsJson = False,
) -> None:
    """Make a user; the password is asked for."""
    password = read_password(password_stdin)
    spec = UserSpec.model_validate({"name": name, "password": password, "role": role, "display": display})
    with writing() as ctx:
        user = accounts.create_user(ctx, spec)
    show(user, USER_COLUMNS, as_json=as_json)


@users.command("list")
@plain_errors
def list_(as_json: AsJson = False) -> None:
    """List the users."""
    with reading() as ctx:
        show(_all(accounts.list_users, ctx), USER_COLUMNS, as_json=as_json)


@users.command("password")
@plain_errors
def password(
    name: Name,
    password_stdin: Stdin = False,
    keep_tokens: Annotated[
        bool, typer.Option("--keep-tokens", help="Let the user's API tokens stay.")
    ] = False,
) -> None:
    """Give a user a new password; all logins and API tokens of the user end."""
    given = {"password": read_password(password_stdin), "keep_tokens": keep_tokens}
    patch = UserPatch.model_validate(given)
    with writing() as ctx:
        accounts.update_user(ctx, accounts.find_user(ctx, name).id, patch)


@users.command("disable")
@plain_errors
def disable(name: Name) -> None:
    """Keep a user from signing in, and end all logins and tokens' use."""
    with writing() as ctx:
        accounts.update_user(ctx, accounts.find_user(ctx, name).id, UserPatch(disabled=True))


@users.command("enable")
@plain_errors
def enable(name: Name) -> None:
    """Let a disabled user sign in again."""
    with writing() as ctx:
        accounts.update_user(ctx, accounts.find_user(ctx, name).id, UserPatch(disabled=False))


@token.command("create")
@plain_errors
def create_token(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    user: Annotated[str, typer.Option("--user", help="Whose rights it has.")],
    days: Annotated[int, typer.Option("--days", help="Days until it expires, at most 3650.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it; it is shown this once."""
    with writing() as ctx:
        created = tokens.create_token(
            ctx, TokenSpec(name=name, expires_in_days=days), accounts.find_user(ctx, user).id
        )
    if as_json:
        show(created, (), as_json=True)
    else:
        typer.echo(created.token)


@token.command("list")
@plain_errors
def list_tokens(as_json: AsJson = False) -> None:
    """List all tokens, without their secrets."""
    with reading() as ctx:
        show(_all(tokens.list_tokens, ctx), TOKEN_COLUMNS, as_json=as_json)


@token.command("revoke")
@plain_errors
def revoke_token(token_id: Annotated[str, typer.Argument(help="Its id, from `vigie token list`.")]) -> None:
    """End a token."""
    with writing() as ctx:
        tokens.revoke_token(ctx, token_id)


def _all(read: Callable[[Ctx, ListQuery], Page[R]], ctx: Ctx) -> list[R]:
    found: list[R] = []
    cursor: str | None = None
    while True:
        part = read(ctx, ListQuery(limit=MAX_LIMIT, cursor=cursor))
        found += part.items
        cursor = part.next
        if cursor is None:
            return found
