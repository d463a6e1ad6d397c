from __future__ import annotations

from datetime import timedelta

from tests.support.world import PORTAL, World, adds_up

from mercuri.store import portals


def test_more_ties_than_a_search_gives_are_read_to_the_last(world: World) -> None:
    world.settings(two_way=False)
    world.sync()
    world.sandbox.add_contacts(10_400)
    world.clock.advance(1200)
    world.sandbox.stamp(10_400)

    done = world.sync()

    assert done.counts["created"] == 10_400
    assert adds_up(done)


def test_a_window_with_many_pages_is_read_whole(world: World) -> None:
    world.sync()
    world.clock.advance(3600)
    world.sandbox.add_contacts(900)
    world.sandbox.stamp(900)

    done = world.sync()

    assert done.state == "done"
    assert len(world.contacts()) == len(world.sandbox.contact_ids()) == 900


def test_the_watermark_of_a_first_load_is_before_its_start(world: World) -> None:
    begun = world.clock.now()

    world.sync()

    with world.app.db.read(world.ws) as tx:
        watermark = portals.get(tx, PORTAL).watermark
    assert watermark is not None
    assert watermark - begun <= timedelta(seconds=180)


def test_a_record_that_the_index_showed_late_is_found_by_the_second_look(world: World) -> None:
    world.sync()
    world.clock.advance(3600)
    world.sync()
    world.sandbox.set_limits(lag_ms=20 * 60_000)
    record = world.sandbox.create({"firstname": "Late"})
    for _ in range(4):
        world.clock.advance(600)
        world.sync()
    world.sandbox.set_limits(lag_ms=0)

    world.clock.advance(3600)
    world.sync()

    assert world.link(record) is not None


def test_no_change_costs_one_search_and_one_look_into_the_bin(world: World) -> None:
    world.sandbox.add_contacts(50)
    world.sync()
    world.clock.advance(3 * 3600)
    world.sync()
    world.clock.advance(600)

    quiet = world.sync()

    assert {kind: calls for kind, calls in quiet.calls.items() if calls} == {"search": 1, "list": 1}
