"""Migrations make exactly the schema of the models, on both databases."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

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
    with pytest.raises(Unavailable) as reported:
        migrate.check(database)
    assert reported.value.code == "schema_outdated"
    assert "vigie db upgrade" in (reported.value.texts().hint or "")
    assert "remove_column" in (reported.value.texts().why or "") or "add_column" in (
        reported.value.texts().why or ""
    )


def test_check_refuses_an_empty_database(tmp_path) -> None:
    with pytest.raises(Unavailable, match="does not fit"):
        migrate.check(Database(f"sqlite:///{tmp_path / 'new.db'}"))


@pytest.mark.parametrize("requested", [migrate.upgrade, migrate.check])
def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database, requested) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable) as reported:
        requested(database)
    assert reported.value.code == "schema_newer"
    assert "9999" in (reported.value.texts().why or "")
    with database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_database_in_another_encoding_is_refused_and_left_empty(cluster: Cluster) -> None:
    cluster.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    database = Database(cluster.url("latin"))
    try:
        with pytest.raises(Unavailable) as reported:
            migrate.upgrade(database)
        assert reported.value.code == "wrong_encoding"
        assert "LATIN1" in (reported.value.texts().why or "")
        with database.engine.connect() as connection:
            assert sa.inspect(connection).get_table_names() == []
    finally:
        database.close()
        cluster.execute("DROP DATABASE latin WITH (FORCE)")


class Older:
    """A database at the schema of an earlier revision, with rows of that time."""

    def __init__(self, database: Database, revision: str) -> None:
        self._database = database
        with database.engine.begin() as connection:
            if database.is_sqlite:
                metadata = sa.MetaData()
                metadata.reflect(connection)
                metadata.drop_all(connection)
            else:
                connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with database.engine.begin() as connection:
            migrate._run(migrate._scripts(), connection, revision)
        self.now = datetime(2026, 11, 29, tzinfo=UTC)
        self.insert("datacenter", {"id": "dc_1", "name": "dc", "name_key": "dc", "version": 1})
        where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
        self.insert("host", {"id": "host_1", "datacenter_id": "dc_1", "name": "a", "name_key": "a", **where})

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        """Add rows; columns that must have a value and are not given get a plain one."""
        with self._database.engine.begin() as connection:
            described = sa.Table(table, sa.MetaData(), autoload_with=connection)
            for row in rows:
                connection.execute(described.insert().values({**self._plain(described), **row}))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds now."""
        with self._database.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def json(self, query: str) -> Any:
        """The JSON that a query finds."""
        (value,) = (row[0] for row in self.rows(query))
        return json.loads(value) if isinstance(value, str) else value

    def upgrade(self) -> None:
        """Run all later migrations."""
        migrate.upgrade(self._database)
        migrate.check(self._database)

    def downgrade(self, revision: str) -> None:
        """Take back the migrations after a revision."""
        scripts = migrate._scripts()
        with self._database.engine.begin() as connection:
            context = MigrationContext.configure(connection)
            with Operations.context(context):
                for step in scripts.iterate_revisions("head", revision):
                    step.module.downgrade()

    def _plain(self, table: sa.Table) -> dict[str, Any]:
        return {
            column.name: self._plain_value(column)
            for column in table.columns
            if not column.nullable and not column.server_default and not column.primary_key
        }

    def _plain_value(self, column: sa.Column[Any]) -> Any:
        kind = column.type
        if isinstance(kind, sa.JSON):
            return {}
        if isinstance(kind, sa.Boolean):
            return False
        if isinstance(kind, sa.DateTime):
            return self.now
        if isinstance(kind, sa.Integer | sa.Float | sa.Numeric):
            return 0
        return b"" if isinstance(kind, sa.LargeBinary) else "-"


