"""Duties that ask for runs, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.world import PORTAL, World, a_world

from mercuri.core.contact import LinkState
from mercuri.jobs import schedule
from mercuri.store import runs
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
