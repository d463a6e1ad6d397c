from __future__ import annotations

from tests.support.world import World, a_world, adds_up

from mercuri.engine import run
from mercuri.store.database import Database
from mercuri.store.runs import Run


def test_a_first_load_brings_in_every_contact(both: World) -> None:
    both.sandbox.add_contacts(250)

    done = both.sync()

    assert (done.state, done.message) == ("done", "")
    assert done.counts["fetched"] == done.counts["created"] == 250
    assert adds_up(done)
    assert len(both.contacts()) == 250


def test_a_contact_has_the_values_of_its_record(world: World) -> None:
    record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": "(415) 555-2671"})

    world.sync()

    ana = world.of_record(record)
    assert (ana.fields["first_name"], ana.fields["phone"]) == ("Ana", "(415) 555-2671")
    assert [a.normal for a in ana.addresses] == ["+14155552671", "ana@example.com"]


def test_a_second_run_without_edits_changes_nothing_and_asks_once(world: World) -> None:
    world.sandbox.add_contacts(120)
    world.sync()
    world.clock.advance(3600)
    world.sync()
    world.sandbox.reset_counts()

    again = world.sync()

    assert again.counts["updated"] == again.counts["created"] == 0
    assert world.sandbox.counts()["write"] == 0
    assert sum(again.calls.values()) <= 2


def test_postgresql_knows_of_a_first_load_from_its_first_page(postgresql_database: Database) -> None:
    known: list[float] = []
    with a_world(postgresql_database) as world:
        world.connect()
        world.sandbox.add_contacts(600)

        def look(found: Run) -> None:
            if found.counts.get("created"):
                with postgresql_database.read(world.ws) as tx:
                    known.append(tx.execute("SELECT reltuples FROM pg_class WHERE relname = 'link'").scalar_one())

        run.execute(world.app, world.ws, world.ask().id, owner="worker", progress=look)

    assert known[0] >= 500
