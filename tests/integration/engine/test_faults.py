"""HubSpot at its worst: every request in turn goes wrong in every way, and both sides agree in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.database import fresh_database
from tests.support.world import OWNER, PORTAL, World, a_world, adds_up

from mercuri.engine import run
from mercuri.errors import Clash
from mercuri.store import portals

#: Requests of the run below, and a few more.
REQUESTS = 12


@pytest.mark.parametrize(
    ("kind", "count"),
    [("lost_reply_after", 1), ("lost_reply_before", 1), ("truncated", 1), ("timeout", 1), ("503", 6), ("429", 1)],
)
def test_one_bad_answer_at_any_moment_loses_nothing_and_doubles_nothing(tmp_path: Path, kind: str, count: int) -> None:
    for skip in range(REQUESTS):
        with fresh_database("sqlite", tmp_path) as database, a_world(database) as world:
            world.connect(two_way=True)
            record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
            world.sync()
            ana = world.of_record(record).id
            world.edit(ana, last_name="Souza")
            world.create(first_name="Bo", email="bo@example.com")
            world.create(first_name="Cleo")
            world.sandbox.create({"firstname": "Dan"})
            world.sandbox.fault(kind, count=count, skip=skip)

            done = world.go_through(world.ask())
            world.sandbox.clear_faults()
            world.clock.advance(3600)
            world.sync()
            world.sync()

            assert done.state == "done"
            assert adds_up(done)
            assert world.record(record)["lastname"] == "Souza"
            assert len(world.contacts()) == len(world.sandbox.contact_ids()) == 4
            assert not world.failures()


def test_a_refused_token_keeps_the_place_and_the_next_run_goes_on_from_there(world: World) -> None:
    world.sandbox.add_contacts(350)
    world.sandbox.fault("revoked", count=1, skip=5)

    failed = world.go(world.ask())

    assert failed.state == "failed"
    with world.app.db.read(world.ws) as tx:
        assert portals.get(tx, PORTAL).state == "reconnect"
    world.connect()
    world.sandbox.reset_counts()
    done = world.go(world.ask())
    assert done.state == "done"
    assert world.sandbox.counts()["list"] < 4
    assert len(world.contacts()) == 350


def test_an_outage_makes_the_run_wait_and_go_on_by_itself(world: World) -> None:
    world.sandbox.add_contacts(120)
    world.sandbox.fault("503", count=8)

    asked = world.ask()
    waiting = world.go(asked)

    assert (waiting.state, waiting.ended_at) == ("waiting", None)
    assert "goes on by itself" in waiting.message
    assert world.go_through(asked).counts["created"] == 120


def test_a_run_that_waits_for_hubspot_goes_on_at_once_when_somebody_asks(world: World) -> None:
    world.sandbox.add_contacts(120)
    world.sandbox.fault("503", count=8)
    asked = world.ask()
    later = world.go(asked).resume_at
    world.sandbox.clear_faults()

    for trigger, moment in (("schedule", later), ("cli", world.clock.now())):
        with pytest.raises(Clash, match="under way"):
            run.request(world.app, world.ws, PORTAL, trigger=trigger, actor=OWNER)
        assert world.run(asked).resume_at == moment

    assert world.go(asked).counts["created"] == 120


def test_a_portal_that_moves_is_left_alone_until_it_says_so(world: World) -> None:
    world.sandbox.fault("477", retry_after=7200)

    waiting = world.go(world.ask())

    assert waiting.state == "waiting"
    with pytest.raises(Clash):
        run.request(world.app, world.ws, PORTAL, trigger="button", actor=OWNER)
    waiting = world.run(waiting)
    assert waiting.resume_at is not None
    assert (waiting.resume_at - world.clock.now()).total_seconds() > 7000
