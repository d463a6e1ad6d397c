"""Alembic's entry: steps run on the connection, and in the transaction, that `run.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from mercuri.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
