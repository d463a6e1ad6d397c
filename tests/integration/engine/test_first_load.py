from __future__ import annotations

from tests.support.world import World, adds_up


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
