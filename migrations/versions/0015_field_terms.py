"""Tables, columns and kept rows get the terms of the field: nwfilters, presets, deleted VMs, capabilities."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ROWS = 500
TABLES = {
    "offers": "host_capabilities",
    "traffic_filter": "nwfilter",
    "vm_screen": "vm_screenshot",
    "removed_vm": "deleted_vm",
    "saved_spec": "vm_preset",
    "cloud_init_seed": "cloud_init_drive",
}
# By the new name of the table.
COLUMNS = {
    "host_capabilities": {"offers": "capabilities"},
    "deleted_vm": {"removed_at": "deleted_at", "removed_by": "deleted_by"},
    "vm": {"dangers": "host_access", "seen_at": "missing_since"},
    "pool": {"proven_at": "verified_at"},
    "task": {"made": "created_resources"},
}
KINDS = {"filter": "nwfilter", "spec": "preset"}
# Kinds of tasks.
OPERATIONS = {
    "filter.create": "nwfilter.create",
    "filter.change": "nwfilter.change",
    "filter.delete": "nwfilter.delete",
    "vm.remove-seed": "vm.delete-cloud-init-drive",
}
EVENTS = {
    "filter.appeared": "nwfilter.appeared",
    "filter.changed": "nwfilter.changed",
    "filter.vanished": "nwfilter.vanished",
    "vm.forgotten": "vm.removed-from-inventory",
    "pool.folder_missing": "pool.directory_missing",
    "pool.folder_missing_ended": "pool.directory_missing_ended",
}
# Message ids of kept tasks and events.
MESSAGES = {
    "Change the traffic filter": "Change the network filter",
    "Create the traffic filter": "Create the network filter",
    "Delete the traffic filter": "Delete the network filter",
    "The traffic filter is changed.": "The network filter is changed.",
    "The traffic filter is deleted.": "The network filter is deleted.",
    "The traffic filter is made.": "The network filter is created.",
    "Traffic filter %(name)s on host %(host)s was changed.": "Network filter %(name)s on host %(host)s was changed.",
    "Remove the cloud-init seed": "Delete the cloud-init drive",
    "The cloud-init seed was removed.": "The cloud-init drive was deleted.",
    "The VM was taken off the list.": "The VM was removed from the inventory.",
    "The VM is being brought back.": "The VM is being undeleted.",
    "The storage pool was read anew.": "The storage pool was refreshed.",
}
CONDITIONS = {"folder_missing": "directory_missing"}
# What the audit calls what was done, and refused.
ACTIONS = {
    **OPERATIONS,
    "host.check": "host.probe",
    "host.confirm": "host.trust",
    "image.forget": "image.remove",
    "network.restore_version": "network.restore-version",
    "pool.restore_version": "pool.restore-version",
    "spec.delete": "preset.delete",
    "spec.save": "preset.save",
    "spec.update": "preset.update",
    "upload.give_up": "upload.cancel",
    "vm.act_many": "vm.act-many",
    "vm.add_device": "vm.add-host-device",
    "vm.add_disk": "vm.add-disk",
    "vm.add_folder": "vm.add-filesystem",
    "vm.add_nic": "vm.add-nic",
    "vm.change_disk": "vm.change-disk",
    "vm.change_machine": "vm.change-compute",
    "vm.change_nic": "vm.change-nic",
    "vm.change_tuning": "vm.change-resources",
    "vm.create_many": "vm.create-many",
    "vm.forget": "vm.remove-from-inventory",
    "vm.medium": "vm.change-media",
    "vm.preview_definition": "vm.preview-definition",
    "vm.remove_device": "vm.remove-device",
    "vm.remove_disk": "vm.remove-disk",
    "vm.remove_folder": "vm.remove-filesystem",
    "vm.remove_nic": "vm.remove-nic",
    "vm.restore_version": "vm.restore-version",
    "vm.revert": "vm.discard-changes",
    "vm.tune_nic": "vm.change-nic-resources",
}
# Codes of errors.
ERRORS = {"seed_in_use": "cloud_init_drive_in_use", "volume_is_seed": "volume_is_cloud_init_drive"}
# In names of locks that queued tasks hold.
LOCKS = {"/pool.prove": "/pool.verify-shared", "/seed/": "/cloud-init/"}
# Names of fields, and values of fields, in what is kept as JSON.
CHECK_FIELDS = {"mend": "remedy"}
SPEC_FIELDS = {"keep_seed": "keep_drive"}
PARAMETER_FIELDS = {
    "vm.create": {"blueprint": "config", "seed": "cloud_init_drive", **SPEC_FIELDS},
    "vm.reconfigure": {"machine": "compute", "tuning": "resources", "folder": "filesystem"},
}
CHANGES = {
    "machine": "compute",
    "tuning": "resources",
    "add_folder": "add_filesystem",
    "remove_folder": "remove_filesystem",
    "medium": "media",
}


def upgrade() -> None:
    """Rename; what queued tasks, kept specifications and reports say is rewritten."""
    for old, new in TABLES.items():
        _rename_table(old, new)
    for table, columns in COLUMNS.items():
        _rename_columns(table, columns)
    _rename_index("task", "ix_task_made", "ix_task_created_resources")
    _rewrite(lambda names: names)


def downgrade() -> None:
    """Give the old names back."""
    _rewrite(_turned)
    _rename_index("task", "ix_task_created_resources", "ix_task_made")
    for table, columns in COLUMNS.items():
        _rename_columns(table, _turned(columns))
    for old, new in TABLES.items():
        _rename_table(new, old)


def _turned(names: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}


# -- tables -------------------------------------------------------------------------------------------------


def _rename_table(old: str, new: str) -> None:
    """A table, and what is named after it: its indexes and constraints."""
    connection = op.get_bind()
    indexes = sa.inspect(connection).get_indexes(old)
    uniques = sa.inspect(connection).get_unique_constraints(old)
    constraints = _constraints(old)
    op.rename_table(old, new)
    for name in constraints:
        if (named := _named_after(name, old, new)) != name:
            op.execute(f'ALTER TABLE "{new}" RENAME CONSTRAINT "{name}" TO "{named}"')
    if connection.dialect.name == "sqlite" and uniques:
        with op.batch_alter_table(new) as table:
            for unique in uniques:
                name = str(unique["name"])
                table.drop_constraint(name, "unique")
                table.create_unique_constraint(_named_after(name, old, new), list(unique["column_names"]))
    for index in indexes:
        name = str(index["name"])
        if not index.get("duplicates_constraint") and (named := _named_after(name, old, new)) != name:
            op.drop_index(name, new)
            op.create_index(named, new, [str(each) for each in index["column_names"]], unique=index["unique"])


def _constraints(table: str) -> list[str]:
    """Names of its constraints on PostgreSQL. SQLite shows those of unique ones alone, and cannot rename them."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return []
    query = sa.text(
        "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND contype <> 'n'"
    )
    return list(connection.scalars(query, {"table": table}))


