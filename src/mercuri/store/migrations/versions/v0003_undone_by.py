"""Who takes a bulk merge back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is missing."""
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("merge_batch")}
    if "undone_by" not in known:
        op.add_column("merge_batch", Column("undone_by", Text, nullable=False, server_default=""))
