"""Migrations make exactly the schema of the models, on both databases."""

import pytest
import sqlalchemy as sa

from app.core.errors import Unavailable
from app.db import migrate
from app.db.models import Base
from app.db.session import Database
from tests.databases import Cluster


def test_migrations_make_the_models_schema(database: Database) -> None:
    with database.engine.connect() as connection:
        assert list(migrate.differences(connection)) == []
        found = set(sa.inspect(connection).get_table_names())
    assert found == {*Base.metadata.tables, "alembic_version"}
    migrate.check(database)


def test_upgrade_twice_is_harmless(database: Database) -> None:
    migrate.upgrade(database)
    migrate.check(database)


def test_check_names_the_command_when_a_column_is_missing(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE vm DROP COLUMN notes")
    with pytest.raises(Unavailable) as told:
        migrate.check(database)
    assert told.value.code == "schema_outdated"
    assert "vigie db upgrade" in (told.value.hint or "")
    assert "remove_column" in (told.value.why or "") or "add_column" in (told.value.why or "")


def test_check_refuses_an_empty_database(tmp_path) -> None:
    with pytest.raises(Unavailable, match="does not fit"):
        migrate.check(Database(f"sqlite:///{tmp_path / 'new.db'}"))


@pytest.mark.parametrize("asked", [migrate.upgrade, migrate.check])
def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database, asked) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable) as told:
        asked(database)
    assert told.value.code == "schema_newer"
    assert "9999" in (told.value.why or "")
    with database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_database_in_another_encoding_is_refused_and_left_empty(cluster: Cluster) -> None:
    cluster.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    database = Database(cluster.url("latin"))
    try:
        with pytest.raises(Unavailable) as told:
            migrate.upgrade(database)
        assert told.value.code == "wrong_encoding"
        assert "LATIN1" in (told.value.why or "")
        with database.engine.connect() as connection:
            assert sa.inspect(connection).get_table_names() == []
    finally:
        database.close()
        cluster.execute("DROP DATABASE latin WITH (FORCE)")
