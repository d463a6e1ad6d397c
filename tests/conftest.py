"""Fixtures that every test may use. Databases come fresh, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from tests.support import database as support

from mercuri.store.database import Database

# How long an example takes says more about the machine than about the code.
settings.register_profile("mercuri", deadline=None)
settings.load_profile("mercuri")


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Where a command of a test sent the log, no later test writes."""
    yield
    structlog.reset_defaults()


@pytest.fixture(params=support.BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database of this test: sqlite, then postgresql."""
    return str(request.param)


@pytest.fixture
def database(backend: str, tmp_path: Path) -> Iterator[Database]:
    """An open, empty database; the test runs once on each kind."""
    with support.fresh_database(backend, tmp_path) as opened:
        yield opened


@pytest.fixture
def database_url(backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database with today's tables; the test runs once on each kind."""
    with support.fresh_url(backend, tmp_path) as url:
        yield url


@pytest.fixture
def databases(backend: str, tmp_path: Path) -> Iterator[support.MakeDatabase]:
    """Makes as many fresh databases as a test asks for, all of one kind; the test runs once on each kind."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(support.fresh_database(backend, tmp_path))


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """An open, empty SQLite database, for tests that are not about databases."""
    with support.fresh_database("sqlite", tmp_path) as opened:
        yield opened


@pytest.fixture
def postgresql_database(tmp_path: Path) -> Iterator[Database]:
    """An open, empty PostgreSQL database, for what only PostgreSQL does."""
    with support.fresh_database("postgresql", tmp_path) as opened:
        yield opened


def pytest_sessionfinish() -> None:
    """Leave nothing behind."""
    support.remove_all()
