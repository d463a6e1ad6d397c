"""A month alone: the same things happen each day, and nothing grows but the history that is meant to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
import sqlalchemy as sa
from tests.support.world import PORTAL, World, a_world

from mercuri.engine import inbox
from mercuri.hubspot.webhooks import parse
from mercuri.jobs import schedule
from mercuri.sandbox.answers import encode
from mercuri.store import portals, runs, workers
from mercuri.store.database import ANY, Database
from mercuri.store.schema import TABLES

#: What people did, what became of it, and the runs in which it happened: asked for in docs/operations.md.
HISTORY = {"change", "run"}


@pytest.fixture
def world(sqlite_database: Database) -> Iterator[World]:
    """A team that syncs both ways twice a day, by schedule, webhooks and the journal."""
    with a_world(sqlite_database) as made:
        made.connect(two_way=True, schedule="every 12h", journal=True)
        made.sandbox.webhooks.target = "https://mercuri.test/webhooks/hubspot"
        made.sandbox.add_contacts(5)
        made.sync()
        yield made


def a_day(world: World, number: int) -> None:
    """Someone edits in HubSpot and someone here, HubSpot calls, a worker dies and another one comes."""
    records = world.sandbox.contact_ids()
    world.sandbox.update(records[0], {"firstname": f"There {number}"})
    world.edit(world.of_record(records[1]).id, first_name=f"Here {number}")
    calls = [hint for call in world.sandbox.webhooks.take() for hint in parse(encode(call))]
    inbox.accept(world.app, calls)
    with world.app.db.write(ANY) as tx:
        workers.beat(tx, f"container-{number}", world.clock.now())
    for _ in range(2):
        world.clock.advance(12 * 3600)
        for _ in range(2):  # a duty that found a run under way has its turn again
            duties(world)


def duties(world: World) -> None:
    """Every duty of the worker in its turn, and the run that one of them asked for."""
    for duty in schedule.DUTIES:
        duty.act(world.app, world.ws)
        with world.app.db.read(world.ws) as tx:
            live = runs.live(tx, PORTAL)
        if live is not None:
            assert world.go(live).state == "done"


def rows(world: World) -> dict[str, int]:
    """How many rows each table has."""
    with world.app.db.read(ANY) as tx:
        return {t.name: tx.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in TABLES}


def test_nothing_grows_but_history_and_every_schedule_is_kept(world: World) -> None:
    days = count()
    for _ in range(10):
        a_day(world, next(days))
    early = rows(world)
    for _ in range(20):
        a_day(world, next(days))

    late = rows(world)

    with world.app.db.read(world.ws) as tx:
        portal = portals.get(tx, PORTAL)
    now = world.clock.now()
    assert {name for name in late if late[name] > early[name]} == HISTORY
    assert world.app.db.inbox is not None
    assert world.app.db.inbox.first() == []
    assert portal.next_at is not None
    assert now < portal.next_at <= now + timedelta(hours=12)
    assert portal.watermark is not None
    assert now - portal.watermark < timedelta(hours=13)
    assert portal.swept_at is not None
    assert now - portal.swept_at < timedelta(hours=37)
    assert (portal.sweep["hubspot"], portal.sweep["in_sync"], portal.sweep["surplus"]) == (5, 5, [])
    assert not world.failures()
    assert world.of_record(world.sandbox.contact_ids()[0]).fields["first_name"] == "There 29"
    assert world.record(world.sandbox.contact_ids()[1])["firstname"] == "Here 29"
