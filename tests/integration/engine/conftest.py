"""Worlds for tests of the engine, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.world import World, a_world

from mercuri.store.database import Database


@pytest.fixture
def world(sqlite_database: Database) -> Iterator[World]:
    """A workspace and an empty sandbox, connected with two-way on."""
    with a_world(sqlite_database) as made:
        made.connect(two_way=True)
        yield made


@pytest.fixture
def both(database: Database) -> Iterator[World]:
    """The same, once on SQLite and once on PostgreSQL."""
    with a_world(database) as made:
        made.connect(two_way=True)
        yield made
