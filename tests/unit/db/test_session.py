"""Connections: what their errors tell, and what not."""

import pytest
import sqlalchemy as sa

from app.db.session import Database


def test_errors_name_no_values(database: Database) -> None:
    wrong = sa.text("UPDATE vm SET no_such_column = :notes")
    with pytest.raises(sa.exc.DBAPIError) as told, database.engine.begin() as connection:
        connection.execute(wrong, {"notes": "S3cret"})
    assert "S3cret" not in str(told.value)
