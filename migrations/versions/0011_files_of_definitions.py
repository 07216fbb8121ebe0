"""Every file that a VM's definition names is kept beside it, not its disks alone."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROWS = 500


def upgrade() -> None:
    """Note the disks as files, which is all that is known here; the next reading of each host fills in the rest."""
    _change(_with_files)
    connection = op.get_bind()
    definition = _definition()
    # Another digest than that of any text: the definition is read as one that is new.
    connection.execute(definition.update().values(digest=""))
    saved = definition.update().where(definition.c.saved_digest.is_not(None))
    connection.execute(saved.values(saved_digest=""))


def downgrade() -> None:
    """Forget the files."""
    _change(_without_files)


def _definition() -> Any:
    return sa.table(
        "vm_definition",
        *map(sa.column, ("vm_id", "digest", "saved_digest")),
        sa.column("parsed", sa.JSON),
        sa.column("saved_parsed", sa.JSON),
    )


def _change(change: Any) -> None:
    connection = op.get_bind()
    definition = _definition()
    ids = list(connection.scalars(sa.select(definition.c.vm_id)))
    for start in range(0, len(ids), ROWS):
        query = sa.select(definition.c.vm_id, definition.c.parsed, definition.c.saved_parsed)
        for row in connection.execute(query.where(definition.c.vm_id.in_(ids[start : start + ROWS]))).all():
            values = {"parsed": change(row.parsed)}
            if row.saved_parsed is not None:
                values["saved_parsed"] = change(row.saved_parsed)
            connection.execute(definition.update().where(definition.c.vm_id == row.vm_id).values(**values))


def _with_files(parsed: dict[str, Any]) -> dict[str, Any]:
    files = [
        {
            "source": disk["source"],
            "writes": disk["device"] != "cdrom" and not disk["readonly"],
            "shared": False,
        }
        for disk in parsed["disks"]
        if disk["source"]
    ]
    return parsed | {"files": files}


def _without_files(parsed: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parsed.items() if key != "files"}
