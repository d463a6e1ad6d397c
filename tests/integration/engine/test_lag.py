"""The search index is behind the records: what it still shows must not undo what was written since."""

from __future__ import annotations

from tests.support.world import World


def test_an_index_that_is_behind_does_not_undo_our_own_write(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.com", "lastname": "Old"})
    world.sync()
    contact = world.of_record(record).id
    world.sandbox.set_limits(lag_ms=100_000_000)
    world.sandbox.update(record, {"firstname": "Ana"})

    world.edit(contact, last_name="New")
    world.sync()
    world.edit(contact, last_name="Newer")
    for _ in range(3):
        world.sync()

    assert world.contact(contact).fields["last_name"] == "Newer"
    assert world.record(record)["lastname"] == "Newer"
    assert world.sync().counts["conflicts"] == 0


def test_an_index_that_is_behind_does_not_undo_our_own_write_to_a_record_that_was_merged_once(world: World) -> None:
    one, other = (world.sandbox.create({"firstname": name, "lastname": "Old"}) for name in ("Ana", "Ann"))
    world.sync()
    kept = world.sandbox.merge(one, other)
    world.sync(full=True)
    world.sync()
    contact = world.of_record(kept).id
    world.clock.advance(60)
    world.sandbox.update(kept, {"firstname": "Anna"})
    world.clock.advance(30)
    world.sync()
    world.sandbox.set_limits(lag_ms=100_000_000)

    world.edit(contact, last_name="New")
    world.clock.advance(5)
    world.sync()
    world.sync()

    assert world.contact(contact).fields["last_name"] == "New"
    assert world.record(kept)["lastname"] == "New"


def test_a_record_that_was_merged_away_is_nobody_new_while_the_index_still_shows_it(world: World) -> None:
    one, other = (world.sandbox.create({"firstname": name}) for name in ("Ana", "Ann"))
    world.sync()
    world.sandbox.set_limits(lag_ms=600_000)

    world.sandbox.merge(one, other)
    done = world.sync(full=True)

    assert done.counts["created"] == 0
    assert len(world.contacts()) == 1


def test_what_the_index_shows_late_is_taken_all_the_same(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.com", "lastname": "Old"})
    world.sync()
    contact = world.of_record(record).id
    world.edit(contact, last_name="New")
    world.sync()

    world.sandbox.update(record, {"lastname": "Theirs"})
    world.sync()

    assert world.contact(contact).fields["last_name"] == "Theirs"
