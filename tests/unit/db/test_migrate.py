"""Migrations make exactly the schema of the models, on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from app.core.errors import Unavailable
from app.db import migrate
from app.db.models import Base, CloudInitSeed, Datacenter, Host, Task, Vm
from app.db.session import Database
from tests.databases import Cluster, Contexts


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
    assert "vigie db upgrade" in (told.value.texts().hint or "")
    assert "remove_column" in (told.value.texts().why or "") or "add_column" in (told.value.texts().why or "")


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
    assert "9999" in (told.value.texts().why or "")
    with database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_database_in_another_encoding_is_refused_and_left_empty(cluster: Cluster) -> None:
    cluster.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    database = Database(cluster.url("latin"))
    try:
        with pytest.raises(Unavailable) as told:
            migrate.upgrade(database)
        assert told.value.code == "wrong_encoding"
        assert "LATIN1" in (told.value.texts().why or "")
        with database.engine.connect() as connection:
            assert sa.inspect(connection).get_table_names() == []
    finally:
        database.close()
        cluster.execute("DROP DATABASE latin WITH (FORCE)")


def test_seeds_are_noted_by_the_upgrade_and_odd_old_tasks_do_not_stop_it(ctx: Contexts) -> None:
    asked = ctx()
    asked.session.add(Datacenter(id="dc_1", name="dc", name_key="dc", created_at=asked.now))
    asked.session.flush()
    where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
    state = {"mode": "managed", "connection": "connected", "created_at": asked.now}
    asked.session.add(Host(id="host_1", datacenter_id="dc_1", name="a", name_key="a", **where, **state))
    asked.session.flush()
    whole = {"target": "sda", "new": {"pool": "p", "name": "web-seed.iso"}}
    params: dict[str, Any] = {
        "whole": {"seed": {"user": "bob"}, "blueprint": {"disks": [{"target": "vda", "new": None}, whole]}},
        "without": {"seed": None, "blueprint": {"disks": [whole]}},
        "no-disks": {"seed": {"user": "bob"}, "blueprint": {"disks": []}},
        "older": {"seed": {"user": "bob"}, "blueprint": {}},
        "oldest": {},
        "no-new": {"seed": {"user": "bob"}, "blueprint": {"disks": [{"target": "sda"}]}},
        "odd": {"seed": {"user": "bob"}, "blueprint": {"disks": [{"new": {"pool": 1, "name": None}}]}},
    }
    for name, each in params.items():
        facts = {"uuid": name, "name": name, "name_key": name, "state": "shutoff", "created_at": asked.now}
        asked.session.add(Vm(id=f"vm_{name}", host_id="host_1", persistent=True, autostart=False, **facts))
        made = {"kind": "vm.create", "title": "Create", "state": "succeeded", "actor_name": "ada"}
        made |= {"target_id": f"vm_{name}", "host_id": "host_1", "created_at": asked.now, "params": each}
        asked.session.add(Task(id=f"task_{name}", **made))
    asked.session.flush()
    migration = migrate._scripts().get_revision("0008").module
    with Operations.context(MigrationContext.configure(asked.session.connection())):
        migration._note_seeds()
    noted = asked.session.scalars(sa.select(CloudInitSeed)).all()
    assert [(row.vm_id, row.pool_uuid, row.volume_name, row.target, row.keep) for row in noted] == [
        ("vm_whole", "p", "web-seed.iso", "sda", True)
    ]


def test_kept_tasks_get_the_new_names_of_their_kinds_and_back(ctx: Contexts) -> None:
    asked = ctx()
    before = {
        "image.import": "Import the image",
        "image.download": "Fetch the image",
        "pool.prove": "Find out who shares the storage pool",
    }
    for kind, title in before.items():
        facts = {"state": "succeeded", "actor_name": "ada", "created_at": asked.now, "params": {}}
        asked.session.add(Task(id=f"task_{kind}", kind=kind, title=title, **facts))
    asked.session.flush()
    migration = migrate._scripts().get_revision("0013").module

    def names() -> dict[str, tuple[str, str]]:
        rows = asked.session.execute(sa.select(Task.id, Task.kind, Task.title))
        return {task_id.removeprefix("task_"): (kind, title) for task_id, kind, title in rows}

    with Operations.context(MigrationContext.configure(asked.session.connection())):
        migration._rename(migration.RENAMED, migration.TITLES)
        assert names() == {
            "image.import": ("image.register", "Register the image"),
            "image.download": ("image.import", "Import the image"),
            "pool.prove": ("pool.verify-shared", "Find out who shares the storage pool"),
        }
        migration._rename(*migration.renamed_back())
    assert names() == {kind: (kind, title) for kind, title in before.items()}


OLD_STATES = {  # enabled, maintenance, state: connection and administrative state that they become
    (True, False, "connected"): ("connected", "enabled"),
    (True, False, "auth_failed"): ("auth_failed", "enabled"),
    (True, True, "maintenance"): ("connected", "maintenance"),
    (True, True, "not_answering"): ("not_answering", "maintenance"),
    (False, False, "disabled"): ("not_answering", "disabled"),
    (False, True, "disabled"): ("not_answering", "disabled"),
}


def test_kept_hosts_get_a_connection_and_an_administrative_state_and_back(ctx: Contexts) -> None:
    asked = ctx()
    asked.session.add(Datacenter(id="dc_1", name="dc", name_key="dc", created_at=asked.now))
    asked.session.flush()
    where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
    plain = {"datacenter_id": "dc_1", "mode": "managed", "connection": "connected", "created_at": asked.now}
    for number in range(len(OLD_STATES)):
        name = f"host_{number}"
        asked.session.add(Host(id=name, name=name, name_key=name, **where, **plain))
    asked.session.flush()
    facts = {"uuid": "u", "name": "web", "name_key": "web", "state": "running", "created_at": asked.now}
    asked.session.add(Vm(id="vm_1", host_id="host_0", persistent=True, autostart=False, **facts))
    asked.session.flush()
    connection = asked.session.connection()
    migration = migrate._scripts().get_revision("0014").module
    new = "SELECT connection, admin_state FROM host ORDER BY id"
    old = "SELECT enabled, maintenance, state FROM host ORDER BY id"
    with Operations.context(MigrationContext.configure(connection)):
        migration.downgrade()
        for number, (enabled, maintenance, state) in enumerate(OLD_STATES):
            values = {"enabled": enabled, "maintenance": maintenance, "state": state, "id": f"host_{number}"}
            columns = "enabled = :enabled, maintenance = :maintenance, state = :state, state_reason = 'Why'"
            connection.execute(sa.text(f"UPDATE host SET {columns} WHERE id = :id"), values)
        migration.upgrade()
        assert [tuple(row) for row in connection.execute(sa.text(new))] == list(OLD_STATES.values())
        reason = "SELECT connection_reason FROM host WHERE admin_state {} 'disabled'"
        assert set(connection.scalars(sa.text(reason.format("=")))) == {migration.DISABLED}
        assert set(connection.scalars(sa.text(reason.format("<>")))) == {"Why"}
        migration.downgrade()
        back = [(bool(row[0]), bool(row[1]), row[2]) for row in connection.execute(sa.text(old))]
        kept = [*list(OLD_STATES)[:-1], (False, False, "disabled")]
        assert back == kept, "a disabled host forgets that it was in maintenance"
        migration.upgrade()
    assert list(migrate.differences(connection)) == []
    assert connection.scalar(sa.text("SELECT host_id FROM vm")) == "host_0", "what refers to a host stays"
