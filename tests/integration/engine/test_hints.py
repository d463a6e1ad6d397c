"""What HubSpot's hints lead to: a look at the records they name, and nothing taken from them."""

from __future__ import annotations

import pytest
from tests.support.consent import MAPPED, a_person, sendable
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState
from mercuri.engine import hints, inbox, run
from mercuri.hubspot.webhooks import Hint, parse
from mercuri.sandbox.answers import encode
from mercuri.store import outbox, portals, runs
from mercuri.store.runs import Run


def listening(world: World, *, disorder: bool = False) -> None:
    """Let the sandbox keep its events, as if it had somewhere to post them to."""
    world.sandbox.switch(webhook_disorder=disorder)
    world.sandbox.webhooks.target = "https://mercuri.test/webhooks/hubspot"


def events(world: World) -> list[Hint]:
    return [hint for call in world.sandbox.webhooks.take() for hint in parse(encode(call))]


def hear(world: World) -> None:
    inbox.accept(world.app, events(world))
    inbox.take_in(world.app)


def look(world: World) -> Run | None:
    """What the duties do, and the run that they asked for."""
    inbox.take_in(world.app)
    hints.look(world.app, world.ws)
    with world.app.db.read(world.ws) as tx:
        asked = runs.live(tx, PORTAL)
    return world.go(asked) if asked else None


def waiting(world: World) -> int:
    inbox.take_in(world.app)
    with world.app.db.read(world.ws) as tx:
        return outbox.count(tx, PORTAL, "look")


def a_record(world: World, name: str = "Ana") -> str:
    record = world.sandbox.create({"firstname": name, "email": f"{name.lower()}@example.com"})
    world.sync()
    listening(world)
    return record


def test_a_change_in_hubspot_arrives_by_its_hint_with_one_request(both: World) -> None:
    record = a_record(both)
    both.sandbox.update(record, {"firstname": "Anna"})
    both.sandbox.reset_counts()

    hear(both)
    done = look(both)

    assert both.of_record(record).fields["first_name"] == "Anna"
    assert done is not None
    assert (done.trigger, done.state, done.counts["updated"]) == ("webhook", "done", 1)
    assert both.sandbox.counts()["read"] == sum(both.sandbox.counts()[kind] for kind in ("list", "search", "read")) == 1
    assert waiting(both) == 0


def test_the_value_in_an_event_is_not_believed(world: World) -> None:
    record = a_record(world)
    lie = {"subscriptionType": "contact.propertyChange", "portalId": 4242, "objectId": int(record)}
    lie |= {"propertyName": "firstname", "propertyValue": "Mallory"}

    inbox.accept(world.app, parse(encode([lie])))
    look(world)

    assert world.of_record(record).fields["first_name"] == "Ana"


def test_a_new_record_arrives_by_its_hint(world: World) -> None:
    a_record(world)
    record = world.sandbox.create({"firstname": "Bo", "email": "bo@example.com"})

    hear(world)
    look(world)

    assert world.of_record(record).fields["first_name"] == "Bo"


def test_a_deletion_and_a_restore_are_followed_by_their_hints(both: World) -> None:
    record = a_record(both)
    contact = both.of_record(record).id
    both.sandbox.archive(record)
    hear(both)
    look(both)
    asleep = both.link(record)

    both.sandbox.restore(record)
    hear(both)
    look(both)

    awake = both.link(record)
    assert asleep is not None
    assert asleep.state is LinkState.ASLEEP
    assert awake is not None
    assert awake.state is LinkState.LIVE
    assert awake.contact_id == contact


def test_a_merge_is_followed_by_its_hints(both: World) -> None:
    one, other = a_record(both), a_record(both, "Bo")
    survivor = both.sandbox.merge(one, other)
    hear(both)
    look(both)

    link = both.link(survivor)
    assert link is not None
    assert link.state is LinkState.LIVE
    assert list(both.contacts()) == [link.contact_id]


def test_a_privacy_deletion_erases_the_person_here(both: World) -> None:
    record = a_record(both)
    both.sandbox.erase(record)

    hear(both)
    look(both)

    assert not both.contacts()