def test_seeds_are_noted_by_the_upgrade_and_odd_old_tasks_do_not_stop_it(database: Database) -> None:
    older = Older(database, "0007")
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
    for name, value in params.items():
        older.insert("vm", {"id": f"vm_{name}", "host_id": "host_1", "uuid": name, "name": name})
        facts = {"kind": "vm.create", "state": "succeeded", "target_id": f"vm_{name}", "host_id": "host_1"}
        older.insert("task", {"id": f"task_{name}", "params": value, **facts})
    older.upgrade()
    noted = older.rows("SELECT vm_id, pool_uuid, volume_name, target, keep FROM cloud_init_drive")
    assert [(*row[:4], bool(row[4])) for row in noted] == [("vm_whole", "p", "web-seed.iso", "sda", True)]


def test_kept_tasks_get_the_new_names_of_their_kinds_and_back(database: Database) -> None:
    older = Older(database, "0012")
    before = [
        ("image.download", "Fetch the image"),
        ("image.import", "Import the image"),
        ("pool.prove", "Find out who shares the storage pool"),
    ]
    for kind, title in before:
        older.insert("task", {"id": f"task_{kind}", "kind": kind, "title": title, "state": "succeeded"})
    older.upgrade()
    names = "SELECT kind, title FROM task ORDER BY id"
    assert older.rows(names) == [
        ("image.import", "Import the image"),
        ("image.register", "Register the image"),
        ("pool.verify-shared", "Find out who shares the storage pool"),
    ]
    older.downgrade("0012")
    assert older.rows(names) == before


def test_what_is_kept_gets_the_terms_of_the_field_and_back(database: Database) -> None:
    older = Older(database, "0013")
    change = {
        "changes": [{"do": "machine", "machine": {"tpm": True}}, {"do": "add_folder", "folder": {"tag": "x"}}]
    }
    older.insert(
        "task",
        {"id": "task_1", "kind": "filter.create", "target_kind": "filter", "state": "queued"},
        {"id": "task_2", "kind": "vm.reconfigure", "target_kind": "vm", "state": "queued", "params": change},
        {
            "id": "task_3",
            "kind": "filter.create",
            "state": "failed",
            "title": "Create the traffic filter",
            "made": [{"kind": "filter", "uuid": "u"}],
            "error": {"code": "volume_is_seed", "title": "Held back"},
        },
    )
    older.insert(
        "audit",
        {"action": "vm.tune_nic"},
        {"action": "spec.save", "object_kind": "spec"},
        {"action": "vm.start"},
    )
    older.insert("event", {"kind": "filter.changed", "object_kind": "filter"}, {"kind": "vm.started"})
    older.insert("saved_spec", {"id": "spec_1", "name_key": "a", "spec": {"cloud_init": {"keep_seed": True}}})
    older.insert("vm", {"id": "vm_1", "host_id": "host_1", "uuid": "u", "name": "a", "dangers": ["kernel"]})
    older.insert("removed_vm", {"id": "vm_2", "host_id": "host_1", "uuid": "u", "removed_by": "ada"})
    older.upgrade()
    assert older.rows("SELECT kind, target_kind FROM task ORDER BY id")[0] == (
        "nwfilter.create",
        "nwfilter",
    )
    assert older.json("SELECT params FROM task WHERE id = 'task_2'") == {
        "changes": [
            {"do": "compute", "compute": {"tpm": True}},
            {"do": "add_filesystem", "filesystem": {"tag": "x"}},
        ]
    }
    assert older.json("SELECT created_resources FROM task WHERE id = 'task_3'") == [
        {"kind": "nwfilter", "uuid": "u"}
    ]
    assert older.rows("SELECT title FROM task WHERE id = 'task_3'") == [("Create the network filter",)]
    assert older.json("SELECT error FROM task WHERE id = 'task_3'") == {
        "code": "volume_is_cloud_init_drive",
        "title": "Held back",
    }
    actions = "SELECT action, object_kind FROM audit ORDER BY id"
    assert older.rows(actions) == [
        ("vm.change-nic-resources", None),
        ("preset.save", "preset"),
        ("vm.start", None),
    ]
    kinds = "SELECT kind, object_kind FROM event ORDER BY id"
    assert older.rows(kinds) == [("nwfilter.changed", "nwfilter"), ("vm.started", None)]
    assert older.json("SELECT spec FROM vm_preset") == {"cloud_init": {"keep_drive": True}}
    assert older.json("SELECT host_access FROM vm") == ["kernel"]
    assert older.rows("SELECT deleted_by FROM deleted_vm") == [("ada",)]
    older.downgrade("0013")
    assert older.rows(kinds) == [("filter.changed", "filter"), ("vm.started", None)]
    assert older.rows(actions)[:2] == [("vm.tune_nic", None), ("spec.save", "spec")]
    assert older.json("SELECT params FROM task WHERE id = 'task_2'") == change
    assert older.rows("SELECT removed_by FROM removed_vm") == [("ada",)]


