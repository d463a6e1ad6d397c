"""Links of many records, of which few are asked for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.support.clock import Clock
from tests.support.database import fresh_database
from tests.support.people import ACME, NOON
from tests.support.world import PORTAL, a_world

from mercuri.core.contact import LinkState, RecordId
from mercuri.store import links
from mercuri.store.database import Database
from mercuri.store.links import NOBODY, Link


def test_the_few_records_put_aside_are_found_without_looking_at_all_others(tmp_path: Path) -> None:
    with fresh_database("sqlite", tmp_path) as database, a_world(database, Clock()) as world:
        world.connect()
        world.sandbox.add_contacts(1000)
        run = world.sync().id
        aside = [Link(RecordId(id_), NOBODY, LinkState.UNLINKED, {}, {}, None, world.clock.now(), run) for id_ in "97"]
        with world.app.db.write(world.ws) as tx:
            links.insert_many(tx, PORTAL, aside)
            steps: list[int] = []
            tx.raw().connection.set_progress_handler(lambda: steps.append(1), 1)
            found = links.waiting(tx, PORTAL, run)
            tx.raw().connection.set_progress_handler(None, 1)

    assert [link.record_id for link in found] == ["7", "9"]
    assert 0 < len(steps) < 300


def test_a_record_that_was_merged_twice_leads_to_the_last_one_since_the_last_merge(database: Database) -> None:
    first, second, third = (RecordId(id_) for id_ in ("51", "52", "53"))
    later = NOON + timedelta(hours=1)

    with database.write(ACME) as tx:
        links.add_alias(tx, PORTAL, first, second, NOON)
        links.add_alias(tx, PORTAL, second, third, later)
        found = links.merged_away(tx, PORTAL, [first, second, third])

    assert found == {first: (third, later), second: (third, later)}
