from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from tests.support.world import PORTAL, World, adds_up

from mercuri.engine import increment, run
from mercuri.hubspot.client import Page
from mercuri.sandbox.search import Search
from mercuri.store import portals, runs
from mercuri.store.runs import Run


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


def test_a_busy_hour_with_more_changes_than_a_search_gives_is_read_to_the_last(world: World) -> None:
    world.settings(two_way=False, mapping=[{"property": "firstname", "field": "first_name"}])
    world.sync()
    world.sandbox.add_contacts(50_000)
    world.clock.advance(3600)
    world.sandbox.stamp(50_000, spread_ms=3_600_000)

    done = world.sync()

    assert (done.state, done.counts["created"]) == ("done", 50_000)
    assert done.calls["search"] < 300


def test_records_that_change_while_they_are_searched_arrive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sync()
    world.clock.advance(3600)
    world.sandbox.add_contacts(700)
    world.sandbox.stamp(700)
    records = world.sandbox.contact_ids()
    search, pages, moved = increment._search, count(), set[str]()

    def disturbed(*given: Any) -> Any:
        """Between the first pages, some records that were read leave the window and shift the others forward."""
        number = next(pages)
        if 1 <= number <= 3:
            world.clock.advance(1)
            for record in records[number * 30 : number * 30 + 20]:
                world.sandbox.update(record, {"city": f"Moved {number}"})
                moved.add(record)
        return search(*given)

    monkeypatch.setattr(increment, "_search", disturbed)
    world.sync()
    first = {record for record in records if world.link(record) is not None}
    world.sync()

    assert first >= set(records) - moved
    assert len(world.contacts()) == 700


def test_a_search_in_no_order_at_all_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sync()
    world.clock.advance(3600)
    world.sandbox.add_contacts(900)
    world.sandbox.stamp(900)
    chance, found = Random(7), Search._matching

    def shuffled(self: Search, body: Any) -> list[int]:
        """Another order for each page, so that some records stand on two of them and some on none."""
        ids = found(self, body)
        return chance.sample(ids, len(ids))

    monkeypatch.setattr(Search, "_matching", shuffled)

    done = world.sync()

    assert done.state == "done"
    assert len(world.contacts()) == 900


def test_a_contact_made_behind_the_cursor_of_a_first_load_arrives_with_it(world: World) -> None:
    world.sandbox.add_contacts(2600)  # more than one step
    first = world.sandbox.contact_ids()[0]
    asked = world.ask(full=True)
    made: list[str] = []

    def meanwhile(now: Run) -> None:
        if 0 < now.counts["fetched"] < 2600:
            world.clock.advance(1)
            made.append(world.sandbox.create({"firstname": f"Late {len(made)}"}))

    run.execute(world.app, world.ws, asked.id, owner="worker", progress=meanwhile)

    assert made
    assert min(map(int, made)) > int(first)
    assert all(world.link(record) is not None for record in made)


def test_a_place_written_down_by_another_version_is_not_believed(world: World) -> None:
    world.sandbox.add_contacts(5)
    asked = world.ask(full=True)
    with world.app.db.write(world.ws) as tx:
        runs.save(tx, asked.id, checkpoint={"v": 99, "step": "proof", "loaded": True, "started": 0})

    done = world.go(asked)

    assert (done.state, done.counts["created"]) == ("done", 5)


def test_a_window_whose_run_dies_is_read_again(world: World) -> None:
    world.sync()
    world.clock.advance(3600)
    world.sandbox.add_contacts(450)
    world.sandbox.stamp(450)
    with world.app.db.read(world.ws) as tx:
        before = portals.get(tx, PORTAL).watermark
    asked = world.ask()

    def die(now: Run) -> None:
        if now.counts["fetched"] >= 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.execute(world.app, world.ws, asked.id, owner="worker", progress=die)
    with world.app.db.read(world.ws) as tx:
        still = portals.get(tx, PORTAL).watermark
    done = world.go(asked)

    assert still == before
    assert (done.state, len(world.contacts())) == ("done", 450)


def test_a_search_that_counts_more_than_there_is_comes_to_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [world.sandbox.create({"firstname": f"P{n}"}) for n in range(300)]
    world.sync()
    for record in records:
        world.sandbox.update(record, {"lastname": "New"})
    search = increment._search
    monkeypatch.setattr(increment, "_search", lambda *asked: _more(search(*asked)))

    done = world.sync()

    assert {contact.fields["last_name"] for contact in world.contacts().values()} == {"New"}
    assert done.calls["search"] < 40


def _more(page: Page) -> Page:
    return replace(page, total=(page.total or 0) + 7)
