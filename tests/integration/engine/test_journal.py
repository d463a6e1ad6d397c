"""HubSpot's journal, read where HubSpot cannot call us: hints in order, none lost, and a gap that says so."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState
from mercuri.engine import hints, journal, portal
from mercuri.errors import UserError
from mercuri.jobs import schedule
from mercuri.store import portals, runs
from mercuri.store.runs import Run
from mercuri.web.pages.connection import journal_light

DAY = 86_400


def reading(world: World) -> dict[str, Any]:
    """How far the journal is read."""
    with world.app.db.read(world.ws) as tx:
        return dict(portals.get(tx, PORTAL).journal)


def read(world: World) -> Run | None:
    """What the duties do: read the journal, then look at what it hinted at."""
    journal.read(world.app, world.ws)
    hints.look(world.app, world.ws)
    return live(world, go=True)


def live(world: World, *, go: bool = False) -> Run | None:
    with world.app.db.read(world.ws) as tx:
        asked = runs.live(tx, PORTAL)
    return world.go(asked) if asked and go else asked


def a_record(world: World, name: str = "Ana") -> str:
    """A person on both sides, with the journal turned on and read once."""
    record = world.sandbox.create({"firstname": name, "email": f"{name.lower()}@example.com"})
    world.sync()
    world.settings(journal=True)
    journal.read(world.app, world.ws)
    return record


def test_a_change_in_hubspot_arrives_by_the_journal_without_a_search(both: World) -> None:
    record = a_record(both)
    both.sandbox.update(record, {"firstname": "Anna"})
    both.sandbox.reset_counts()

    done = read(both)

    assert done is not None
    assert (done.trigger, done.state, done.counts["updated"]) == ("webhook", "done", 1)
    assert both.of_record(record).fields["first_name"] == "Anna"
    assert both.sandbox.counts()["search"] == 0


def test_deletions_restores_merges_and_erasures_arrive_by_the_journal(both: World) -> None:
    one, other, third = a_record(both), a_record(both, "Bo"), a_record(both, "Cleo")
    both.sandbox.archive(one)
    read(both)
    asleep = both.link(one)
    both.sandbox.restore(one)
    read(both)
    awake = both.link(one)
    survivor = both.sandbox.merge(one, other)
    read(both)
    both.sandbox.erase(third)
    read(both)

    assert asleep is not None
    assert asleep.state is LinkState.ASLEEP
    assert awake is not None
    assert awake.state is LinkState.LIVE
    assert [person.id for person in both.contacts().values()] == [both.of_record(survivor).id]


def test_the_offset_is_stored_with_the_hints_and_nothing_is_read_twice(both: World) -> None:
    record = a_record(both)
    both.sandbox.update(record, {"firstname": "Anna"})
    read(both)
    offset = reading(both)["offset"]

    again = read(both)

    assert again is None
    assert reading(both)["offset"] == offset


def test_a_file_that_cannot_be_fetched_stays_the_next_one(world: World) -> None:
    record = a_record(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    offset = reading(world).get("offset")
    world.sandbox.fault("503", match="journal-files")

    journal.read(world.app, world.ws)
    trouble = reading(world)
    world.clock.advance(301)
    done = read(world)

    assert (trouble.get("offset"), "could not be fetched" in trouble["problem"]) == (offset, True)
    assert done is not None
    assert world.of_record(record).fields["first_name"] == "Anna"
    assert reading(world)["problem"] == ""


def test_after_three_days_of_silence_a_full_run_finds_what_the_journal_has_forgotten(both: World) -> None:
    record = a_record(both)
    a_record(both, "Bo")
    both.sandbox.archive(record)
    both.clock.advance(4 * DAY)

    journal.read(both.app, both.ws)
    schedule.start_sweeps(both.app, both.ws)
    asked = live(both)
    assert asked is not None
    both.go(asked)
    schedule.start_sweeps(both.app, both.ws)

    asleep = both.link(record)
    assert (asked.kind, asked.trigger) == ("full", "schedule")
    assert asleep is not None
    assert asleep.state is LinkState.ASLEEP
    assert live(both) is None


def test_within_three_days_nothing_is_lost_and_no_full_run_follows(world: World) -> None:
    record = a_record(world)
    world.sandbox.archive(record)
    world.clock.advance(2 * DAY)

    read(world)
    schedule.start_sweeps(world.app, world.ws)

    asleep = world.link(record)
    assert asleep is not None
    assert asleep.state is LinkState.ASLEEP
    assert live(world) is None


def test_another_mapping_is_subscribed_to_and_the_narrower_subscription_is_taken_off(world: World) -> None:
    record = a_record(world)
    columns = [{"property": name, "field": field} for name, field in (("email", "email"), ("city", "custom.city"))]
    world.settings(mapping=columns)
    world.sync()
    journal.read(world.app, world.ws)

    world.sandbox.update(record, {"city": "Paris"})
    read(world)

    assert world.of_record(record).fields["custom.city"] == "Paris"
    assert [one.kind for one in world.sandbox.journal.subscriptions()] == ["GDPR_PRIVACY_DELETION", "OBJECT"]


def test_a_missing_scope_is_named_and_tried_again_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sync()
    world.settings(journal=True)
    with monkeypatch.context() as patched:
        patched.setattr(journal, "SCOPES", ("crm.objects.contacts.read",))
        journal.read(world.app, world.ws)
    said = reading(world)["problem"]
    at_once = read(world), reading(world)["problem"]
    world.clock.advance(301)
    journal.read(world.app, world.ws)

    assert "developer.webhooks_journal" in said
    assert at_once == (None, said)
    assert reading(world)["problem"] == ""


def test_a_journal_begins_no_first_load(world: World) -> None:
    world.settings(journal=True)
    world.sandbox.create({"firstname": "Ana"})

    assert read(world) is None
    assert reading(world) == {}


def test_without_an_app_of_our_own_the_journal_is_refused_with_the_reason(world: World) -> None:
    bare = world.app.settings.model_copy(update={"hubspot_client_id": ""})
    object.__setattr__(world.app, "settings", bare)

    with pytest.raises(UserError, match="MERCURI_HUBSPOT_CLIENT_ID"):
        portal.change_settings(world.app, world.ws, PORTAL, {"journal": True}, OWNER)


def test_the_light_tells_how_long_the_journal_was_unheard(world: World) -> None:
    a_record(world)
    before = world.clock.now()
    world.clock.advance(4 * DAY)

    journal.read(world.app, world.ws)

    with world.app.db.read(world.ws) as tx:
        found = portals.get(tx, PORTAL)
    assert journal.gap_at(found) is not None
    assert found.journal["gap_from"] == before.isoformat()


def test_an_offset_that_hubspot_does_not_know_is_a_gap_and_the_reading_goes_on(world: World) -> None:
    record = a_record(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    with world.app.db.write(world.ws) as tx:
        portals.save(tx, PORTAL, journal={**portals.get(tx, PORTAL).journal, "offset": "lost"})

    read(world)

    with world.app.db.read(world.ws) as tx:
        found = portals.get(tx, PORTAL)
    assert journal.gap_at(found) == world.clock.now()
    assert "HubSpot no longer knew the place" in journal_light(found, world.clock.now()).about
    assert world.of_record(record).fields["first_name"] == "Anna"
