"""Bringing the schema up to date, and checking that it is. Alembic, set up in code: there is no alembic.ini."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.core.errors import Unavailable
from app.core.messages import N_
from app.db.models import Base
from app.db.session import Database
from app.resources import resource

# One number for all of Vigie: two programs that start at the same time upgrade one after the other.
_LOCK = 0x5649474945


def upgrade(database: Database) -> None:
    """Run every migration that is missing, in one transaction. Doing it twice is harmless.

    Raises Unavailable: schema_newer for a database of a newer version of Vigie, wrong_encoding for one in another encoding.
    """
    scripts = _scripts()
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection = connection.execution_options(vigie_write=True)
        with connection.begin():
            if not database.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                _require_utf8(connection)
            _current(scripts, connection)
            _run(scripts, connection)


def check(database: Database) -> None:
    """Raise Unavailable (schema_outdated or schema_newer) unless the schema is exactly the one that this version needs."""
    with database.engine.connect() as connection:
        scripts = _scripts()
        known = _current(scripts, connection)
        head = scripts.get_current_head()
        if known != head:
            raise _outdated(f"{known or '-'} ≠ {head}")
        different = differences(connection)
        if different:
            raise _outdated("; ".join(str(item[0]) for item in different[:5]))


def differences(connection: sa.Connection) -> Sequence[tuple[object, ...]]:
    """What would have to change for the schema to match the models; empty when it does."""
    options = {"compare_type": True, "compare_server_default": True, "include_name": _is_ours}
    found: list[tuple[object, ...]] = compare_metadata(
        MigrationContext.configure(connection, opts=options), Base.metadata
    )
    return found


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Other tables may live in the same database, such as those of the task log."""
    return kind != "table" or name in Base.metadata.tables


def _require_utf8(connection: sa.Connection) -> None:
    """PostgreSQL's normalize(), by which the search finds names, knows no other encoding."""
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise Unavailable(
            N_("The database is not in UTF-8."),
            why=N_("Its encoding is %(found)s, in which many names cannot be stored.") % {"found": encoding},
            hint=N_("Make another one: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"),
            code="wrong_encoding",
        )


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(resource("migrations")).replace("%", "%%"))
    return ScriptDirectory.from_config(config)


def _current(scripts: ScriptDirectory, connection: sa.Connection) -> str | None:
    """The revision that the database is at, which must be one that this version knows; None when it is empty."""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {revision.revision for revision in scripts.walk_revisions()}:
        raise Unavailable(
            N_("The database was made by a newer version of Vigie."),
            why=N_("Its schema is %(found)s; this version knows none of that name.") % {"found": found},
            hint=N_("Install that version again, or restore the backup from before the upgrade."),
            code="schema_newer",
        )
    return found


def _run(scripts: ScriptDirectory, connection: sa.Connection, target: str = "head") -> None:
    def steps(revision: str, _context: MigrationContext) -> object:
        return scripts._upgrade_revs(target, revision)

    with EnvironmentContext(Config(), scripts) as environment:
        environment.configure(connection, target_metadata=Base.metadata, fn=steps, transactional_ddl=False)
        environment.run_migrations()


def _outdated(why: str) -> Unavailable:
    return Unavailable(
        N_("The database does not fit this version of Vigie."),
        why=why,
        hint=N_("Make a backup, then run: vigie db upgrade"),
        code="schema_outdated",
    )