def _named_after(name: str, old: str, new: str) -> str:
    for prefix in ("ix", "uq", "ck", "fk", "pk"):
        start = f"{prefix}_{old}"
        if name == start or name.startswith(f"{start}_"):
            return f"{prefix}_{new}{name.removeprefix(start)}"
    return name


def _rename_columns(table: str, columns: Mapping[str, str]) -> None:
    """By SQL's own statement, which both databases have: the rest of the table stays as it is."""
    for old, new in columns.items():
        op.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{old}" TO "{new}"')
        _rename_index(table, f"ix_{table}_{old}", f"ix_{table}_{new}")


def _rename_index(table: str, old: str, new: str) -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute(f'ALTER INDEX IF EXISTS "{old}" RENAME TO "{new}"')
        return
    query = sa.text(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND name = :name"
    )
    statement = connection.scalar(query, {"table": table, "name": old})
    if statement is not None:
        op.drop_index(old, table)
        op.execute(statement.replace(old, new, 1))


# -- rows ---------------------------------------------------------------------------------------------------


def _rewrite(way: Any) -> None:
    """Rename in rows; `way` turns each table of names round or leaves it."""
    for table, column, names in (
        ("task", "kind", OPERATIONS),
        ("task", "target_kind", KINDS),
        ("task", "title", MESSAGES),
        ("task", "message", MESSAGES),
        ("event", "message", MESSAGES),
        ("audit", "action", ACTIONS),
        ("audit", "object_kind", KINDS),
        ("audit", "code", ERRORS),
        ("event", "kind", EVENTS),
        ("event", "object_kind", KINDS),
        ("history", "object_kind", KINDS),
        ("condition", "code", CONDITIONS),
        ("condition", "object_kind", KINDS),
    ):
        _rename_values(table, column, way(names))
    lock = sa.table("task_lock", sa.column("name"))
    for old, new in way(LOCKS).items():
        # Names of directories are locks, too; these have an object's id on each side, or at their beginning.
        named = lock.c.name.regexp_match(f"^(host|pool)_[a-z0-9]+{old}(vm_[a-z0-9]+)?$")
        op.execute(sa.update(lock).where(named).values(name=sa.func.replace(lock.c.name, old, new)))
    specs, presets = way(SPEC_FIELDS), "vm_preset"
    _change_json(presets, "spec", lambda value, _row: _renamed(value, specs))
    checks = way(CHECK_FIELDS)
    _change_json("host", "checks", lambda value, _row: _renamed(value, checks))
    kinds = way(KINDS)
    _change_json("task", "created_resources", lambda value, _row: _with_values(value, "kind", kinds))
    errors = way(ERRORS)
    _change_json("task", "error", lambda value, _row: _with_values(value, "code", errors))
    changes, fields = way(CHANGES), {kind: way(names) for kind, names in PARAMETER_FIELDS.items()}
    _change_json(
        "task",
        "params",
        lambda value, row: _with_values(_renamed(value, fields[row.kind]), "do", changes),
        kinds=tuple(PARAMETER_FIELDS),
    )


