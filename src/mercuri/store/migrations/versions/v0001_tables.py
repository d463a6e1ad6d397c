"""The first tables."""

from __future__ import annotations

from alembic import op

from mercuri.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, with the objects of the search."""
    metadata.create_all(op.get_bind())
