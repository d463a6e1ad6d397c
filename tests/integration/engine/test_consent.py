"""Consent between the registers, the labels and a sandbox: what opens, what closes, and what HubSpot is told."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.support.consent import MAPPED, PHONE, a_person, label, push, says, sendable
from tests.support.sandbox import Meddler
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.consent import Entry, Registers, State, shown
from mercuri.engine import consent, consent_check, consent_setup, edit, hints, merging, run
from mercuri.errors import UserError
from mercuri.hubspot.pacing import Limit, Pacer
from mercuri.store import consent as store
from mercuri.store import outbox, portals, runs, users
from mercuri.store.consent import Held
from mercuri.store.runs import Run


def test_a_mapped_property_opens_and_its_value_is_the_proof(both: World) -> None:
    record = a_person(both)

    found = consent.explain(both.app, both.ws, "sms", "(415) 555-2671")

    assert label(both, record) == "subscribed"
    assert found.verdict.sendable
    [event] = found.evidence
    assert event.proof["sms_opt_in"] == "true"
    assert event.source_key == (PORTAL, record, "sms_opt_in")


@pytest.mark.parametrize("value", ["", "false"])
def test_nobody_is_subscribed_without_a_yes(world: World, value: str) -> None:
    record = a_person(world, value)

    assert label(world, record) == "not_subscribed"
    assert not sendable(world)


def test_a_stop_reaches_hubspot_at_once_with_two_way_off_and_nothing_else_allowed_out(both: World) -> None:
    record = a_person(both)
    inward = [{"property": "phone", "field": "phone", "direction": "in"}]
    both.settings(mapping=inward, schedule="off", conflict_policy="hubspot")

    answer = says(both, "Arrêt!")
    told = push(both)

    assert answer.heard == "out"
    assert told == 1
    assert both.record(record)["sms_opt_in"] == "false"
    assert label(both, record) == "not_subscribed"
    assert not sendable(both)


def test_our_own_write_coming_back_says_nothing(world: World) -> None:
    a_person(world)
    says(world, "STOP")
    push(world)
    world.sync()

    says(world, "START")

    assert sendable(world)
    assert [e.kind for e in consent.explain(world.app, world.ws, "sms", PHONE).evidence] == [
        "property",
        "message",
        "message",
    ]


def test_our_own_write_says_nothing_when_nobody_saw_it_end(world: World) -> None:
    record = a_person(world)
    says(world, "STOP")
    world.sandbox.fault("lost_reply_after", match="batch/update")
    push(world)
    assert world.record(record)["sms_opt_in"] == "false"
    link = world.link(record)
    assert link is not None
    seen = consent.Observed(link.contact_id, link.record_id, {**link.shadow, "sms_opt_in": "false"}, link.shadow)

    with world.app.db.write(world.ws) as tx:
        consent.hear_records(tx, portals.get(tx, PORTAL), [seen], None, world.app.now())
    world.sync()
    world.clock.advance(3600)
    push(world)

    kinds = [e.kind for e in consent.explain(world.app, world.ws, "sms", PHONE).evidence]
    assert kinds == ["property", "message"]
    assert not world.failures()


def test_a_record_that_is_gone_is_told_of_a_stop_once_it_is_back(both: World) -> None:
    record = a_person(both)
    both.sandbox.archive(record)
    says(both, "STOP")
    push(both)
    assert [failure.kind for failure in both.failures()] == ["gone"]

    both.sandbox.restore(record)
    both.clock.advance(86_400)
    push(both)

    assert both.record(record)["sms_opt_in"] == "false"
    assert not both.failures()


def test_a_run_that_somebody_asks_for_leaves_alone_what_is_being_told(both: World) -> None:
    a_person(both)
    says(both, "STOP")
    due: list[object] = []

    def press() -> None:
        run.request(both.app, both.ws, PORTAL, trigger="button", actor=OWNER)
        with both.app.db.read(both.ws) as tx:
            due.extend(outbox.due(tx, PORTAL, "consent", both.clock.now()))

    http = httpx.Client(transport=Meddler(both.sandbox, "batch/update", press))
    told = consent.push_outs(replace(both.app, http=http), both.ws, PORTAL)

    assert (told, due) == (1, [])


def test_hubspot_that_says_yes_after_a_stop_is_corrected_twice_and_then_reported(both: World) -> None:
    record = a_person(both)
    says(both, "STOP")
    push(both)
    corrections = 0
    for _ in range(5):
        both.clock.advance(60)
        both.sandbox.update(record, {"sms_opt_in": "true"})
        both.sync()
        push(both)
        corrections += both.record(record)["sms_opt_in"] == "false"
        assert label(both, record) == "not_subscribed"
        assert not sendable(both)

    assert corrections == 2
    [failure] = both.failures()
    assert "turned this opt-out back on" in failure.message


def test_the_alert_names_the_record_on_which_hubspot_turns_it_back(world: World) -> None:
    world.sandbox.create({"firstname": "Twin", "phone": PHONE})
    record = a_person(world)
    says(world, "STOP")
    push(world)
    for _ in range(3):
        world.clock.advance(60)
        world.sandbox.update(record, {"sms_opt_in": "true"})
        world.sync()

    [failure] = world.failures()
    assert (failure.record_id, failure.contact_id) == (record, world.of_record(record).id)


def test_whoever_slipped_in_hubspot_corrects_it_there(both: World) -> None:
    record = a_person(both, "false")
    both.clock.advance(1)
    both.sandbox.update(record, {"sms_opt_in": "true"})

    both.sync()

    assert label(both, record) == "subscribed"


def test_another_record_with_the_same_number_does_not_open_it(both: World) -> None:
    record = a_person(both, "false")
    both.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_opt_in": "true"})

    both.sync()

    assert label(both, record) == "not_subscribed"


@pytest.mark.parametrize("kept_out", ["merged", "deleted"])
def test_a_no_of_a_record_that_is_kept_out_closes_its_number(both: World, kept_out: str) -> None:
    record = a_person(both)
    other = both.sandbox.create({"firstname": "Ann", "phone": PHONE, "sms_opt_in": "true"})
    both.sync()
    mine, theirs = both.of_record(record).id, both.of_record(other).id
    if kept_out == "merged":
        merging.merge(both.app, both.ws, [mine, theirs], OWNER, survivor_id=mine)
    else:
        edit.delete_contact(both.app, both.ws, theirs, OWNER)
    both.sync()
    assert sendable(both)

    both.clock.advance(60)
    both.sandbox.update(other, {"sms_opt_in": "false", "firstname": "Anne"})
    run = both.sync()

    assert not sendable(both)
    assert label(both, record) == "not_subscribed"
    assert run.counts["excluded"] == 1
    assert both.of_record(record).fields["first_name"] == "Ana"
    both.clock.advance(60)
    both.sandbox.update(other, {"sms_opt_in": "true"})
    both.sync(full=True)
    assert sendable(both)


def test_a_stop_that_hubspot_turns_back_on_a_record_of_a_deleted_contact_is_written_again(both: World) -> None:
    record = a_person(both)
    edit.delete_contact(both.app, both.ws, both.of_record(record).id, OWNER)
    says(both, "STOP")
    push(both)
    assert both.record(record)["sms_opt_in"] == "false"

    both.clock.advance(60)
    both.sandbox.update(record, {"sms_opt_in": "true"})
    both.sync()
    push(both)

    assert not sendable(both)
    assert both.record(record)["sms_opt_in"] == "false"


def dates(world: World) -> None:
    """Map a pair of dates."""
    for name in ("sms_in", "sms_out"):
        world.sandbox.add_property(
            {"name": name, "label": name, "type": "date", "fieldType": "date", "groupName": "contactinformation"}
        )
    pair = {"channel": "sms", "kind": "date_pair", "in_property": "sms_in", "out_property": "sms_out"}
    world.settings(two_way=False, consent_mapping=[pair])


@pytest.mark.parametrize(("opted_in", "told"), [("2026-01-01", "2026-03-09"), ("2027-05-01", "2027-05-01")])
def test_a_stop_makes_a_pair_of_dates_say_no(world: World, opted_in: str, told: str) -> None:
    dates(world)
    record = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_in": opted_in})
    world.sync()

    says(world, "STOP")
    push(world)
    world.sync()

    assert world.record(record)["sms_out"] == told
    assert [e.kind for e in consent.explain(world.app, world.ws, "sms", PHONE).evidence] == ["property", "message"]


def test_a_pair_of_dates_speaks_when_either_was_set(world: World) -> None:
    dates(world)
    record = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_in": "2026-01-01"})
    world.sync()
    said = [label(world, record)]

    for values in ({"sms_out": "2026-02-01"}, {"sms_in": "2026-03-01"}):
        world.clock.advance(60)
        world.sandbox.update(record, values)
        world.sync()
        said.append(label(world, record))

    assert said == ["subscribed", "not_subscribed", "subscribed"]


def test_a_blank_opens_and_closes_nothing(world: World) -> None:
    record = a_person(world)
    world.sandbox.update(record, {"sms_opt_in": ""})

    world.sync()

    assert label(world, record) == "subscribed"


def test_a_no_follows_to_a_new_number_and_a_yes_does_not(both: World) -> None:
    refusing = a_person(both, "false")
    willing = both.sandbox.create({"firstname": "Bo", "phone": "+14155552672", "sms_opt_in": "true"})
    both.sync()
    both.sandbox.update(refusing, {"phone": "+14155552673"})
    both.sandbox.update(willing, {"phone": "+14155552674"})
    both.settings(two_way=True)

    both.sync()

    [no, never] = consent.check(both.app, both.ws, "sms", ["+14155552673", "+14155552674"])
    assert "says no" in no.reason
    assert "Never asked" in never.reason
    assert label(both, willing) == "not_subscribed"


@pytest.mark.parametrize("away", ["unmapped", "archived"])
def test_a_yes_of_an_older_number_stays_with_it_when_its_property_comes_back(both: World, away: str) -> None:
    other = "+14155552673"
    kind = {"label": "SMS", "type": "bool", "fieldType": "booleancheckbox", "groupName": "contactinformation"}
    record = a_person(both)
    both.clock.advance(60)
    both.sandbox.update(record, {"phone": other})
    both.sync()

    if away == "unmapped":
        both.settings(consent_mapping=[])
        both.sync(full=True)
        both.settings(consent_mapping=MAPPED)
    else:
        both.sandbox.archive_property("sms_opt_in")
        both.sync(full=True)
        both.sandbox.add_property({"name": "sms_opt_in", **kind})
    both.clock.advance(3600)
    both.sync(full=True)
    stays = sendable(both, other)
    for value in ("false", "true"):
        both.clock.advance(60)
        both.sandbox.update(record, {"sms_opt_in": value})
        both.sync()

    assert not stays
    assert sendable(both, other)


def test_a_no_follows_to_a_number_typed_here(world: World) -> None:
    record = a_person(world, "false")

    world.edit(world.of_record(record).id, phone="+14155552679")

    assert "says no" in consent.check(world.app, world.ws, "sms", ["+14155552679"])[0].reason


def test_staff_opens_what_staff_closed_with_a_reason_and_nothing_else(both: World) -> None:
    record = a_person(both)
    both.clock.advance(5)
    consent.staff_out(both.app, both.ws, "sms", PHONE, OWNER)
    with pytest.raises(UserError, match="needs a reason"):
        consent.staff_in(both.app, both.ws, "sms", PHONE, OWNER, "")
    both.clock.advance(5)
    consent.staff_in(both.app, both.ws, "sms", PHONE, OWNER, "a slip of mine")
    assert label(both, record) == "subscribed"

    says(both, "stop")

    with pytest.raises(UserError, match="Only the person"):
        consent.staff_in(both.app, both.ws, "sms", PHONE, OWNER, "they told me")
    assert label(both, record) == "not_subscribed"


def test_yes_opens_only_as_the_answer_to_a_request_to_confirm(both: World) -> None:
    assert says(both, "YES").heard == "none"
    assert not sendable(both)

    assert says(both, "Yes!", awaits_yes=True).heard == "in"
    assert sendable(both)
    [event] = consent.explain(both.app, both.ws, "sms", PHONE).evidence
    assert event.proof == {"text": "Yes!", "answers": "a request to confirm"}
    assert says(both, "stop", awaits_yes=True).heard == "out"


def test_words_that_look_like_a_stop_pause_until_someone_decides(both: World) -> None:
    record = a_person(both)

    assert says(both, "please stop sending me these").heard == "pause"
    assert label(both, record) == "not_subscribed"
    assert not sendable(both)
    both.clock.advance(5)
    consent.settle_pause(both.app, both.ws, "sms", PHONE, OWNER, is_stop=False)

    assert sendable(both)
    assert label(both, record) == "subscribed"


@pytest.mark.parametrize(
    "order", list(itertools.permutations(("STOP", "START", "please leave me alone"))), ids=" ".join
)
def test_a_yes_does_not_get_past_a_later_message_that_looks_like_a_stop_in_whatever_order_they_come(
    world: World, order: tuple[str, ...]
) -> None:
    a_person(world)
    start = world.clock.now()
    when = {"STOP": 10, "START": 20, "please leave me alone": 30}
    world.clock.advance(60)

    for text in order:
        answer = says(world, text, occurred_at=start + timedelta(seconds=when[text]))

    assert (answer.verdict.state, answer.verdict.paused, answer.verdict.sendable) == ("subscribed", True, False)
    assert not sendable(world)
    kept = [event.proof["text"] for event in consent.explain(world.app, world.ws, "sms", PHONE).evidence[1:]]
    assert kept == list(order)


def test_a_message_that_looks_like_a_stop_is_kept_of_a_closed_address_and_waits_for_nobody(world: World) -> None:
    record = a_person(world)
    says(world, "STOP")
    push(world)

    answer = says(world, "please leave me alone")

    assert (answer.heard, answer.verdict.state) == ("pause", "unsubscribed")
    assert "closed already" in answer.note
    with world.app.db.read(world.ws) as tx:
        assert not store.paused(tx)
    push(world)
    assert world.record(record)["sms_opt_in"] == "false"
    assert not world.failures()
    says(world, "START")
    assert sendable(world)


def test_the_note_of_a_word_that_came_late_does_not_contradict_the_state(world: World) -> None:
    def staff(state: str) -> consent.Recorded:
        proof = {"reason": "as they told me"}
        return consent.record(
            world.app, world.ws, "sms", PHONE, "staff", OWNER, state=state, proof=proof, occurred_at=before
        )

    before = world.clock.now()
    says(world, "START")
    no = staff("out")
    pause = says(world, "please leave me alone")
    resume = staff("resume")

    assert (no.verdict.sendable, no.note) == (True, "It was recorded; a later word counts.")
    assert pause.note.startswith("The message looks like a stop: sending pauses")
    assert (resume.verdict.paused, resume.note) == (True, "It was recorded; sending stays paused.")


def test_a_workspace_has_its_own_stop_words(world: World) -> None:
    a_person(world)
    assert says(world, "Abbestellen").heard == "none"
    consent_setup.change_workspace(world.app, world.ws, {"stop_words": '["abbestellen"]'}, OWNER)

    assert says(world, "Abbestellen!").heard == "out"


@pytest.mark.parametrize("text", ["STOP", "please leave me alone"])
def test_an_erased_person_who_comes_back_stays_closed(both: World, text: str) -> None:
    record = a_person(both)
    says(both, text)
    edit.erase_contact(both.app, both.ws, both.of_record(record).id, OWNER)
    with both.app.db.read(both.ws) as tx:
        assert not store.held(tx, "sms", [PHONE])
    assert not sendable(both)

    again = both.create(first_name="Ana", phone=PHONE)

    assert both.contact(again).subscription_status == "not_subscribed"
    assert [c.state for c in both.contact(again).consent if c.channel == "sms"] == ["unsubscribed"]
    with pytest.raises(UserError, match="Only the person"):
        consent.staff_in(both.app, both.ws, "sms", PHONE, OWNER, "new customer")
    says(both, "START")
    assert sendable(both)


def test_a_label_that_changes_is_no_new_version_of_its_contact(both: World) -> None:
    ana = both.create(first_name="Ana", phone=PHONE)

    says(both, "START")

    assert both.contact(ana).subscription_status == "subscribed"
    assert both.contact(ana).version == 1


def test_a_new_contact_with_a_closed_number_shows_it_and_its_record_is_told(world: World) -> None:
    a_person(world)
    says(world, "STOP")
    push(world)
    world.clock.advance(60)
    other = world.sandbox.create({"firstname": "Twin", "phone": PHONE})
    world.sync()

    assert label(world, other) == "not_subscribed"
    assert world.record(other)["sms_opt_in"] == "false"


def test_a_record_that_is_linked_to_a_closed_contact_is_told_or_reported_whatever_is_mapped(both: World) -> None:
    both.create(first_name="Ana", email="ana@example.com", phone=PHONE)
    says(both, "STOP")
    consent.record(both.app, both.ws, "email", "ana@example.com", "form", OWNER, state="out")
    push(both)
    record = both.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": PHONE})

    both.settings(two_way=False)
    both.sync()
    push(both)

    assert ["for SMS" in failure.message for failure in both.failures()] == [True]
    assert both.record(record)["hs_email_optout"] == "true"


def test_an_opt_out_that_nothing_can_carry_stands_among_the_failures(world: World) -> None:
    a_person(world)
    world.settings(consent_mapping=[])

    says(world, "STOP")
    push(world)

    [failure] = world.failures()
    assert "cannot be passed on" in failure.message
    assert not sendable(world)
    edit.retry_failures(world.app, world.ws, [failure.id], OWNER)
    push(world)
    assert [again.attempts for again in world.failures()] == [2]


def test_an_opt_out_onto_a_property_that_vanished_says_that_hubspot_was_not_told(both: World) -> None:
    a_person(both)
    both.sandbox.archive_property("sms_opt_in")

    says(both, "STOP")
    push(both)

    [failure] = both.failures()
    assert failure.message == (
        "The property “SMS opt-in” no longer exists in HubSpot. "
        "HubSpot was not told of this opt-out. Sending stays blocked here all the same."
    )
    assert failure.fix == "Map another property under Settings, Subscription."
    assert not sendable(both)


def test_an_opt_in_onto_a_property_that_vanished_speaks_of_no_opt_out(world: World) -> None:
    a_person(world, "")
    world.settings(two_way=True)
    world.sandbox.archive_property("sms_opt_in")

    says(world, "START")
    push(world)

    [failure] = world.failures()
    assert failure.message.endswith("no longer exists in HubSpot. HubSpot was not told of this opt-in.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channel": "fax"}, "no channel"),
        ({"kind": "rumour"}, "no kind"),
        ({"address": "12"}, "cannot be used"),
        ({"text": None}, "needs its text"),
        ({"kind": "carrier", "text": None, "state": "in"}, "only close"),
        ({"kind": "form", "text": None, "state": "maybe"}, "state is one of"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(world: World, arguments: dict[str, Any], message: str) -> None:
    given = {"channel": "sms", "address": PHONE, "kind": "message", "text": "START", **arguments}
    with pytest.raises(UserError, match=message):
        consent.record(
            world.app,
            world.ws,
            given.pop("channel"),
            given.pop("address"),
            given.pop("kind"),
            OWNER,
            **given,
        )
    assert not sendable(world)


def test_a_yes_of_years_ago_opens_nothing_and_one_of_the_future_counts_as_of_now(world: World) -> None:
    now = world.app.now()
    with pytest.raises(UserError, match="two years"):
        says(world, "START", occurred_at=now - timedelta(days=1500))

    answer = says(world, "START", occurred_at=now + timedelta(days=365))

    assert "future" in answer.note
    says(world, "STOP")
    assert not sendable(world)


def test_the_same_event_twice_is_one(both: World) -> None:
    first = says(both, "STOP", proof={"id": "SM1"})
    again = says(both, "STOP", proof={"id": "SM1"})

    assert (first.was_known, again.was_known) == (False, True)
    assert len(consent.explain(both.app, both.ws, "sms", PHONE).evidence) == 1


def test_a_repeated_yes_of_the_future_opens_nothing_that_was_closed_since(world: World) -> None:
    ahead: dict[str, Any] = {"occurred_at": world.app.now() + timedelta(days=1), "proof": {"message_id": "SM1"}}
    says(world, "START", **ahead)
    says(world, "STOP")

    again = says(world, "START", **ahead)

    assert again.was_known
    assert not again.verdict.sendable
    assert not sendable(world)
    with world.app.db.read(world.ws) as tx:
        assert store.rebuilt(tx, "sms", [PHONE])[PHONE] == store.held(tx, "sms", [PHONE])[PHONE].registers


def test_a_repeated_no_of_staff_closes_nothing_that_staff_opened_since(world: World) -> None:
    def no() -> consent.Recorded:
        return consent.record(world.app, world.ws, "sms", PHONE, "staff", OWNER, state="out", occurred_at=ahead)

    ahead = world.app.now() + timedelta(days=1)
    no()
    world.clock.advance(5)
    consent.staff_in(world.app, world.ws, "sms", PHONE, OWNER, "a slip of mine")
    world.clock.advance(5)

    assert no().was_known
    assert sendable(world)


@pytest.mark.parametrize("name", ["id", "message_id", "event_id", "submission_id"])
def test_a_form_that_names_itself_is_the_same_one_whatever_its_time(both: World, name: str) -> None:
    def form(number: str = "1", said: str = "in") -> consent.Recorded:
        both.clock.advance(60)
        given: dict[str, Any] = {"state": said, "occurred_at": both.app.now(), "proof": {name: number}}
        return consent.record(both.app, both.ws, "sms", PHONE, "form", OWNER, **given)

    form()
    says(both, "STOP")

    again = form()

    assert (again.was_known, again.verdict.sendable) == (True, False)
    assert not sendable(both)
    assert not form(said="out").was_known
    assert not form("2").was_known
    assert sendable(both)


def test_a_repeated_yes_that_could_not_be_said_any_more_is_answered_as_one(world: World) -> None:
    given: dict[str, Any] = {"state": "in", "occurred_at": world.app.now(), "proof": {"reason": "a form on paper"}}
    consent.record(world.app, world.ws, "sms", PHONE, "staff", OWNER, **given)
    says(world, "STOP")

    again = consent.record(world.app, world.ws, "sms", PHONE, "staff", OWNER, **given)

    assert (again.was_known, again.verdict.state) == (True, "unsubscribed")


def test_evidence_is_kept_to_the_letter(both: World) -> None:
    odd = 'She said "stop", \'now\' \\ {NULL}, \\" ,\n€ 停'
    consent.record(both.app, both.ws, "sms", PHONE, "form", OWNER, state="out", proof={"form": odd, "page": "NULL"})

    explained = consent.explain(both.app, both.ws, "sms", PHONE)

    assert explained.evidence[0].proof == {"form": odd, "page": "NULL"}


def test_an_opt_out_of_an_address_that_nobody_has_is_kept_for_whoever_gets_it(world: World) -> None:
    says(world, "STOP", "+14155552699")

    someone = world.create(first_name="New", phone="415 555 2699")

    assert world.contact(someone).subscription_status == "not_subscribed"
    assert not sendable(world, "+14155552699")


def test_a_yes_here_goes_to_hubspot_with_two_way_on_only(world: World) -> None:
    record = a_person(world, "")
    says(world, "START")
    push(world)
    assert not world.record(record).get("sms_opt_in")

    world.settings(two_way=True)
    says(world, "STOP")
    says(world, "START")
    push(world)

    assert world.record(record)["sms_opt_in"] == "true"


def test_state_is_what_the_evidence_gives(world: World) -> None:
    record = a_person(world)
    says(world, "stop")
    push(world)
    world.sandbox.update(record, {"sms_opt_in": "true"})
    world.sync()
    says(world, "please stop it")
    says(world, "start")

    with world.app.db.read(world.ws) as tx:
        held = store.held(tx, "sms", [PHONE])[PHONE]
        assert store.rebuilt(tx, "sms", [PHONE]) == {PHONE: held.registers}
        assert shown(held.registers).sendable


def test_the_nightly_check_gives_a_state_what_its_evidence_says_and_takes_no_stop_from_it(both: World) -> None:
    silent, stopped, open_ = "+14155552672", "+14155552673", "+14155552674"
    a_person(both, opt_in="")
    says(both, "STOP")
    says(both, "START", open_)
    assert consent_check.nightly_check(both.app, both.ws) == 0
    yes, no = (Held(Registers(person=Entry(both.clock.now(), state, "message"))) for state in (State.IN, State.OUT))
    with both.app.db.write(both.ws) as tx:  # states that nobody said, and one that was forgotten
        store.save(tx, {("sms", PHONE): Held(), ("sms", silent): yes, ("sms", stopped): no}, both.clock.now())

    with capture_logs() as logged:
        assert consent_check.nightly_check(both.app, both.ws) == 2

    assert logged == [{"event": "consent.mended", "log_level": "error", "workspace": both.ws, "addresses": 2}]
    assert [sendable(both, number) for number in (PHONE, silent, stopped, open_)] == [False, False, False, True]
    with both.app.db.read(both.ws) as tx:
        found = store.verdicts(tx, "sms", [PHONE, stopped])
        assert [found[number].state for number in (PHONE, stopped)] == ["unsubscribed"] * 2
        assert [entry.action for entry in users.audit(tx)][:1] == ["consent.mended"]
    assert consent_check.nightly_check(both.app, both.ws) == 0


def test_a_no_in_hubspot_that_only_a_push_saw_is_heard(world: World) -> None:
    record = a_person(world)
    world.settings(two_way=True)
    contact = world.of_record(record).id
    world.clock.advance(60)
    world.edit(contact, first_name="Anna")
    world.sandbox.update(record, {"sms_opt_in": "false"})
    world.sandbox.set_limits(lag_ms=3_600_000)  # the search shows nothing of it yet

    world.sync()

    assert world.record(record)["firstname"] == "Anna"
    assert label(world, record) == "not_subscribed"


def test_a_record_that_hubspot_merged_into_a_closed_one_is_told_again(world: World) -> None:
    record = a_person(world)
    says(world, "STOP")
    push(world)
    other = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "sms_opt_in": "true"})
    world.clock.advance(60)
    survivor = world.sandbox.merge(other, record)
    world.sandbox.update(survivor, {"sms_opt_in": "true", "phone": PHONE})

    world.sync()
    push(world)

    assert world.record(survivor)["sms_opt_in"] == "false"
    assert not sendable(world)


def test_a_stop_follows_a_record_that_hubspot_merged_since_the_last_run(world: World) -> None:
    record = a_person(world)
    other = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_opt_in": "true"})
    world.sandbox.merge(other, record)
    says(world, "STOP")
    push(world)
    assert world.record(record)["sms_opt_in"] == "true"  # the one that it is in now

    hints.look(world.app, world.ws)
    with world.app.db.read(world.ws) as tx:
        (asked,) = runs.recent(tx, PORTAL, limit=1)
    world.go(asked)
    push(world)

    assert (asked.trigger, world.record(record)["sms_opt_in"]) == ("webhook", "false")


def test_our_own_properties_carry_the_state_to_hubspot(world: World) -> None:
    record = a_person(world)
    consent_setup.make_own_properties(world.app, world.ws, PORTAL, OWNER)
    says(world, "STOP")
    push(world)

    held = world.record(record)
    assert held["mercuri_sms_status"] == "unsubscribed"
    assert held["mercuri_sms_status_source"] == "person"
    assert held["mercuri_sms_status_at"]
    consent_setup.make_own_properties(world.app, world.ws, PORTAL, OWNER)  # again does no harm


def test_contacts_show_another_channel_as_soon_as_it_is_chosen(world: World) -> None:
    record = a_person(world, email="ana@example.com")

    consent_setup.change_workspace(world.app, world.ws, {"status_channel": '"email"'}, OWNER)

    assert label(world, record) == "not_subscribed"


def test_an_opt_out_from_email_uses_hubspots_own_list(world: World) -> None:
    record = a_person(world, email="ana@example.com")
    consent.record(world.app, world.ws, "email", "Ana@Example.com", "form", OWNER, state="out")

    push(world)

    assert world.record(record)["hs_email_optout"] == "true"
    assert not world.failures()


def test_an_opt_out_goes_ahead_of_a_full_sync_that_uses_the_whole_budget(world: World) -> None:
    record = a_person(world)
    world.sandbox.add_contacts(600)
    limit = Limit(5, 1)
    pacer = Pacer(limit, limit, now=world.clock.monotonic, wall=world.clock.now, sleep=world.clock.sleep)
    world.app.portals.pacer = lambda *_: pacer  # type: ignore[method-assign]
    world.clock.advance(120)
    asked = run.request(world.app, world.ws, PORTAL, full=True, trigger="button", actor=OWNER)
    requests_before: list[int] = []

    def progress(now: Run) -> None:
        if now.counts.get("fetched", 0) >= 200 and not requests_before:
            requests_before.append(len(world.sandbox.log()))
            says(world, "STOP")
            push(world)
            assert world.record(record)["sms_opt_in"] == "false"

    done = run.execute(world.app, world.ws, asked.id, owner="worker", progress=progress)

    assert done.state == "done"
    after = [entry["path"] for entry in world.sandbox.log()[requests_before[0] :]]
    told = next(number for number, path in enumerate(after) if path.endswith("batch/update"))
    assert told <= 1  # at most the page that was under way already
    assert label(world, record) == "not_subscribed"


def test_a_no_under_an_id_that_was_used_before_is_heard_when_it_has_a_time_of_its_own(world: World) -> None:
    a_person(world)
    again = {"proof": {"message_id": "SM1"}}
    says(world, "STOP", **again)
    says(world, "START")
    world.clock.advance(60)

    says(world, "STOP", occurred_at=world.app.now(), **again)

    assert not sendable(world)


def test_a_preview_takes_no_word_from_the_run_after_it(both: World) -> None:
    record = a_person(both)
    moved = both.sandbox.create({"firstname": "Bo", "phone": "+14155552672", "sms_opt_in": "false"})
    both.sync()
    both.clock.advance(60)
    both.sandbox.update(record, {"sms_opt_in": "false"})
    both.sandbox.update(moved, {"phone": "+14155552673"})

    for _ in range(2):
        both.sync(preview=True, two_way=True)
    assert sendable(both)
    both.sync()

    assert not sendable(both)
    assert "says no" in consent.check(both.app, both.ws, "sms", ["+14155552673"])[0].reason


def test_a_preview_takes_no_word_of_a_record_that_is_kept_out(both: World) -> None:
    a_person(both)
    other = both.sandbox.create({"firstname": "Ann", "phone": PHONE, "sms_opt_in": "true"})
    both.sync()
    edit.delete_contact(both.app, both.ws, both.of_record(other).id, OWNER)
    both.clock.advance(60)
    both.sandbox.update(other, {"sms_opt_in": "false"})

    both.sync(preview=True)
    both.sync()

    assert not sendable(both)


def test_a_property_that_speaks_is_heard_on_another_channel_once_it_is_mapped_there(both: World) -> None:
    a_person(both, "false")
    other = "+14155552672"
    both.sandbox.create({"firstname": "Bo", "phone": other, "sms_opt_in": "true"})
    both.sync()

    both.settings(consent_mapping=[*MAPPED, {**MAPPED[0], "channel": "whatsapp"}])
    first, second = both.sync(), both.sync()

    said = consent.check(both.app, both.ws, "whatsapp", [PHONE, other])
    assert ["says no" in said[0].reason, said[1].sendable] == [True, True]
    assert (first.kind, second.kind) == ("full", "incremental")
    assert (sendable(both), sendable(both, other)) == (False, True)


def test_what_is_known_of_nobody_is_not_looked_at_closer(world: World) -> None:
    record = a_person(world, email="ana@example.com")
    edit.erase_contact(world.app, world.ws, world.of_record(record).id, OWNER)
    world.sync()
    world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": PHONE, "sms_opt_in": "true"})
    world.sync()

    done = world.sync(full=True)

    assert done.calls["read"] == 0


def test_after_a_merge_in_hubspot_the_record_that_remains_speaks_for_the_absorbed_one(both: World) -> None:
    one = a_person(both, "false")
    other = both.sandbox.create({"firstname": "Ann", "phone": PHONE, "sms_opt_in": "true"})
    both.sync()
    both.clock.advance(60)
    kept = both.sandbox.merge(other, one)
    both.sync()
    assert not sendable(both)

    said = []
    for value in ("false", "true"):
        both.clock.advance(60)
        both.sandbox.update(kept, {"sms_opt_in": value})
        both.sync()
        said.append(sendable(both))

    assert said == [False, True]
