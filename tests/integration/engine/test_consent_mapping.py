"""The mapping of HubSpot's properties to consent: counted, checked, heard, and what is wrong with it reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.consent import MAPPED, PHONE, a_person, label, push, says, sendable
from tests.support.world import OWNER, PORTAL, World

from mercuri.cli.sync import exit_code
from mercuri.engine import consent, consent_counts, consent_setup, edit, optouts, portal
from mercuri.errors import UserError
from mercuri.store import failures, outbox, portals

CHOICES = [{"label": name, "value": name} for name in ("Yes", "No", "not_asked", "Stop all")]
LISTED: dict[str, Any] = {
    "property": "sms_consent",
    "channel": "sms",
    "kind": "enumeration",
    "values": {"Yes": "in", "No": "out"},
}
WHATSAPP = {**LISTED, "channel": "whatsapp"}
STOPS = {**LISTED, "values": {**LISTED["values"], "Stop all": "out"}}


def test_the_counts_show_an_inverted_mapping_before_it_is_saved(world: World) -> None:
    for value in ("true", "true", "true", "false", ""):
        world.sandbox.create({"firstname": "A", "phone": PHONE, "sms_opt_in": value})
    for number in range(3):
        world.sandbox.create({"firstname": "B", "phone": f"+1415555266{number}", "sms_opt_in": "true"})
    world.sync()
    right = consent_setup.item_from(MAPPED[0])
    inverted = consent_setup.item_from({**MAPPED[0], "kind": "opt_out"})

    good = consent_counts.count(world.app, world.ws, PORTAL, right)
    bad = consent_counts.count(world.app, world.ws, PORTAL, inverted)

    assert (good.buckets.said_in, good.buckets.said_out, good.buckets.silent) == (6, 1, 1)
    assert (bad.buckets.said_in, bad.buckets.said_out, bad.buckets.silent) == (1, 6, 1)
    assert good.label_changes == 6
    assert not good.is_partial


def test_a_property_mapped_later_is_heard_of_every_record_by_the_next_run(both: World) -> None:
    record = both.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_opt_in": "true"})
    both.sync()
    assert label(both, record) == "not_subscribed"
    portal.change_settings(both.app, both.ws, PORTAL, {"consent_mapping": MAPPED}, OWNER)

    done = both.sync()

    assert done.kind == "full"
    assert label(both, record) == "subscribed"
    assert both.sync().kind == "incremental"
    counted = consent_counts.count(both.app, both.ws, PORTAL, consent_setup.item_from(MAPPED[0]))
    assert (counted.buckets.said_in, counted.label_changes) == (1, 0)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"property": "no_such", "channel": "sms", "kind": "opt_in"}, "no property no_such"),
        ({"property": "jobtitle", "channel": "sms", "kind": "opt_in"}, "cannot read that"),
        ({"property": "hs_email_optout", "channel": "sms", "kind": "opt_out"}, "e-mail only"),
        ({"property": "mercuri_sms_status", "channel": "sms", "kind": "opt_in"}, "our own voice"),
        (
            {"property": "sms_consent", "channel": "sms", "kind": "enumeration", "values": {"Maybe": "in"}},
            "has no option 'Maybe'",
        ),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(world: World, item: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        portal.change_settings(world.app, world.ws, PORTAL, {"consent_mapping": [item]}, OWNER)


def test_an_opt_out_that_waited_for_a_mapping_is_passed_on_once_there_is_one(world: World) -> None:
    record = a_person(world)
    world.settings(consent_mapping=[])
    says(world, "STOP")
    push(world)
    assert world.failures()

    portal.change_settings(world.app, world.ws, PORTAL, {"consent_mapping": MAPPED}, OWNER)
    world.sync()
    push(world)

    assert world.record(record)["sms_opt_in"] == "false"
    assert not world.failures()


def test_a_new_mapping_tells_of_all_that_is_closed_in_steps_that_survive_a_kill(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optouts, "STEP", 2)
    numbers = [f"+1415555267{number}" for number in range(5)]
    records = [both.sandbox.create({"firstname": "Ana", "phone": number}) for number in numbers]
    both.settings(consent_mapping=[])
    both.sync()
    for number in numbers:
        consent.record(both.app, both.ws, "sms", number, "message", OWNER, text="STOP")
    push(both)

    both.settings(consent_mapping=MAPPED)

    assert _waiting(both) == 2  # the save itself is short, however many there are
    with pytest.raises(KeyboardInterrupt):
        _killed_at_the_next_step(both)
    push(both)
    assert [both.record(record).get("sms_opt_in") for record in records] == ["false"] * 5


def _killed_at_the_next_step(world: World) -> None:
    with world.app.db.write(world.ws) as tx:
        optouts.note_next(tx, PORTAL, world.clock.now())
        raise KeyboardInterrupt


def _waiting(world: World) -> int:
    with world.app.db.read(world.ws) as tx:
        return outbox.count(tx, PORTAL, "consent")


def test_a_mapped_property_that_vanished_is_reported_and_changes_nothing(world: World) -> None:
    record = a_person(world)
    world.sandbox.archive_property("sms_opt_in")
    world.clock.advance(7200)
    world.sync()

    setup = consent_setup.setup_of(world.app, world.ws, PORTAL)

    assert setup.warnings == [
        "sms_opt_in no longer exists in HubSpot. What it said about SMS stays; it says nothing new."
    ]
    assert label(world, record) == "subscribed"


def a_chosen(world: World, option: str = "Stop all", mapping: Sequence[dict[str, Any]] = (LISTED,)) -> str:
    """A record that holds an option which HubSpot got after the list was mapped."""
    world.settings(two_way=False, consent_mapping=list(mapping))
    world.sandbox.add_property({"name": "sms_consent", "options": CHOICES})
    record = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_consent": "Yes"})
    world.sync()
    world.clock.advance(60)
    world.sandbox.update(record, {"sms_consent": option})
    world.clock.advance(7200)
    world.sync()
    return record


def test_a_new_option_says_nothing_and_is_named_with_the_records_that_hold_it(both: World) -> None:
    record = a_chosen(both)

    setup = consent_setup.setup_of(both.app, both.ws, PORTAL)

    assert label(both, record) == "subscribed"
    [warning] = setup.warnings
    assert "the new option 'Stop all'" in warning
    [unread] = setup.unread
    assert (unread.count, [one.raw for one in unread.examples]) == (1, ["sms_consent: Stop all"])
    [failure] = both.failures()
    assert (failure.record_id, failure.contact_id) == (record, both.of_record(record).id)


def test_an_option_is_heard_as_soon_as_it_is_given_a_meaning(both: World) -> None:
    record = a_chosen(both)

    both.settings(consent_mapping=[STOPS])

    assert label(both, record) == "not_subscribed"
    assert not both.failures()
    assert not consent_setup.setup_of(both.app, both.ws, PORTAL).warnings


def test_an_option_that_is_newer_than_what_is_known_of_the_properties_can_be_given_a_meaning(world: World) -> None:
    world.settings(consent_mapping=[LISTED])
    world.sandbox.add_property({"name": "sms_consent", "options": CHOICES})

    world.settings(consent_mapping=[STOPS])

    with world.app.db.read(world.ws) as tx:
        [item] = portals.get(tx, PORTAL).settings.consent_mapping
    assert item.values["Stop all"] == "out"
    assert "Stop all" in item.options


def test_an_option_is_refused_as_one_that_is_not_there_when_hubspot_cannot_be_asked(world: World) -> None:
    world.sandbox.add_property({"name": "sms_consent", "options": CHOICES})
    world.sandbox.fault("outage", match="properties")

    with pytest.raises(UserError, match="sms_consent has no option 'Stop all'"):
        world.settings(consent_mapping=[STOPS])


def test_an_option_that_is_to_say_nothing_is_reported_no_more(world: World) -> None:
    record = a_chosen(world)

    world.settings(consent_mapping=[{**LISTED, "options": [choice["value"] for choice in CHOICES]}])

    assert label(world, record) == "subscribed"
    assert not world.failures()
    assert not consent_setup.setup_of(world.app, world.ws, PORTAL).warnings


def test_an_option_is_heard_for_the_channel_for_which_it_is_given_a_meaning(both: World) -> None:
    record = a_chosen(both, mapping=[LISTED, WHATSAPP])
    assert len(both.failures()) == 2

    both.settings(consent_mapping=[STOPS, WHATSAPP])

    assert label(both, record) == "not_subscribed"
    [failure] = both.failures()
    assert failure.key == f"consent:sms_consent:whatsapp:{record}"
    assert consent.check(both.app, both.ws, "whatsapp", [PHONE])[0].sendable
    [unread] = consent_setup.setup_of(both.app, both.ws, PORTAL).unread
    assert (unread.count, unread.examples) == (1, [failure])


def test_a_failure_that_an_earlier_version_kept_for_both_channels_is_taken_up_by_a_new_mapping(world: World) -> None:
    record = a_chosen(world, mapping=[LISTED, WHATSAPP])
    _as_once_kept(world, record)
    [one, other] = consent_setup.setup_of(world.app, world.ws, PORTAL).unread
    assert (one.count, one.examples) == (other.count, other.examples) == (1, world.failures())

    world.settings(consent_mapping=[STOPS, WHATSAPP])

    assert label(world, record) == "not_subscribed"
    assert [one.key for one in world.failures()] == [f"consent:sms_consent:whatsapp:{record}"]


def test_what_an_earlier_version_did_not_hear_is_heard_by_a_retry(world: World) -> None:
    record = a_chosen(world, mapping=[LISTED, WHATSAPP])
    _as_once_kept(world, record)
    with world.app.db.write(world.ws) as tx:
        settings = portals.get(tx, PORTAL).settings
        mapping = (consent_setup.item_from(STOPS), settings.consent_mapping[1])
        portals.update_settings(tx, PORTAL, replace(settings, consent_mapping=mapping))

    edit.retry_failures(world.app, world.ws, None, OWNER)

    assert label(world, record) == "not_subscribed"
    assert [one.key for one in world.failures()] == [f"consent:sms_consent:whatsapp:{record}"]


def test_a_failure_that_an_earlier_version_kept_is_over_when_the_record_can_be_read(world: World) -> None:
    record = a_chosen(world)
    _as_once_kept(world, record)

    world.clock.advance(60)
    world.sandbox.update(record, {"sms_consent": "No"})
    world.sync()

    assert not world.failures()


def _as_once_kept(world: World, record: str) -> None:
    """The failures of a record's list as they were kept before they named the channel."""
    noted = world.failures()
    with world.app.db.write(world.ws) as tx:
        failures.clear(tx, PORTAL, [one.key for one in noted])
        failures.put(tx, replace(noted[-1], key=f"consent:sms_consent:{record}"))


