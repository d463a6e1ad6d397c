"""Text on PostgreSQL in the order of code points, whatever the language of the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mercuri.store.schema import TABLES

revision = "0005"
down_revision = "0004"

_ELSE = sa.text(
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
)


def upgrade() -> None:
    """Give each column the order; no row is written anew, only the indexes of the columns that change."""
    conn = op.get_bind()
    if conn.dialect.name != "postgresql":
        return
    found: dict[str, list[str]] = {}
    for table, column in conn.execute(_ELSE):
        found.setdefault(table, []).append(column)
    for table in sorted(found.keys() & {table.name for table in TABLES}):
        changes = ", ".join(f'ALTER COLUMN "{column}" TYPE text COLLATE "C"' for column in sorted(found[table]))
        op.execute(f'ALTER TABLE "{table}" {changes}')
