"""Open a database by URL and hand out transactions. SQLite and PostgreSQL differ here and in `search` only.

SQLite runs in WAL mode: readers never wait, and one writer at a time holds the file (BEGIN IMMEDIATE). PostgreSQL runs
READ COMMITTED. A refusal of the database that a person can mend becomes a `UserError`; a transaction that raised left
nothing behind.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, CursorResult, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.pool import PoolProxiedConnection

from mercuri.core.contact import WorkspaceId
from mercuri.errors import UserError
from mercuri.store import postgresql
from mercuri.store.inbox import Inbox
from mercuri.store.refusals import Busy as Busy
from mercuri.store.refusals import in_plain_words
from mercuri.store.statements import Rows, Statement

#: For look-ups over all workspaces: sessions, tokens, due runs.
ANY = WorkspaceId(0)
#: The newest migration. A test compares it with the migrations' own head.
HEAD = "0005"
#: How long a writer waits for another one, in seconds.
LOCK_WAIT = 30
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA busy_timeout = {LOCK_WAIT * 1000}",
    "PRAGMA cache_size = -16000",
    # 64 MB: a load touches the same pages of the indexes again and again, and each checkpoint writes them all
    "PRAGMA wal_autocheckpoint = 16384",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


#: A statement of SQL text; remembered with its compiled form.
_text = lru_cache(maxsize=256)(sa.text)


class Tx:
    """One transaction of one workspace, valid inside the `with` that made it, and in that thread."""

    def __init__(
        self, engine: Engine, pooled: PoolProxiedConnection, workspace: WorkspaceId, keyed_hash: Callable[[str], str]
    ) -> None:
        self._engine, self._pooled = engine, pooled
        self._driver: Any = pooled.driver_connection
        self.workspace = workspace
        self.is_sqlite = engine.dialect.name == "sqlite"
        #: The hash of a text under the installation's key: what is kept of an address once its person is erased.
        self.keyed_hash = keyed_hash
        #: What follows the commit, by name, in transactions of its own. It must not raise: the commit stands.
        self.afterwards: dict[str, Callable[[Database], None]] = {}

    @cached_property
    def conn(self) -> Connection:
        """SQLAlchemy's connection inside this transaction, for statements that are built as they are run."""
        conn = Connection(self._engine, self._pooled)
        conn.begin()
        return conn

    def execute(self, statement: sa.Executable | str, params: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement, or SQL text with `:name` parameters; a sequence of parameter sets runs it for each."""
        made = _text(statement) if isinstance(statement, str) else statement
        return self.conn.execute(made, params)

    def run(self, statement: Statement, **params: Any) -> Rows:
        """Run a statement that was made once, in this workspace (`:workspace`)."""
        return statement.run(self._driver, self._engine.dialect, {"workspace": self.workspace, **params})

    def run_each(self, statement: Statement, sets: Iterable[Mapping[str, Any]]) -> None:
        """Run a statement that was made once for each set of parameters, in this workspace (`:workspace`)."""
        given = [{"workspace": self.workspace, **params} for params in sets]
        if given:
            statement.run_each(self._driver, self._engine.dialect, given)

    def insert_many(self, table: sa.Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows of plain values the fastest way there is; booleans, text and whole numbers only."""
        if self.is_sqlite:
            self._insert(table, columns, rows)
        else:
            postgresql.copy_rows(self.conn, table, columns, rows)

    def merge_many(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], conflict: str
    ) -> None:
        """Insert rows of plain values; `conflict` is the clause that says what happens to those that are there."""
        if self.is_sqlite:
            self._insert(table, columns, rows, conflict)
        else:
            postgresql.insert_arrays(self.conn, table, columns, rows, conflict)

    def _insert(
        self, table: sa.Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]], conflict: str = ""
    ) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        self.raw().executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) {conflict}', rows)

    def reserve_ids(self, table: sa.Table, count: int) -> Sequence[int]:
        """Take `count` ids that no other row of the table has or will have, ascending.

        On SQLite, a table without AUTOINCREMENT gives the same ids again until they are inserted.
        """
        if count <= 0:
            return range(0)
        if not self.is_sqlite:
            return postgresql.reserve_ids(self.conn, table.name, count)
        if not table.dialect_options["sqlite"]["autoincrement"]:
            last = int(self.conn.exec_driver_sql(f'SELECT coalesce(max(id), 0) FROM "{table.name}"').scalar_one())
            return range(last + 1, last + 1 + count)
        moved = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ? RETURNING seq"
        row = self.conn.exec_driver_sql(moved, (count, table.name)).first()
        if row is None:
            self.conn.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, count))
            return range(1, count + 1)
        return range(row[0] + 1 - count, row[0] + 1)

    def raw(self) -> Any:
        """The driver's own cursor, inside this transaction, for statements whose speed matters."""
        return self._driver.cursor()


