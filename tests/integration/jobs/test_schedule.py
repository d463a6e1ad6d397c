"""Duties that ask for runs, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.world import PORTAL, World, a_world

from mercuri.core.contact import LinkState
from mercuri.engine.portal import refresh_schema
from mercuri.jobs import schedule
from mercuri.store import portals, runs
from mercuri.store.database import Database
from mercuri.store.runs import Run

DAY = 86_400


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    """A loaded portal with a schedule."""
    with a_world(database) as made:
        made.connect(two_way=True, schedule="every 1h")
        made.sandbox.add_contacts(3)
        made.sync()
        yield made


def swept(world: World) -> Run | None:
    """Do the duty of the sweeps; the run that it asked for, done."""
    schedule.start_sweeps(world.app, world.ws)
    with world.app.db.read(world.ws) as tx:
        asked = runs.live(tx, PORTAL)
    return asked and world.go(asked)


def test_a_portal_with_a_schedule_is_read_completely_once_a_day(world: World) -> None:
    world.clock.advance(DAY - 600)
    before = swept(world)
    world.clock.advance(900)

    done, again = swept(world), swept(world)

    assert before is None
    assert done is not None
    assert (done.kind, done.trigger, done.state) == ("full", "schedule", "done")
    assert again is None


def test_a_record_erased_in_hubspot_without_a_sign_is_found_by_the_daily_sweep(world: World) -> None:
    record = world.sandbox.contact_ids()[0]
    world.sandbox.erase(record)
    world.clock.advance(DAY + 600)

    swept(world)

    link = world.link(record)
    assert link is not None
    assert link.state is LinkState.ASLEEP


def test_a_sweep_that_fails_is_not_tried_again_before_the_next_day(world: World) -> None:
    world.clock.advance(DAY + 600)
    schedule.start_sweeps(world.app, world.ws)
    with world.app.db.write(world.ws) as tx:
        asked = runs.live(tx, PORTAL)
        assert asked is not None
        runs.save(tx, asked.id, state="failed", ended_at=world.clock.now())

    assert swept(world) is None


def test_without_a_schedule_nothing_is_swept(world: World) -> None:
    world.settings(schedule="off")
    world.clock.advance(DAY * 3)

    assert swept(world) is None


def put_aside(world: World) -> Run:
    """A daily sweep that used up its part of the day a few pages after its start."""
    world.sandbox.add_contacts(600)
    world.sync()
    world.clock.advance(DAY + 600)
    world.sync()
    with world.app.db.read(world.ws) as tx:
        known = portals.get(tx, PORTAL)
    for _ in range(100):
        refresh_schema(world.app, world.ws, known)
    spent = world.sandbox.limits.used_today
    world.sandbox.set_limits(daily=(spent + 5) * 4 // 3)
    done = swept(world)
    assert done is not None
    return done


def test_a_sweep_that_used_up_its_part_of_the_day_leaves_the_button_and_the_schedule_free(world: World) -> None:
    aside = put_aside(world)
    record = world.sandbox.contact_ids()[-1]
    world.sandbox.update(record, {"firstname": "Anna"})

    done = world.sync()

    assert aside.state == "cancelled"
    assert "goes on by itself tomorrow" in aside.message
    assert aside.counts["fetched"] < 603
    assert done.state == "done"
    assert world.of_record(record).fields["first_name"] == "Anna"
    assert swept(world) is None


def test_a_sweep_put_aside_goes_on_the_next_day_from_its_place(world: World) -> None:
    aside = put_aside(world)
    world.sync()
    before = swept(world)
    world.clock.advance(DAY - 3600)
    world.sandbox.reset_counts()

    done = swept(world)

    assert before is None
    assert done is not None
    assert (done.id, done.state, done.counts["fetched"]) == (aside.id, "done", 603)
    assert world.sandbox.counts()["list"] < 7
    with world.app.db.read(world.ws) as tx:
        proven = portals.get(tx, PORTAL).sweep
    assert (proven["hubspot"], proven["in_sync"], proven["missing"], proven["surplus"]) == (603, 603, [], [])


def test_a_sweep_put_aside_that_another_full_run_overtook_does_not_go_on(world: World) -> None:
    aside = put_aside(world)
    world.sandbox.set_limits(daily=None)
    world.sync(full=True)
    world.clock.advance(DAY - 3600)

    assert aside.resume_at is not None
    assert swept(world) is None


def test_a_sweep_put_aside_for_too_long_begins_anew(world: World) -> None:
    aside = put_aside(world)
    world.sandbox.set_limits(daily=None)
    world.clock.advance(3 * DAY)

    done = swept(world)

    assert done is not None
    assert (done.id > aside.id, done.state) == (True, "done")