def test_events_twice_and_in_any_order_lead_to_the_same(world: World) -> None:
    records = [a_record(world, name) for name in ("Ana", "Bo", "Cleo")]
    listening(world, disorder=True)
    for record in records:
        world.sandbox.update(record, {"firstname": "first"})
        world.sandbox.update(record, {"firstname": "second"})
    world.sandbox.archive(records[0])
    world.sandbox.restore(records[0])

    heard = events(world)
    inbox.accept(world.app, [*heard[::-1], *heard])
    look(world)

    assert [world.of_record(record).fields["first_name"] for record in records] == ["second"] * 3
    assert all((link := world.link(record)) and link.state is LinkState.LIVE for record in records)


def test_no_hint_no_run(world: World) -> None:
    a_record(world)

    assert look(world) is None


def test_a_hint_begins_no_first_load(world: World) -> None:
    listening(world)
    world.sandbox.create({"firstname": "Ana"})

    hear(world)

    assert look(world) is None
    assert waiting(world) == 1


def test_a_hint_during_a_run_is_looked_at_after_it(world: World) -> None:
    record = a_record(world)
    asked = world.ask(full=True)
    world.sandbox.update(record, {"firstname": "Anna"})
    hear(world)

    hints.look(world.app, world.ws)
    world.go(asked)
    done = look(world)

    assert done is not None
    assert done.trigger == "webhook"
    assert waiting(world) == 0


def test_after_a_look_that_a_person_stopped_the_hints_wait_a_while(world: World) -> None:
    record = a_record(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    hear(world)
    hints.look(world.app, world.ws)
    with world.app.db.read(world.ws) as tx:
        asked = runs.live(tx, PORTAL)
    assert asked is not None
    run.cancel(world.app, world.ws, asked.id, OWNER)

    at_once = look(world)
    world.clock.advance(601)
    later = look(world)

    assert at_once is None
    assert later is not None
    assert later.state == "done"
    assert world.of_record(record).fields["first_name"] == "Anna"


def test_hints_about_a_portal_that_nobody_here_has_are_left_out(world: World) -> None:
    a_record(world)
    stranger = {"subscriptionType": "contact.creation", "portalId": 999, "objectId": 7}

    noted = inbox.accept(world.app, parse(encode([stranger])))

    assert noted == 0
    assert waiting(world) == 0


def test_the_moment_of_the_last_hint_is_kept(world: World) -> None:
    record = a_record(world)
    world.sandbox.update(record, {"firstname": "Anna"})

    hear(world)

    with world.app.db.read(world.ws) as tx:
        assert portals.get(tx, PORTAL).hint_at == world.clock.now()


def test_a_call_waits_for_no_run_that_holds_the_database(world: World) -> None:
    record = a_record(world)
    world.sandbox.update(record, {"firstname": "Anna"})

    with world.app.db.write(world.ws):
        inbox.accept(world.app, events(world))

    assert waiting(world) == 1


def test_what_was_kept_is_taken_in_after_a_crash_even_if_it_was_half_taken_in_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = a_record(world)
    world.sandbox.update(record, {"firstname": "Anna"})
    assert world.app.db.inbox is not None
    inbox.accept(world.app, events(world))
    with monkeypatch.context() as crashing:
        crashing.setattr(world.app.db.inbox, "drop", _die)
        with pytest.raises(KeyboardInterrupt):
            inbox.take_in(world.app)
    kept = len(world.app.db.inbox.first())

    done = look(world)

    assert kept == 1
    assert done is not None
    assert done.counts["fetched"] == 1
    assert world.app.db.inbox.first() == []


def _die(_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_takes_in_what_no_worker_has(world: World) -> None:
    record = a_record(world)
    world.sandbox.erase(record)
    inbox.accept(world.app, events(world))

    world.sync()

    assert not world.contacts()


def test_a_record_that_a_hint_points_at_is_looked_at_with_its_history(world: World) -> None:
    other = "+14155552673"
    record = a_person(world)
    listening(world)
    world.clock.advance(60)
    world.sandbox.update(record, {"phone": other})
    world.sync()
    world.settings(consent_mapping=[])
    world.sync(full=True)
    world.settings(consent_mapping=MAPPED)
    events(world)

    world.sandbox.update(record, {"firstname": "Anna"})
    hear(world)
    look(world)

    assert world.link(record).shadow["sms_opt_in"] == "true"
    assert not sendable(world, other)