class Database:
    """One database, usable from several threads. Made by `open`, ended by `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: Where HubSpot's calls are kept until they are stored; None on PostgreSQL, where no writer waits for another.
        self.inbox = Inbox(Path(f"{engine.url.database}-inbox")) if self.is_sqlite else None
        self._writer = threading.Lock()
        self._keyed_hash: Callable[[str], str] = _no_key

    @classmethod
    def open(cls, url: str, *, upgrade: bool = True) -> Database:
        """Open the database, make it when it is a new SQLite file, and bring its tables up to date.

        Raises UserError when it cannot be reached, or was made by a newer version of the program.
        """
        database = cls(_engine(_parsed(url)))
        try:
            if upgrade:
                database.upgrade()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; otherwise it is PostgreSQL."""
        return self._engine.dialect.name == "sqlite"

    def use_key(self, keyed_hash: Callable[[str], str]) -> None:
        """Give transactions the installation's keyed hash (`Vault.keyed_hash`)."""
        self._keyed_hash = keyed_hash

    @contextmanager
    def write(self, workspace: WorkspaceId) -> Iterator[Tx]:
        """A transaction that may change rows: committed at the end of the block, undone when the block raises."""
        if not self.is_sqlite:
            with self._begin(workspace, write=True) as tx:
                yield tx
            return
        # Threads of one process queue here, fairly enough; SQLite's own wait between processes only polls.
        if not self._writer.acquire(timeout=LOCK_WAIT):
            raise Busy("The database is busy with another change. Nothing was changed; try again.")
        try:
            with self._begin(workspace, write=True) as tx:
                yield tx
        finally:
            self._writer.release()

    def read(self, workspace: WorkspaceId) -> AbstractContextManager[Tx]:
        """A transaction that only reads; on SQLite it sees one moment and waits for no writer."""
        return self._begin(workspace, write=False)

    @contextmanager
    def _begin(self, workspace: WorkspaceId, *, write: bool) -> Iterator[Tx]:
        try:
            pooled = self._engine.raw_connection()
            try:
                driver: Any = pooled.driver_connection
                if self.is_sqlite:
                    driver.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                else:  # its driver begins by itself; each statement sees its own moment, so reading needs no BEGIN
                    driver.autocommit = not write
                tx = Tx(self._engine, pooled, workspace, self._keyed_hash)
                yield tx
                pooled.commit()
            finally:
                pooled.close()  # the pool undoes what was not committed
        except NoConnectionLeft as error:
            raise Busy("Too many requests wait for the database. Nothing was changed; try again.") from error
        except DBAPIError as error:
            raise in_plain_words(error.orig, error) from error
        except (sqlite3.Error, *postgresql.ERRORS) as error:
            raise in_plain_words(error, error) from error
        for act in tx.afterwards.values():
            act(self)

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Held by one thread of one process at a time for each `what`, outside of any transaction.

        It ends with its process, however that ends. Raises Busy on PostgreSQL when another holds it for LOCK_WAIT
        seconds; beside a SQLite file it waits as long as it takes. Raises UserError where no file can be made there.
        """
        with self._alone_by_file(what) if self.is_sqlite else self._alone_by_server(what):
            yield

    @contextmanager
    def _alone_by_file(self, what: str) -> Iterator[None]:
        file = Path(f"{self._engine.url.database}-{what}.lock")
        try:
            lock = file.open("w")
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}. Nothing was changed.") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _alone_by_server(self, what: str) -> Iterator[None]:
        with self._engine.connect() as conn:
            conn.execution_options(isolation_level="AUTOCOMMIT")
            try:
                postgresql.lock_for(conn, what)
            except DBAPIError as error:
                raise in_plain_words(error.orig, error) from error
            try:
                yield
            finally:
                with suppress(DBAPIError):  # a connection that is gone has taken the lock with it
                    postgresql.unlock_for(conn, what)

    def upgrade(self) -> None:
        """Bring the tables to today's form; several processes may try at once. Raises UserError for newer tables."""
        if self._version() == HEAD:
            return
        from mercuri.store.migrations import run  # alembic is slow to import and seldom needed

        with self.write(ANY) as tx:
            if not tx.is_sqlite:
                postgresql.lock_for_upgrade(tx.conn)
            run.upgrade(tx.conn)

    def _version(self) -> str | None:
        with self.read(ANY) as tx:
            if not sa.inspect(tx.conn).has_table("alembic_version"):
                return None
            version: str | None = tx.execute("SELECT version_num FROM alembic_version").scalar()
            return version

    def problems(self) -> list[str]:
        """What a check of the database finds, in plain words; empty when all is well."""
        from mercuri.store import check

        version = self._version()
        if version != HEAD:
            return [
                f"The tables are at version {version or 'none'}, this program needs {HEAD}: run `mercuri db upgrade`."
            ]
        with self.read(ANY) as tx:
            return check.problems(tx)

    def backup(self, file: Path) -> None:
        """Copy a SQLite database to a new file while it is in use. Raises UserError on PostgreSQL."""
        if not self.is_sqlite:
            raise UserError("This database is PostgreSQL: back it up with pg_dump. Nothing was written.")
        if file.exists():
            raise UserError(f"{file} exists already. Nothing was written; choose another name.")
        with self._engine.connect() as conn:
            source = conn.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            _copy(source, file)

    def close(self) -> None:
        """Close every connection that is not in use."""
        if self.inbox is not None:
            self.inbox.close()
        self._engine.dispose()


