"""What the groups of duplicates are to be looked at for: a row for each transaction, not one for each contact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mercuri.store import schema

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Carry over what was noted and not looked at yet."""
    conn = op.get_bind()
    schema.groups_due.create(conn, checkfirst=True)
    if "dirty_contact" in sa.inspect(conn).get_table_names():
        carry = "SELECT workspace_id, '[[' || contact_id || ', ' || keys || ']]' FROM dirty_contact"
        op.execute(f"INSERT INTO groups_due (workspace_id, moved) {carry}")
        op.drop_table("dirty_contact")
