from __future__ import annotations

from tests.support.database import MakeDatabase
from tests.support.world import PORTAL, World, a_world, adds_up

from mercuri.engine import run
from mercuri.store import links, match_keys
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


def _make_people(world: World) -> None:
    """Forty people: some share a phone, or have one that cannot be read, some say yes or no to messages."""
    for n in range(40):
        phone = "n/a" if n % 10 == 9 else f"(415) 555-2{n % 25:03d}"
        name = {"firstname": "Zoë", "lastname": f"Nº {n}", "phone": phone, "sms_opt_in": ("true", "false", "")[n % 3]}
        world.sandbox.create({**name, "email": f"Zoe.{n}@Example.com"} if n % 4 else name)


def _held(world: World) -> dict[str, object]:
    """All that is held of each record, without the times and the numbers that no two runs share."""
    with world.app.db.read(world.ws) as tx:
        found = links.each(tx, PORTAL)
        keys = match_keys.of(tx, [link.contact_id for link in found])
    people = world.contacts()
    records = {link.contact_id: link.record_id for link in found}
    groups = {person.id: person.duplicate_group for person in people.values()}
    held: dict[str, object] = {}
    for link in found:
        one = people[link.contact_id]
        twins = {records[id_] for id_, group in groups.items() if group and group == one.duplicate_group}
        origins = {name: (origin.kind, origin.by) for name, origin in one.origins.items()}
        seen = (one.fields, origins, one.addresses, one.subscription_status, one.consent, link.base, link.shadow)
        held[link.record_id] = (*seen, keys.get(one.id), twins)
    return held


def test_a_first_load_leaves_what_an_increment_leaves_of_the_same_records(databases: MakeDatabase) -> None:
    opt_in = [{"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}]
    with a_world(databases()) as loaded, a_world(databases()) as followed:
        for world in (followed, loaded):
            world.connect(two_way=True, consent_mapping=opt_in)
        followed.sync()
        loaded.clock.advance(120)
        for world in (followed, loaded):
            _make_people(world)
        loaded.sync()
        increment = followed.sync()

        assert increment.kind == "incremental"
        assert _held(loaded) == _held(followed)
        assert len(_held(loaded)) == 40
