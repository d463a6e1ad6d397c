"""What HubSpot's calls brought, kept in a small file of its own until it is taken into the tables.

SQLite has one writer for the whole database, and a load keeps it busy for longer than HubSpot's calls may wait. So
beside a SQLite database lies a file that only they write.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mercuri.errors import UserError
from mercuri.store.jsons import dumps, loads
from mercuri.store.refusals import in_plain_words

_TABLE = "CREATE TABLE IF NOT EXISTS call (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"


class Inbox:
    """A queue of JSON documents, safe to share among threads and processes. The file is made when it is first used."""

    def __init__(self, file: Path) -> None:
        self._file, self._mutex = file, threading.Lock()
        self._open: sqlite3.Connection | None = None

    def put(self, body: dict[str, object]) -> None:
        """Keep a document; it outlives the process once this returns. Raises Busy or UserError when it cannot."""
        with self._connection() as connection:
            connection.execute("INSERT INTO call (body) VALUES (?)", (dumps(body),))

    def first(self, limit: int = 100) -> list[tuple[int, dict[str, object]]]:
        """The oldest documents, each with the number by which it is dropped."""
        if not self._file.exists():
            return []
        with self._connection() as connection:
            rows = connection.execute("SELECT id, body FROM call ORDER BY id LIMIT ?", (limit,)).fetchall()
        return [(number, loads(body)) for number, body in rows]

    def drop(self, numbers: Collection[int]) -> None:
        """Forget documents that are stored elsewhere by now."""
        with self._connection() as connection:
            connection.executemany("DELETE FROM call WHERE id = ?", [(number,) for number in numbers])

    def close(self) -> None:
        """Let go of the file."""
        with self._mutex:
            if self._open is not None:
                self._open.close()
            self._open = None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                connection = self._open = self._open or _opened(self._file)
                with connection:
                    yield connection
            except sqlite3.Error as error:
                raise in_plain_words(error, error) from error
            except OSError as error:
                raise UserError(f"{self._file} cannot be written: {error.strerror}. Nothing was kept.") from error


def _opened(file: Path) -> sqlite3.Connection:
    file.touch(0o600)
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        # As the database itself: a commit outlives the process at once, and a power cut with the next checkpoint.
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 5000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection
