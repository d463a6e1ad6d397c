"""Contacts that HubSpot refuses: counted as failing while they fail, and tried again once there is reason to hope."""

from __future__ import annotations

from tests.support.world import OWNER, PORTAL, World, adds_up

from mercuri.engine import run
from mercuri.store import failures
from mercuri.store.runs import Run

STANDARD = [
    {"property": "firstname", "field": "first_name"},
    {"property": "lastname", "field": "last_name"},
    {"property": "email", "field": "email"},
]
TEAM = {"name": "team", "label": "Team", "groupName": "contactinformation"}
CHOICE = {**TEAM, "type": "enumeration", "fieldType": "select"}
TEXT = {**TEAM, "type": "string", "fieldType": "text"}


def pairs(world: World) -> tuple[str, int]:
    """Ana and Bo on both sides; Ana's record and contact."""
    world.sandbox.create({"firstname": "Bo", "email": "bo@example.com"})
    record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
    world.sync()
    return record, world.of_record(record).id


def run_at_once(world: World) -> Run:
    """A run that takes the schema of the last one for young enough."""
    return world.go(run.request(world.app, world.ws, PORTAL, trigger="button", actor=OWNER))


def failing_of(world: World, done: Run) -> list[int | None]:
    assert adds_up(done)
    with world.app.db.read(world.ws) as tx:
        listed = [failure.contact_id for failure in failures.of_run(tx, done.id)]
    assert done.counts["failing"] == len(listed)
    return listed


def test_a_contact_that_fails_is_counted_as_failing_by_every_run_that_meets_it(both: World) -> None:
    _, ana = pairs(both)
    both.edit(ana, email="not an e-mail")

    assert failing_of(both, both.sync()) == [ana]
    full = both.sync(full=True)
    assert failing_of(both, full) == [ana]
    assert full.counts["unchanged"] == 1

    both.edit(ana, email="ana@work.example.com")
    for _ in range(2):
        mended = both.sync(full=True)
        assert failing_of(both, mended) == []
        assert mended.counts["unchanged"] == 2


def test_a_contact_that_cannot_be_created_is_counted_once_in_a_run(both: World) -> None:
    both.sync()
    bad = both.create(first_name="Bad", email="not an e-mail")

    assert failing_of(both, both.sync()) == [bad]


def test_a_run_that_somebody_asked_for_tries_at_once_what_the_schedule_tries_later(both: World) -> None:
    record, ana = pairs(both)
    both.edit(ana, first_name="Anna")
    both.sandbox.fault("lost_reply_before", match="batch/update")
    run_at_once(both)
    both.clock.advance(30)
    assert failing_of(both, run_at_once(both)) == [ana]  # it may still arrive
    both.clock.advance(200)

    both.go(run.request(both.app, both.ws, PORTAL, trigger="schedule", actor=OWNER))
    assert both.record(record)["firstname"] == "Ana"
    run_at_once(both)

    assert both.record(record)["firstname"] == "Anna"
    assert not both.failures()


def test_a_property_that_is_gone_fails_once_and_is_sent_when_it_comes_back(both: World) -> None:
    both.sandbox.add_property(TEXT)
    both.settings(mapping=[*STANDARD, {"property": "team", "field": "custom.team"}])
    record, ana = pairs(both)
    both.sandbox.archive_property("team")
    both.edit(ana, **{"custom.team": "Red"})

    assert failing_of(both, run_at_once(both)) == [ana]
    assert [failure.message for failure in both.failures()] == ["The property “Team” no longer exists in HubSpot."]
    assert failing_of(both, both.sync()) == []
    assert not both.failures()
    both.sandbox.add_property(TEXT)
    both.clock.advance(3600)
    both.sync()

    assert both.record(record)["team"] == "Red"


def test_a_property_that_came_back_before_anyone_looked_is_tried_again(world: World) -> None:
    world.sandbox.add_property(TEXT)
    world.settings(mapping=[*STANDARD, {"property": "team", "field": "custom.team"}])
    record, ana = pairs(world)
    world.sandbox.archive_property("team")
    world.edit(ana, **{"custom.team": "Red"})
    run_at_once(world)

    world.sandbox.add_property(TEXT)
    world.sync()

    assert world.record(record)["team"] == "Red"
    assert not world.failures()


def test_a_value_that_is_no_option_is_tried_again_once_the_options_change(world: World) -> None:
    red = {"label": "Red", "value": "red"}
    world.sandbox.add_property({**CHOICE, "options": [red]})
    world.settings(mapping=[*STANDARD, {"property": "team", "field": "custom.team"}])
    record, ana = pairs(world)
    world.edit(ana, **{"custom.team": "blue"})
    world.sync()
    [failure] = world.failures()
    attempts = [failure.attempts]
    assert failure.message == "The value of “Team” is not one of its choices in HubSpot."
    assert failure.fix.startswith("Options: Red. ")

    world.clock.advance(3600)
    world.sync()
    assert [failure.attempts for failure in world.failures()] == attempts == [1]
    world.sandbox.archive_property("team")
    world.sandbox.add_property({**CHOICE, "options": [red, {"label": "Blue", "value": "blue"}]})
    world.clock.advance(3600)
    world.sync()

    assert world.record(record)["team"] == "blue"
    assert not world.failures()


def test_a_field_that_is_mapped_no_more_fails_no_more(world: World) -> None:
    world.sandbox.add_property({**CHOICE, "options": [{"label": "Red", "value": "red"}]})
    world.settings(mapping=[*STANDARD, {"property": "team", "field": "custom.team"}])
    _, ana = pairs(world)
    world.edit(ana, **{"custom.team": "blue"})
    world.sync()
    assert len(world.failures()) == 1

    world.settings(mapping=STANDARD)
    world.sync()

    assert not world.failures()