def test_a_value_that_cannot_be_read_opens_nothing_and_is_no_failure_once_it_can(world: World) -> None:
    record = a_person(world, "")
    world.sandbox.archive_property("sms_opt_in")
    world.sandbox.add_property(
        {"name": "sms_opt_in", "label": "SMS", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    )
    world.sandbox.update(record, {"sms_opt_in": "yes please"})
    done = world.sync()

    [failure] = world.failures()
    assert not sendable(world)
    assert (failure.run, failure.raw) == (done.id, "sms_opt_in: yes please")
    assert (done.state, done.message, exit_code(done)) == ("done", "1 could not be synced; each has its reason.", 3)
    assert "neither true nor false" in failure.message
    edit.retry_failures(world.app, world.ws, [failure.id], OWNER)
    assert world.failures() == [failure]
    world.clock.advance(60)
    world.sandbox.update(record, {"sms_opt_in": "true"})
    world.sync()
    assert not world.failures()


def test_what_is_mapped_no_more_is_no_failure(world: World) -> None:
    a_chosen(world)

    world.settings(consent_mapping=[])

    assert not world.failures()


def test_a_property_that_has_said_nothing_new_for_long_is_reported(world: World) -> None:
    a_person(world)
    world.clock.advance(timedelta(days=91).total_seconds())

    assert consent_setup.setup_of(world.app, world.ws, PORTAL).warnings == [
        "sms_opt_in has said nothing new since 09 March 2026. Is it still filled in HubSpot?"
    ]


def test_an_opt_out_from_while_nothing_was_connected_is_told_on_reconnecting(both: World) -> None:
    record = a_person(both)
    portal.disconnect(both.app, both.ws, PORTAL, OWNER)
    says(both, "STOP")

    both.connect()
    push(both)

    assert both.record(record)["sms_opt_in"] == "false"
