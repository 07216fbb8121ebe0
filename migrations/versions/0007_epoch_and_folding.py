"""Which database this is, and how far its tasks are; text compared on PostgreSQL as Python folds it."""

import sys
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of the epoch, whose row is written by the first start, and the function of the search."""
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epoch")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.get_bind().exec_driver_sql(_fold_function())


def _fold_function() -> str:
    """The same as app.core.folding.fold, in SQL: lower() depends on the locale and knows no one-to-many foldings."""
    single: dict[str, str] = {}
    folded = "normalize($1, NFKC)"
    for number in range(128, sys.maxunicode + 1):
        one = chr(number)
        other = one.casefold()
        if other == one or unicodedata.normalize("NFKC", one) != one:
            continue  # the others do not occur once the text is composed
        if len(other) == 1:
            single[one] = other
        else:
            folded = f"replace({folded}, '{one}', '{other}')"
    capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    from_, to = capitals + "".join(single), capitals.lower() + "".join(single.values())
    return (
        "CREATE FUNCTION vigie_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE "
        f"AS $fold$ SELECT normalize(translate({folded}, '{from_}', '{to}'), NFKC) $fold$"
    )