def _no_key(text: str) -> str:
    raise AssertionError("the database was opened without the installation's key")


def _copy(source: sqlite3.Connection, file: Path) -> None:
    try:
        file.touch(0o600)
    except OSError as error:
        raise _unwritten(file, error.strerror) from error
    try:
        target = sqlite3.connect(file)
        try:
            source.backup(target)
        finally:
            target.close()
    except sqlite3.Error as error:
        file.unlink()
        raise _unwritten(file, error) from error


def _unwritten(file: Path, why: object) -> UserError:
    return UserError(f"The backup could not be written to {file}: {why}. The database is untouched.")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserError("MERCURI_DATABASE_URL is not a database URL. Example: sqlite:////srv/mercuri.db") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise UserError(f"Mercuri runs on sqlite or postgresql+psycopg, not {parsed.drivername}.")
    return parsed


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url)
        return postgresql.engine(url)
    except (NoSuchModuleError, ImportError) as error:
        raise UserError(f"The driver of {url.drivername} is not installed.") from error


def _sqlite_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise UserError("SQLite needs a file: sqlite:////srv/mercuri.db")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(0o600)
    except OSError as error:
        raise UserError(f"The database file {path} cannot be made: {error.strerror}.") from error
    engine = sa.create_engine(
        url,
        poolclass=sa.pool.QueuePool,
        pool_size=8,
        max_overflow=24,
        connect_args={"check_same_thread": False, "cached_statements": 256},
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # we begin ourselves: the driver's own begin comes late and is never IMMEDIATE
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)
