"""Databases: opening, transactions, migrations, refusals, backup; the same promises on both kinds."""

from __future__ import annotations

from mercuri.core.contact import WorkspaceId
from mercuri.store.database import HEAD, Database
from mercuri.store.migrations import run as migrations

W = WorkspaceId(1)


def test_the_program_knows_the_newest_migration() -> None:
    assert migrations.head() == HEAD


def test_a_fresh_database_has_no_problems(database: Database) -> None:
    assert database.problems() == []
