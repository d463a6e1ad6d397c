"""What only PostgreSQL has: COPY, sequences, advisory locks, and its own idea of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.adapt import Dumper
from psycopg.types.string import StrDumperUnknown
from sqlalchemy.engine import URL, Connection, Engine

from mercuri.core.normalise import clean_text

#: What its driver raises beside SQLAlchemy, in COPY.
ERRORS = (psycopg.Error,)
#: OFFSET keeps the name of the sequence from being looked up for each id.
_TAKE_IDS = sa.text(
    "SELECT nextval(ids) FROM (SELECT CAST(pg_get_serial_sequence(:table, 'id') AS regclass) AS ids OFFSET 0) AS one,"
    " generate_series(1, :count)"
)
_UPGRADE_LOCK = 4_242_001
#: How COPY writes what is no value, and what would end one.
_NULL = "\\N"
_ESCAPED = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
#: Every query here wants a page of rows soon: indexes on fast disks, no workers and no compiler for one query.
_SETTINGS = (
    "TIME ZONE 'UTC'",
    "lock_timeout = '30s'",
    "random_page_cost = 1.1",
    "max_parallel_workers_per_gather = 0",
    "jit = off",
)


class _CleanText(StrDumperUnknown):
    """Text without NUL and lone surrogates: PostgreSQL refuses both, and one value must not stop a page."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj if obj.isascii() and "\0" not in obj else clean_text(obj))


class _Array(Dumper):
    """A list of plain values as the text of an array: the driver's own way costs several times as much.

    Its type follows from what it is compared with, or from a cast.
    """

    def dump(self, obj: list[Any]) -> bytes:
        """The text of the array."""
        text = "{" + ",".join(map(_element, obj)) + "}"
        return (text if text.isascii() and "\0" not in text else clean_text(text)).encode()


def _element(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else str(value)


def engine(url: URL) -> Engine:
    """An engine whose connections are checked before use, since a server restarts behind our back."""
    made = sa.create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True, isolation_level="READ COMMITTED")
    sa.event.listen(made, "connect", _prepare)
    return made


def _prepare(connection: psycopg.Connection[Any], record: object) -> None:
    connection.adapters.register_dumper(str, _CleanText)
    connection.adapters.register_dumper(list, _Array)
    with connection.cursor() as cursor:
        for setting in _SETTINGS:
            cursor.execute(f"SET {setting}")
    connection.commit()


def copy_rows(conn: Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows by COPY, inside the present transaction."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    names = psycopg.sql.SQL(", ").join(psycopg.sql.Identifier(name) for name in columns)
    statement = psycopg.sql.SQL("COPY {} ({}) FROM STDIN").format(psycopg.sql.Identifier(table.name), names)
    by_column = list(zip(*rows, strict=True))
    if not by_column:
        return
    made = [_copied(table.c[name], values) for name, values in zip(columns, by_column, strict=True)]
    lines = "".join(["\t".join(row) + "\n" for row in zip(*made, strict=True)])
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(lines.encode())


def _copied(column: sa.Column[Any], values: Sequence[Any]) -> list[str]:
    """A column's values in COPY's text format: all at once, since a value at a time costs a load five times as much."""
    if isinstance(column.type, sa.Text):
        return _copied_texts(values)
    if isinstance(column.type, sa.Boolean):
        return ["t" if value else "f" for value in values]
    return [_NULL if value is None else str(value) for value in values]


def _copied_texts(values: Sequence[str | None]) -> list[str]:
    whole = "\0".join(["" if value is None else value for value in values])
    if whole.count("\0") != len(values) - 1 or not whole.isascii():
        whole = "\0".join([clean_text(value or "") for value in values])
    for plain, escaped in _ESCAPED:
        whole = whole.replace(plain, escaped)
    texts = whole.split("\0")
    return [_NULL if value is None else text for value, text in zip(values, texts, strict=True)]


def insert_arrays(
    conn: Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], conflict: str
) -> None:
    """Insert rows in one statement with a conflict clause, which COPY does not have: each column is an array."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = ", ".join(f"%s::{_bare(table.c[name], conn)}[]" for name in columns)
    statement = f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({arrays}) {conflict}'
    driver.execute(statement.encode(), [list(values) for values in zip(*rows, strict=True)])


def _bare(column: sa.Column[Any], conn: Connection) -> str:
    """A column's type, without the order of its texts, which an array's type cannot have."""
    return "TEXT" if isinstance(column.type, sa.Text) else column.type.compile(conn.dialect)


def reserve_ids(conn: Connection, table: str, count: int) -> list[int]:
    """Ids from the table's sequence; not always contiguous, since others take from it too."""
    return sorted(conn.execute(_TAKE_IDS, {"table": table, "count": count}).scalars())


def lock_for_upgrade(conn: Connection) -> None:
    """Let one process at a time change the tables; held until the transaction ends."""
    conn.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})


def lock_for(conn: Connection, what: str) -> None:
    """Wait until no other connection has locked `what`; held until `unlock_for`, or the end of this connection."""
    conn.execute(sa.text("SELECT pg_advisory_lock(hashtextextended(:what, 0))"), {"what": what})


def unlock_for(conn: Connection, what: str) -> None:
    """Let the next one lock `what`."""
    conn.execute(sa.text("SELECT pg_advisory_unlock(hashtextextended(:what, 0))"), {"what": what})
