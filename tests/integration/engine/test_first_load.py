from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.database import MakeDatabase
from tests.support.world import OWNER, PORTAL, World, a_world, adds_up

from mercuri.engine import consent, load, run
from mercuri.hubspot.everything import Portion
from mercuri.store import consent as store
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


def test_records_of_a_slow_portal_are_stored_as_they_come(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sandbox.add_contacts(250)
    read, stored = load.read_everything, list[int]()

    def slow(*given: Any, **more: Any) -> Iterator[Portion]:
        for portion in read(*given, **more):
            world.clock.advance(1)
            yield portion

    monkeypatch.setattr(load, "read_everything", slow)

    run.execute(
        world.app,
        world.ws,
        world.ask().id,
        owner="worker",
        progress=lambda r: stored.append(r.counts.get("created", 0)),
    )

    assert {100, 200, 250} <= set(stored)


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
    """Forty people: some share a phone, or have one that cannot be read; yes, no, nothing and nonsense of messages."""
    options = [{"label": name, "value": name} for name in ("Yes", "No", "Stop all")]
    world.sandbox.add_property({"name": "sms_consent", "options": options})
    for n in range(40):
        phone = "n/a" if n % 10 == 9 else f"(415) 555-2{n % 25:03d}"
        said = {"sms_opt_in": ("true", "false", "")[n % 3], "sms_consent": ("", "Yes", "Stop all", "No")[n % 4]}
        name = {"firstname": "Zoë", "lastname": f"Nº {n}", "phone": phone, **said}
        world.sandbox.create({**name, "email": f"Zoe.{n}@Example.com"} if n % 4 else name)


def _close_addresses(world: World) -> None:
    """Before anybody has them: one of which HubSpot says nothing, one of which it says yes, one on another channel."""
    for number, channel, kind in (("17", "sms", "message"), ("03", "sms", "staff"), ("20", "whatsapp", "message")):
        consent.record(world.app, world.ws, channel, f"+141555520{number}", kind, OWNER, state="out")


def _held(world: World) -> dict[str, object]:
    """All that is held of each record, without the times and the numbers that no two runs share."""
    with world.app.db.read(world.ws) as tx:
        found = links.each(tx, PORTAL)
        keys = match_keys.of(tx, [link.contact_id for link in found])
        labels = {row.id: row.status_reason for row in tx.execute("SELECT id, status_reason FROM contact")}
    people = world.contacts()
    records = {link.contact_id: link.record_id for link in found}
    groups = {person.id: person.duplicate_group for person in people.values()}
    fails = {one.record_id: (one.message, one.raw) for one in world.failures()}
    held: dict[str, object] = {}
    for link in found:
        one = people[link.contact_id]
        twins = {records[id_] for id_, group in groups.items() if group and group == one.duplicate_group}
        origins = {name: (origin.kind, origin.by) for name, origin in one.origins.items()}
        seen = (one.fields, origins, one.addresses, one.subscription_status, one.consent, link.base, link.shadow)
        there = world.record(link.record_id)
        shown = (labels[one.id], there.get("sms_opt_in"), there.get("sms_consent"), fails.get(link.record_id))
        held[link.record_id] = (*seen, *shown, keys.get(one.id), twins)
    return held


def _evidence(world: World) -> dict[str, list[object]]:
    """What was said of each number, in no order, without what differs from run to run."""
    said: dict[str, list[object]] = {}
    with world.app.db.read(world.ws) as tx:
        events = [found.event for found in store.evidence_after(tx, 0)]
        for event in events:
            held = store.held(tx, event.channel, [event.address])[event.address]
            assert held.registers == store.rebuilt(tx, event.channel, [event.address])[event.address]
            proof = {name: value for name, value in event.proof.items() if name != "run"}
            words = (event.register, event.state, event.kind, event.actor, proof, event.source_key)
            said.setdefault(f"{event.channel} {event.address}", []).append(words)
    return {address: sorted(words, key=str) for address, words in said.items()}


def test_a_first_load_leaves_what_an_increment_leaves_of_the_same_records(databases: MakeDatabase) -> None:
    opt_in = [
        {"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"},
        {"property": "sms_consent", "channel": "whatsapp", "kind": "enumeration", "values": {"Yes": "in", "No": "out"}},
    ]
    with a_world(databases()) as loaded, a_world(databases()) as followed:
        for world in (followed, loaded):
            world.connect(two_way=True, consent_mapping=opt_in)
            _close_addresses(world)
        followed.sync()
        loaded.clock.advance(120)
        for world in (followed, loaded):
            _make_people(world)
        loaded.sync()
        increment = followed.sync()

        assert increment.kind == "incremental"
        assert _held(loaded) == _held(followed)
        assert len(_held(loaded)) == 40
        assert _evidence(loaded) == _evidence(followed)
        assert sum(map(len, _evidence(loaded).values())) == 43
