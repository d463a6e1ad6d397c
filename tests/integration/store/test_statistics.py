"""What PostgreSQL's planner knows while a load fills its tables."""

from __future__ import annotations

from tests.support.people import ACME

from mercuri.core.contact import ContactId, LinkState, PortalId, RecordId
from mercuri.store import links, statistics
from mercuri.store.database import Database, Tx
from mercuri.store.links import Link

PORTAL = PortalId("4242")


def _rows_read(tx: Tx) -> int:
    """How many rows of `link` this transaction has read so far."""
    counts = "coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
    return int(tx.execute(f"SELECT {counts} FROM pg_stat_xact_user_tables WHERE relname = 'link'").scalar_one())


def test_reading_the_links_of_a_page_touches_no_others_in_tables_just_filled(postgresql_database: Database) -> None:
    with postgresql_database.write(ACME) as tx:
        tx.execute("DELETE FROM pg_statistic WHERE starelid = 'link'::regclass")
        links.insert_many(tx, PORTAL, [Link(RecordId(str(n)), ContactId(n), LinkState.LIVE) for n in range(5000)])
        statistics.note_growth(tx, 0, 5000)
        before = _rows_read(tx)

        found = links.of_records(tx, PORTAL, [RecordId(str(n)) for n in range(4900, 5100)], lock=True)

        assert len(found) == 100
        assert _rows_read(tx) - before == 100
