"""Failures: what does not work at present, one row for each thing."""

from __future__ import annotations

from tests.support.people import ACME, NOON, a_portal

from mercuri.core.contact import RecordId
from mercuri.store import failures, portals
from mercuri.store.database import Database
from mercuri.store.failures import Failure


def test_as_many_things_as_a_portal_has_records_are_looked_up_and_cleared_at_once(database: Database) -> None:
    many = [f"record:{number}" for number in range(70_000)]
    with database.write(ACME) as tx:
        portals.add(tx, a_portal(), b"sealed", NOON)
        for key in (many[0], many[-1], "record:other"):
            failures.put(tx, Failure(a_portal().id, key, "validation", "No.", "Mend it.", NOON, None, RecordId("1")))

        assert failures.of_keys(tx, a_portal().id, many).keys() == {many[0], many[-1]}
        failures.clear(tx, a_portal().id, many)

        assert [one.key for one in failures.recent(tx)] == ["record:other"]
