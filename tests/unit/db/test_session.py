"""Connections: what their errors tell, and what not."""

import traceback

import pytest
import sqlalchemy as sa

from app.db.session import Database


@pytest.mark.parametrize(
    "wrong", ["UPDATE vm SET no_such_column = :notes", "INSERT INTO vm (id, notes) VALUES ('vm_1', :notes)"]
)
def test_errors_name_no_values(database: Database, wrong: str) -> None:
    secret = "S3" + "cret"  # a traceback shows lines of the source as well
    with pytest.raises(sa.exc.DBAPIError) as reported, database.engine.begin() as connection:
        connection.execute(sa.text(wrong), {"notes": secret})
    assert secret not in "".join(traceback.format_exception(reported.value))
