"""Databases: opening, transactions, refusals, backup; the same promises on both kinds."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.database import empty_url
from tests.support.people import ACME, NOON, a_contact, a_portal

from mercuri.errors import Remedy, UserError
from mercuri.store import contacts, portals
from mercuri.store import database as database_module
from mercuri.store.database import ANY, Busy, Database, Tx


@pytest.fixture
def new_url(backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    with empty_url(backend, tmp_path) as url:
        yield url


def _count(tx: Tx) -> int:
    return int(tx.execute("SELECT count(*) FROM contact").scalar_one())


# --- opening ----------------------------------------------------------------------------------------------------


def test_opening_again_keeps_what_is_there(database_url: str) -> None:
    with contextlib.closing(Database.open(database_url)) as first, first.write(ACME) as tx:
        contacts.insert_many(tx, [a_contact()])

    with contextlib.closing(Database.open(database_url)) as second, second.read(ACME) as tx:
        assert _count(tx) == 1


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x", "sqlite://", "sqlite:////proc/none/x.db"])
def test_a_url_that_cannot_be_opened_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(UserError):
        Database.open(url)


def test_an_unreachable_server_is_named_without_the_password() -> None:
    with pytest.raises(UserError, match="cannot be reached") as refused:
        Database.open("postgresql+psycopg://someone:hunter2@127.0.0.1:1/none?connect_timeout=2")

    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear Ana, this is no database at all. " * 100)

    with pytest.raises(UserError, match="no database"):
        Database.open(f"sqlite:///{file}")

    assert file.read_text().startswith("Dear Ana")


def test_nobody_else_can_read_a_new_database_file(tmp_path: Path) -> None:
    Database.open(f"sqlite:///{tmp_path}/data/mercuri.db").close()

    assert (tmp_path / "data" / "mercuri.db").stat().st_mode & 0o077 == 0


# --- transactions -----------------------------------------------------------------------------------------------


def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    def fail_late() -> None:
        with database.write(ACME) as tx:
            contacts.insert_many(tx, [a_contact()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()

    with database.read(ACME) as tx:
        assert _count(tx) == 0
        assert contacts.page(tx, contacts.Query(q="ana")).items == []


def test_a_reader_does_not_wait_for_a_writer_and_sees_only_what_is_done(database: Database) -> None:
    with database.write(ACME) as writer:
        contacts.insert_many(writer, [a_contact()])
        with database.read(ACME) as reader:
            before = _count(reader)
    with database.read(ACME) as reader:
        after = _count(reader)

    assert (before, after) == (0, 1)


def test_writers_of_many_threads_lose_no_change(database: Database) -> None:
    with database.write(ACME) as tx:
        portals.add(tx, a_portal(), None, NOON)

    def add_one(_: int) -> None:
        with database.write(ACME) as tx:
            contacts.insert_many(tx, [a_contact()])
            tx.execute("UPDATE portal SET fence = fence + 1")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add_one, range(40)))

    with database.read(ACME) as tx:
        assert _count(tx) == 40
        assert tx.execute("SELECT fence FROM portal").scalar() == 40
        assert len(contacts.page(tx, contacts.Query(q="duarte", limit=100)).items) == 40


# --- refusals ---------------------------------------------------------------------------------------------------


def test_a_full_disk_is_a_sentence_and_undoes_the_step(sqlite_database: Database) -> None:
    with sqlite_database.write(ACME) as tx:
        contacts.insert_many(tx, [a_contact()])
    # One page more than the file has: what SQLite says then is what it says on a full disk.
    with sqlite_database.write(ACME) as tx:
        pages = tx.execute("PRAGMA page_count").scalar_one()
        tx.execute(f"PRAGMA max_page_count = {pages + 1}")

    with pytest.raises(UserError, match="disk of the database is full"), sqlite_database.write(ACME) as tx:
        contacts.insert_many(tx, [a_contact(custom_note="x" * 1000)] * 1000)

    with sqlite_database.write(ACME) as tx:
        tx.execute("PRAGMA max_page_count = 1000000")
        assert _count(tx) == 1
        contacts.insert_many(tx, [a_contact()])
    assert sqlite_database.problems() == []


def test_a_lock_that_another_process_holds_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database.open(f"sqlite:///{tmp_path}/x.db").close()
    monkeypatch.setattr(database_module, "_SQLITE_PRAGMAS", ("PRAGMA busy_timeout = 50",))
    with (
        contextlib.closing(Database.open(f"sqlite:///{tmp_path}/x.db")) as database,
        contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(Busy) as refused, database.write(ACME):
            pass

        assert refused.value.remedy is Remedy.RETRY
        other.execute("ROLLBACK")
        with database.write(ACME) as tx:
            contacts.insert_many(tx, [a_contact()])


def test_a_row_that_another_transaction_holds_is_a_sentence(postgresql_database: Database) -> None:
    database = postgresql_database
    with database.write(ACME) as tx:
        portals.add(tx, a_portal(), b"sealed", NOON)
    with database.write(ACME) as holder:
        portals.save_tokens(holder, a_portal().id, b"newer")

        def wait_briefly() -> None:
            with database.write(ACME) as tx:
                tx.execute("SET LOCAL lock_timeout = '50ms'")
                portals.save_tokens(tx, a_portal().id, b"newest")

        with pytest.raises(Busy):
            wait_briefly()


def test_one_is_alone_with_a_name_and_others_go_on(database_url: str) -> None:
    with (
        contextlib.closing(Database.open(database_url)) as one,
        contextlib.closing(Database.open(database_url)) as other,
    ):
        entered = threading.Event()

        def enter() -> None:
            with other.alone("a"):
                entered.set()

        with one.alone("a"):
            waiting = threading.Thread(target=enter)
            waiting.start()
            with other.alone("b"), other.write(ACME) as tx:
                contacts.insert_many(tx, [a_contact()])

            assert not entered.wait(0.05)
        waiting.join(10)
        assert entered.is_set()


def test_a_server_that_went_away_is_a_sentence_and_the_next_transaction_works(postgresql_database: Database) -> None:
    database = postgresql_database
    others = "datname = current_database() AND pid <> pg_backend_pid()"

    def lose_the_connection() -> None:
        with database.write(ACME) as tx:
            contacts.insert_many(tx, [a_contact()])
            with database.write(ANY) as other:
                other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            _count(tx)

    with pytest.raises(UserError, match="cannot be reached"):
        lose_the_connection()

    with database.read(ACME) as tx:
        assert _count(tx) == 0


def test_a_mistake_of_ours_stays_what_it_is(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.write(ACME) as tx:
        tx.execute("SELECT nothing FROM nowhere")


# --- backup and check -------------------------------------------------------------------------------------------


def test_a_backup_is_a_whole_database(database: Database, tmp_path: Path) -> None:
    if not database.is_sqlite:
        with pytest.raises(UserError, match="pg_dump"):
            database.backup(tmp_path / "copy.db")
        assert not (tmp_path / "copy.db").exists()
        return
    with database.write(ACME) as tx:
        contacts.insert_many(tx, [a_contact()])

    database.backup(tmp_path / "copy.db")

    with contextlib.closing(Database.open(f"sqlite:///{tmp_path}/copy.db")) as copy, copy.read(ACME) as tx:
        assert [c.name for c in contacts.page(tx, contacts.Query(q="duarte")).items] == ["Ana Duarte"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0


def test_a_backup_can_be_made_while_someone_writes(sqlite_database: Database, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with sqlite_database.write(ACME) as tx:
                contacts.insert_many(tx, [a_contact()] * 2)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        sqlite_database.backup(tmp_path / "copy.db")
        stop.set()
        writing.result()

    with contextlib.closing(Database.open(f"sqlite:///{tmp_path}/copy.db")) as copy:
        assert copy.problems() == []
        with copy.read(ACME) as tx:
            assert _count(tx) % 2 == 0


def test_a_backup_never_writes_over_a_file(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(UserError, match="exists already"):
        sqlite_database.backup(tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_backup_that_cannot_be_written_is_a_sentence(sqlite_database: Database, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be written"):
        sqlite_database.backup(tmp_path / "none" / "copy.db")


def test_a_fresh_database_has_no_problems(database: Database) -> None:
    assert database.problems() == []


def test_a_check_finds_what_belongs_to_no_contact(database: Database) -> None:
    with database.write(ACME) as tx:
        contacts.insert_many(tx, [a_contact()])
        tx.execute("DELETE FROM contact")

    assert database.problems() == ["2 addresses belong to no contact."]