OLD_STATES = {  # enabled, maintenance, state: connection and administrative state that they become
    (True, False, "connected"): ("connected", "enabled"),
    (True, False, "auth_failed"): ("auth_failed", "enabled"),
    (True, True, "maintenance"): ("connected", "maintenance"),
    (True, True, "not_answering"): ("not_answering", "maintenance"),
    (False, False, "disabled"): ("not_answering", "disabled"),
    (False, True, "disabled"): ("not_answering", "disabled"),
}


def test_kept_hosts_get_a_connection_and_an_administrative_state_and_back(database: Database) -> None:
    older = Older(database, "0013")
    for number, (enabled, maintenance, state) in enumerate(OLD_STATES, 2):
        name = f"host_{number}"
        flags = {"enabled": enabled, "maintenance": maintenance, "state": state, "state_reason": "Why"}
        older.insert("host", {"id": name, "datacenter_id": "dc_1", "name": name, "name_key": name, **flags})
    older.insert("vm", {"id": "vm_1", "host_id": "host_2", "uuid": "u", "name": "web"})
    older.upgrade()
    kept = "FROM host WHERE id <> 'host_1' ORDER BY id"
    assert older.rows(f"SELECT connection, admin_state {kept}") == list(OLD_STATES.values())
    reason = "SELECT DISTINCT connection_reason FROM host WHERE id <> 'host_1' AND admin_state {} 'disabled'"
    disabled = migrate._scripts().get_revision("0014").module.DISABLED
    assert older.rows(reason.format("=")) == [(disabled,)]
    assert older.rows(reason.format("<>")) == [("Why",)]
    assert older.rows("SELECT host_id FROM vm") == [("host_2",)], "what refers to a host stays"
    older.downgrade("0013")
    back = [
        (bool(row[0]), bool(row[1]), row[2])
        for row in older.rows(f"SELECT enabled, maintenance, state {kept}")
    ]
    assert back == [*list(OLD_STATES)[:-1], (False, False, "disabled")], (
        "it forgets that it was in maintenance"
    )


def test_a_queued_task_keeps_its_locks_and_reservations_at_the_upgrade(database: Database) -> None:
    older = Older(database, "0012")
    older.insert("task", {"id": "task_1", "kind": "vm.start", "state": "queued"})
    older.insert("task_lock", {"name": "vm/vm_1", "task_id": "task_1"})
    for name in ("pool_1/pool.prove", "host_1/seed/vm_1", "/srv/seed/volume/x"):
        older.insert("task_lock", {"name": name, "task_id": "task_1"})
    older.insert("reservation", {"task_id": "task_1", "host_id": "host_1", "memory_bytes": 1024})
    older.upgrade()
    kept = {"vm/vm_1", "pool_1/pool.verify-shared", "host_1/cloud-init/vm_1", "/srv/seed/volume/x"}
    assert set(older.rows("SELECT name, task_id FROM task_lock")) == {(name, "task_1") for name in kept}
    assert older.rows("SELECT host_id, memory_bytes FROM reservation") == [("host_1", 1024)]