def _rename_values(table: str, column: str, names: Mapping[str, str]) -> None:
    named = sa.table(table, sa.column(column))
    whole = sa.case(*((named.c[column] == old, new) for old, new in names.items()))
    op.execute(sa.update(named).where(named.c[column].in_(list(names))).values({column: whole}))


def _change_json(table: str, column: str, change: Any, kinds: tuple[str, ...] = ()) -> None:
    """Change the JSON of the rows of a table, so many at a time; with `kinds` only those of these kinds."""
    connection = op.get_bind()
    names = ("id", "kind") if kinds else ("id",)
    rows = sa.table(table, *map(sa.column, names), sa.column(column, sa.JSON(none_as_null=True)))
    query = sa.select(rows.c.id).where(rows.c[column].is_not(None))
    if kinds:
        query = query.where(rows.c.kind.in_(kinds))
    ids = list(connection.scalars(query))
    for start in range(0, len(ids), ROWS):
        for row in connection.execute(sa.select(rows).where(rows.c.id.in_(ids[start : start + ROWS]))).all():
            before = getattr(row, column)
            after = change(before, row)
            if after != before:
                connection.execute(rows.update().where(rows.c.id == row.id).values({column: after}))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """JSON with other names of fields, at any depth."""
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(each, names) for name, each in value.items()}
    return [_renamed(each, names) for each in value] if isinstance(value, list) else value


def _with_values(value: Any, field: str, values: Mapping[str, str]) -> Any:
    """JSON in which one field, at any depth, has other values."""
    if isinstance(value, dict):
        return {
            name: values.get(each, each)
            if name == field and isinstance(each, str)
            else _with_values(each, field, values)
            for name, each in value.items()
        }
    return [_with_values(each, field, values) for each in value] if isinstance(value, list) else value
