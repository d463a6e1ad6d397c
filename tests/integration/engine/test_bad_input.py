"""What should not happen and does: bad tokens, limits, values, properties. A clear answer each, and nothing lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.database import fresh_database
from tests.support.world import OWNER, PORTAL, World, a_world, adds_up

from mercuri.core.settings import to_document
from mercuri.engine import portal, run
from mercuri.errors import AppError
from mercuri.store import portals, runs
from mercuri.store.database import ANY
from mercuri.store.portals import Portal


@pytest.mark.parametrize("kind", ["expired_token", "revoked"])
def test_a_401_at_any_request_loses_nothing_and_doubles_nothing(tmp_path: Path, kind: str) -> None:
    for skip in range(12):
        with fresh_database("sqlite", tmp_path) as database, a_world(database) as world:
            world.connect(two_way=True)
            record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
            world.sync()
            world.edit(world.of_record(record).id, last_name="Souza")
            world.create(first_name="Bo", email="bo@example.com")
            world.sandbox.create({"firstname": "Dan"})
            world.sandbox.fault(kind, count=1, skip=skip)

            refused = world.go(world.ask())
            world.sandbox.clear_faults()
            world.connect()
            world.sync()
            done = world.sync()

            assert refused.state in ("failed", "done")
            assert "connect" in refused.message.lower() or refused.state == "done"
            assert (done.state, adds_up(done)) == ("done", True)
            assert world.record(record)["lastname"] == "Souza"
            assert len(world.contacts()) == len(world.sandbox.contact_ids()) == 3


def test_a_wrong_token_connects_nothing(world: World) -> None:
    with world.app.db.read(world.ws) as tx:
        before = portals.all(tx)

    with pytest.raises(AppError, match="Nothing was connected"):
        portal.connect_static(world.app, world.ws, "pat-na1-00000000-0000-0000-0000-000000000000", OWNER)

    with world.app.db.read(world.ws) as tx:
        assert portals.all(tx) == before


def test_a_token_revoked_between_two_runs_asks_for_a_new_connection_and_keeps_the_contacts(world: World) -> None:
    world.sandbox.add_contacts(5)
    world.sync()
    world.sandbox.revoke_static_tokens()

    refused = world.sync()

    assert refused.state == "failed"
    assert "connect" in refused.message.lower()
    assert len(world.contacts()) == 5


def test_a_permission_that_is_missing_is_named_and_what_was_read_stays(world: World) -> None:
    world.sandbox.add_contacts(5)
    world.sync()
    world.sandbox.grant(world.sandbox.static_token, frozenset({"crm.objects.contacts.write"}))

    refused = world.sync()

    assert refused.state == "failed"
    assert "crm.objects.contacts.read" in refused.message
    assert refused.message.endswith("What was stored so far is kept, and the next run goes on from there.")
    assert len(world.contacts()) == 5


def test_a_used_up_day_parks_the_run_until_the_day_is_over_and_says_so(world: World) -> None:
    world.sandbox.add_contacts(250)
    world.sandbox.set_limits(daily=1)

    asked = world.ask()
    parked = world.go(asked)

    assert parked.state == "waiting"
    assert parked.resume_at is not None
    assert timedelta(0) < parked.resume_at - world.clock.now() <= timedelta(days=1)
    assert "limit is used up" in parked.message
    world.sandbox.set_limits(daily=None)
    assert world.go_through(asked).counts["created"] == 250


def test_a_portal_whose_day_is_used_up_begins_no_other_run_before_the_day_is_over(world: World) -> None:
    world.sandbox.add_contacts(250)
    world.sandbox.set_limits(daily=1)
    parked = world.go(world.ask())
    run.cancel(world.app, world.ws, parked.id, OWNER)

    asked = world.ask()

    assert (asked.state, asked.resume_at) == ("waiting", parked.resume_at)
    assert "by itself" in asked.message
    with world.app.db.read(ANY) as tx:
        assert not runs.due(tx, world.clock.now())
    world.sandbox.set_limits(daily=None)
    assert world.go_through(asked).counts["created"] == 250


def test_a_portal_that_moves_to_another_data_centre_is_left_alone_for_a_day(world: World) -> None:
    world.sandbox.fault("477")

    parked = world.go(world.ask())

    assert parked.state == "waiting"
    assert the_portal(world).parked_until == parked.resume_at


def test_the_use_of_the_day_is_remembered_for_display(world: World) -> None:
    world.sandbox.add_contacts(30)
    world.sandbox.set_limits(daily=1000)

    done = world.sync()
    again = world.sync()

    usage = the_portal(world).usage
    made = [sum(number for kind, number in one.calls.items() if kind != "throttled") for one in (done, again)]
    assert usage["requests"] == sum(made)
    assert usage["daily_limit"] == 1000
    assert usage["daily_used"] >= sum(made)


def the_portal(world: World) -> Portal:
    with world.app.db.read(world.ws) as tx:
        return portals.get(tx, PORTAL)


def test_a_record_with_hardly_anything_in_it_or_far_too_much_is_kept_as_it_is(both: World) -> None:
    values = [
        {"firstname": "ש" * 65_536, "email": "rtl@example.com"},
        {"firstname": "👩‍👩‍👧", "lastname": "مرحبا", "phone": "not a number"},
        {"firstname": "Nul\0", "email": "nul@example.com"},
        {"phone": "+1 415 555 2671"},
        {},
    ]
    ids = [both.sandbox.create(value) for value in values]

    done = both.sync()

    assert (done.state, done.counts["created"], done.counts["failing"]) == ("done", 5, 0)
    assert adds_up(done)
    people = [both.of_record(id_) for id_ in ids]
    assert people[0].fields["first_name"] == "ש" * 65_536
    assert (people[1].fields["last_name"], people[1].fields["phone"]) == ("مرحبا", "not a number")
    assert not [address for address in people[1].addresses if address.normal]
    assert people[2].fields["first_name"].startswith("Nul")
    assert "\0" not in people[2].fields["first_name"]
    assert both.sync().counts["updated"] == 0


@pytest.mark.parametrize("retyped", [False, True])
def test_a_mapped_property_that_vanished_or_changed_its_type_pauses_alone(world: World, retyped: bool) -> None:
    field = {"property": "points", "field": "custom.points", "direction": "both", "policy": None}
    with world.app.db.read(world.ws) as tx:
        settings = portals.get(tx, PORTAL).settings
    world.settings(mapping=[*to_document(settings)["mapping"], field], two_way=True)
    record = world.sandbox.create({"firstname": "Ana", "points": "7"})
    world.sync()
    if retyped:
        world.sandbox.add_property({"name": "points", "label": "Points", "type": "date", "fieldType": "date"})
    else:
        world.sandbox.archive_property("points")
    world.clock.advance(2 * 3600)
    world.sandbox.update(record, {"firstname": "Anna"})

    done = world.sync()

    assert done.state == "done"
    assert world.of_record(record).fields["first_name"] == "Anna"
    assert world.of_record(record).fields["custom.points"] == "7"


def test_a_portal_out_of_reach_makes_the_run_wait(world: World) -> None:
    world.sandbox.fault("lost_reply_before", count=100)

    waiting = world.go(world.ask())

    assert waiting.state == "waiting"
    with world.app.db.read(world.ws) as tx:
        assert runs.live(tx, PORTAL) is not None


def test_a_second_click_is_told_of_the_first_one(world: World) -> None:
    first = world.ask()

    with pytest.raises(AppError) as told:
        run.request(world.app, world.ws, PORTAL, trigger="button", actor=OWNER)

    assert told.value.present.id == first.id  # type: ignore[attr-defined]
