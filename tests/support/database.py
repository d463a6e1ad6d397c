"""Fresh databases for tests, on SQLite and on PostgreSQL.

PostgreSQL is the server of `TEST_DATABASE_URL` (its role must be allowed to make databases), else one that this
session starts from Debian's binaries, shared by all of its workers; else the tests that need it are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from mercuri.store.database import Database
from mercuri.store.schema import TABLES

BACKENDS = ("sqlite", "postgresql")
_numbers = itertools.count(1)
#: Databases of this process on PostgreSQL, and those of them that no test has at present.
_made: list[str] = []
_unused: list[str] = []


@contextlib.contextmanager
def fresh_url(backend: str, directory: Path) -> Iterator[str]:
    """The URL of a database with today's tables, all empty. A test that changes the tables takes `empty_url`."""
    if backend == "sqlite":
        file = directory / f"mercuri{next(_numbers)}.db"
        shutil.copy(_sqlite_template(), file)
        yield f"sqlite:///{file}"
        return
    server = postgresql_server()
    name = _unused.pop() if _unused else _make_postgresql(server)
    try:
        yield _at(server, name)
    finally:
        _empty(server, name)
        _unused.append(name)


def _make_postgresql(server: str) -> str:
    name = f"mercuri_{os.getpid()}_{next(_numbers)}"
    _administer(server, f'CREATE DATABASE "{name}"')
    Database.open(_at(server, name)).close()
    _made.append(name)
    return name


def _empty(server: str, name: str) -> None:
    """Empty the tables, which takes a tenth of the time of a new database."""
    _administer(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    filled = " UNION ALL ".join(f'SELECT \'"{t.name}"\' WHERE EXISTS (SELECT 1 FROM "{t.name}")' for t in TABLES)
    with psycopg.connect(_plain(_at(server, name)), autocommit=True) as connection:
        tables = [row[0] for row in connection.execute(filled.encode())]
        if tables:
            connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY".encode())


@contextlib.contextmanager
def empty_url(backend: str, directory: Path) -> Iterator[str]:
    """The URL of a new database without any table."""
    if backend == "sqlite":
        yield f"sqlite:///{directory / f'empty{next(_numbers)}.db'}"
        return
    server, name = postgresql_server(), f"mercuri_{os.getpid()}_{next(_numbers)}"
    _administer(server, f'CREATE DATABASE "{name}"')
    try:
        yield _at(server, name)
    finally:
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def fresh_database(backend: str, directory: Path) -> Iterator[Database]:
    """An open, empty database with today's tables."""
    with fresh_url(backend, directory) as url, contextlib.closing(Database.open(url)) as database:
        yield database


def postgresql_server() -> str:
    """The URL of a server's maintenance database. Skips the test when there is no PostgreSQL."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not binaries:
        pytest.skip("PostgreSQL NOT TESTED: set TEST_DATABASE_URL, or install the postgresql package")
    return _own_server(binaries[-1])


@cache
def _own_server(binaries: Path) -> str:
    """Start the session's server, or find the one that another worker of the session started."""
    worker = "PYTEST_XDIST_WORKER" in os.environ
    session = os.getppid() if worker else os.getpid()
    note = Path(tempfile.gettempdir(), f"mercuri-tests-{os.getuid()}-{session}.postgresql")
    with Path(f"{note}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = note.read_text() if note.exists() else ""
        if not Path(directory, "data").is_dir():
            directory = tempfile.mkdtemp(prefix="mercuri-pg-")
            note.write_text(directory)
            script = Path(__file__).with_name("postgresql_server.py")
            server = [sys.executable, script, str(session), binaries, directory, note]
            # The shell leaves it behind, so that no worker has to wait for it.
            subprocess.run(["sh", "-c", 'exec "$@" </dev/null >/dev/null 2>&1 &', "sh", *server], check=True)
        url = f"postgresql+psycopg://postgres@/postgres?host={directory}"
        _wait_for(url)
    return url


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            _administer(url, "SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The PostgreSQL server of the tests does not start")


def _administer(url: str, statement: str) -> None:
    with psycopg.connect(_plain(url), autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement.encode())


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _at(server: str, name: str) -> str:
    return make_url(server).set(database=name, drivername="postgresql+psycopg").render_as_string(hide_password=False)


@cache
def _sqlite_template() -> Path:
    file = Path(tempfile.mkdtemp(prefix="mercuri-sqlite-"), "template.db")
    Database.open(f"sqlite:///{file}").close()
    return file


def remove_all() -> None:
    """Take away what this process made for all of its tests."""
    if _sqlite_template.cache_info().currsize:
        shutil.rmtree(_sqlite_template().parent, ignore_errors=True)
    if "TEST_DATABASE_URL" in os.environ:  # a server of ours goes as a whole
        for name in _made:
            _administer(postgresql_server(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


#: Makes one more fresh database of the same kind.
MakeDatabase = Callable[[], Database]
