"""Who may be messaged: who closed it, who may open it, and the sentence that says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mercuri.core.consent import (
    API_KINDS,
    KIND_TO_REGISTER,
    ConsentEvent,
    Register,
    Registers,
    SourceKey,
    State,
    from_json,
    hear,
    join,
    may_open,
    shown,
    state_of,
    status_of_contact,
    to_json,
    what_became_of,
)
from mercuri.core.contact import Address

DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
RECORD_51 = ("4242", "51", "sms_ok")
RECORD_52 = ("4242", "52", "sms_ok")


def said(
    register: Register,
    state: State,
    day: float,
    *,
    kind: str = "",
    actor: str = "",
    source: SourceKey | None = None,
    seen: float | None = None,
) -> ConsentEvent:
    """Something said on a day counted from the first one."""
    kinds = {Register.PERSON: "message", Register.STAFF: "staff", Register.CRM: "property"}
    at = DAY + timedelta(days=day)
    return ConsentEvent(
        channel="sms",
        address="+447911123456",
        register=register,
        state=state,
        kind=kind or kinds[register],
        occurred_at=at,
        observed_at=at if seen is None else DAY + timedelta(days=seen),
        actor=actor,
        source_key=(source or RECORD_51) if register is Register.CRM else None,
    )


def person(state: State, day: float, **more: object) -> ConsentEvent:
    return said(Register.PERSON, state, day, **more)  # type: ignore[arg-type]  # names of said()


def staff(state: State, day: float, **more: object) -> ConsentEvent:
    return said(Register.STAFF, state, day, **more)  # type: ignore[arg-type]  # names of said()


def crm(state: State, day: float, source: SourceKey = RECORD_51) -> ConsentEvent:
    return said(Register.CRM, state, day, source=source)


def state_after(*events: ConsentEvent) -> str:
    return shown(state_of(events)).state


def test_an_address_of_which_nobody_spoke_was_never_asked() -> None:
    verdict = shown(Registers())

    assert (verdict.state, verdict.sendable, verdict.closed_by) == ("never", False, None)
    assert verdict.reason.startswith("Never asked")


@pytest.mark.parametrize("speaker", [person, staff, crm])
def test_anyone_may_say_in_for_an_address_that_was_never_asked(speaker: object) -> None:
    assert state_after(speaker(State.IN, 1)) == "subscribed"  # type: ignore[operator]  # one of the three above


@pytest.mark.parametrize(
    "later", [staff(State.IN, 9), crm(State.IN, 9), staff(State.IN, 9, kind="import"), crm(State.IN, 9, RECORD_52)]
)
def test_nobody_but_the_person_opens_what_the_person_closed(later: ConsentEvent) -> None:
    verdict = shown(state_of([person(State.OUT, 1), later]))

    assert (verdict.state, verdict.sendable, verdict.closed_by) == ("unsubscribed", False, Register.PERSON)
    assert (
        verdict.reason
        == "Opted out by the person by message on 2026-03-03 09:00 UTC. Only the person can open it again."
    )


def test_the_person_opens_what_they_closed() -> None:
    assert state_after(person(State.OUT, 1), person(State.IN, 2)) == "subscribed"


def test_a_later_act_of_the_person_beats_everyone() -> None:
    verdict = shown(state_of([staff(State.OUT, 1), crm(State.OUT, 2), person(State.IN, 3)]))

    assert verdict.sendable
    assert verdict.reason == "Subscribed by the person by message on 2026-03-05 09:00 UTC."


def test_an_earlier_opt_in_of_the_person_does_not_undo_a_later_opt_out_of_staff_or_hubspot() -> None:
    assert state_after(person(State.IN, 1), staff(State.OUT, 2)) == "unsubscribed"
    assert state_after(person(State.IN, 1), crm(State.OUT, 2)) == "unsubscribed"


def test_hubspot_corrects_its_own_mistick() -> None:
    assert state_after(crm(State.OUT, 1), crm(State.IN, 2)) == "subscribed"


def test_an_opt_in_in_hubspot_opens_only_the_opt_out_of_its_own_record() -> None:
    verdict = shown(state_of([crm(State.OUT, 1), crm(State.IN, 2, RECORD_52)]))

    assert verdict.state == "unsubscribed"
    assert verdict.reason == "HubSpot (sms_ok of record 51 in portal 4242) says no since 2026-03-03 09:00 UTC."


def test_hubspot_does_not_open_what_staff_closed_and_staff_not_what_hubspot_closed() -> None:
    assert state_after(staff(State.OUT, 1), crm(State.IN, 2)) == "unsubscribed"
    assert state_after(crm(State.OUT, 1), staff(State.IN, 2)) == "unsubscribed"


def test_staff_opens_what_staff_closed() -> None:
    verdict = shown(state_of([staff(State.OUT, 1, actor="Bo"), staff(State.IN, 2, actor="Ana")]))

    assert verdict.reason == "Subscribed by Ana on 2026-03-04 09:00 UTC."


def test_at_equal_times_out_wins() -> None:
    for speaker in (person, staff, crm):
        assert state_after(speaker(State.IN, 1), speaker(State.OUT, 1)) == "unsubscribed"
    assert state_after(staff(State.OUT, 1), person(State.IN, 1)) == "unsubscribed"
    assert shown(state_of([person(State.PAUSE, 1), staff(State.RESUME, 1)])).paused


def test_a_late_report_of_an_earlier_stop_does_not_undo_a_later_start() -> None:
    assert state_after(person(State.IN, 5), person(State.OUT, 1, seen=9)) == "subscribed"


def test_a_time_in_the_future_does_not_outvote_a_later_stop() -> None:
    early_form = person(State.IN, 900, kind="form", seen=1)

    assert state_after(early_form, person(State.OUT, 2)) == "unsubscribed"


@pytest.mark.parametrize("kind", ["carrier", "complaint", "suppression"])
def test_a_carrier_or_a_complaint_can_only_close(kind: str) -> None:
    assert state_after(person(State.OUT, 1, kind=kind)) == "unsubscribed"
    assert state_after(person(State.OUT, 1), person(State.IN, 2, kind=kind)) == "unsubscribed"
    assert state_after(person(State.IN, 2, kind=kind)) == "never"


def test_who_may_open_is_who_closed_or_the_person() -> None:
    by_staff = state_of([staff(State.OUT, 1)])
    by_record = state_of([crm(State.OUT, 1)])
    by_person = state_of([person(State.OUT, 1)])

    assert may_open(by_staff, Register.STAFF)
    assert not may_open(by_staff, Register.CRM, RECORD_51)
    assert may_open(by_record, Register.CRM, RECORD_51)
    assert not may_open(by_record, Register.CRM, RECORD_52)
    assert not may_open(by_record, Register.STAFF)
    assert not may_open(by_person, Register.STAFF)
    assert all(may_open(registers, Register.PERSON) for registers in (by_staff, by_record, by_person))
    assert may_open(Registers(), Register.STAFF)


def test_a_message_that_looks_like_a_stop_pauses_until_someone_decides() -> None:
    paused = state_of([person(State.IN, 1), person(State.PAUSE, 2)])
    resumed = hear(paused, staff(State.RESUME, 3))

    assert (shown(paused).state, shown(paused).sendable, shown(paused).paused) == ("subscribed", False, True)
    assert shown(resumed).sendable


def test_an_import_does_not_end_a_pause_and_a_start_of_the_person_does() -> None:
    paused = state_of([person(State.IN, 1), person(State.PAUSE, 2)])

    assert not shown(hear(paused, staff(State.IN, 3, kind="import"))).sendable
    assert shown(hear(paused, person(State.IN, 3))).sendable


def test_a_pause_says_so_also_of_a_closed_address_and_gives_no_permission() -> None:
    assert shown(state_of([person(State.PAUSE, 1)])).state == "never"
    assert shown(state_of([person(State.OUT, 1), person(State.PAUSE, 2)])).paused


def test_joining_keeps_the_closing_word() -> None:
    one, other = state_of([person(State.OUT, 2)]), state_of([person(State.IN, 1), staff(State.IN, 3)])

    assert shown(join(one, other)).state == "unsubscribed"
    assert join(one, other) == join(other, one)


def test_a_repeated_delivery_has_the_same_key_and_another_event_has_another() -> None:
    event = person(State.OUT, 1)._replace(proof={"message_id": "m1", "text": "STOP"})

    assert event.key == event._replace(observed_at=DAY + timedelta(days=5)).key
    assert event.key != event._replace(proof={"message_id": "m2", "text": "STOP"}).key
    assert event.key != event._replace(occurred_at=DAY).key


def test_registers_survive_storage() -> None:
    registers = state_of(
        [person(State.IN, 1), staff(State.OUT, 2, actor="Bo"), crm(State.IN, 3), person(State.PAUSE, 4)]
    )

    assert from_json(to_json(registers)) == registers
    assert from_json(to_json(Registers())) == Registers()
    assert from_json("{}") == Registers()


def test_every_kind_of_the_api_writes_the_register_of_its_speaker() -> None:
    assert {kind: KIND_TO_REGISTER[kind].value for kind in API_KINDS} == {
        "message": "person",
        "preference": "person",
        "complaint": "person",
        "carrier": "person",
        "form": "person",
        "staff": "staff",
    }
    assert KIND_TO_REGISTER["import"] is Register.STAFF


PHONE = Address("phone", "07911 123456", "+447911123456", primary=True)
EMAIL = Address("email", "ana@example.com", "ana@example.com", primary=True)
OPEN = shown(state_of([person(State.IN, 1)]))
CLOSED = shown(state_of([person(State.OUT, 1)]))


def test_the_label_is_that_of_the_primary_number() -> None:
    mobile = Address("phone", "07911 999999", "+447911999999")
    states = {("sms", "+447911123456"): OPEN, ("sms", "+447911999999"): CLOSED, ("email", "ana@example.com"): CLOSED}

    assert status_of_contact([mobile, EMAIL, PHONE], states) == ("subscribed", OPEN.reason)
    assert status_of_contact([EMAIL, PHONE], states, "email") == ("not_subscribed", CLOSED.reason)
    assert status_of_contact([PHONE], states, "whatsapp")[0] == "not_subscribed"


def test_without_a_valid_number_nobody_is_subscribed_and_the_reason_says_so() -> None:
    unusable = Address("phone", "12", None, problem="too short")

    assert status_of_contact([EMAIL], {}) == ("not_subscribed", "There is no phone number.")
    assert status_of_contact([unusable], {}) == ("not_subscribed", "The phone number cannot be used: too short.")


def test_a_paused_number_is_not_subscribed() -> None:
    paused = shown(state_of([person(State.IN, 1), person(State.PAUSE, 2)]))

    assert status_of_contact([PHONE], {("sms", "+447911123456"): paused})[0] == "not_subscribed"


@pytest.mark.parametrize(
    ("events", "said", "answer"),
    [
        ([person(State.OUT, 2)], State.OUT, "The address is closed."),
        ([staff(State.OUT, 2), person(State.OUT, 1), person(State.IN, 2)], State.OUT, "The address is closed."),
        ([person(State.OUT, 1), person(State.IN, 2)], State.OUT, "It was recorded; a later word counts."),
        ([person(State.IN, 1)], State.IN, "The word was recorded as a yes."),
        ([person(State.IN, 2), person(State.OUT, 2)], State.IN, "recorded as a yes; the address stays closed."),
        ([person(State.IN, 1), person(State.PAUSE, 2)], State.IN, "recorded as a yes; sending stays paused."),
        (
            [person(State.IN, 1), person(State.PAUSE, 2)],
            State.PAUSE,
            "sending pauses until someone of the team has read it.",
        ),
        ([person(State.PAUSE, 2)], State.PAUSE, "sending pauses until someone of the team has read it."),
        ([person(State.OUT, 1), person(State.PAUSE, 2)], State.PAUSE, "the address is closed already."),
        ([person(State.PAUSE, 1), person(State.OUT, 2)], State.PAUSE, "the address is closed already."),
        ([person(State.PAUSE, 1), person(State.IN, 2)], State.PAUSE, "It was recorded; a later word counts."),
        ([person(State.PAUSE, 1), staff(State.RESUME, 2)], State.RESUME, "the pause is over."),
        ([person(State.PAUSE, 2), staff(State.RESUME, 1)], State.RESUME, "It was recorded; sending stays paused."),
    ],
)
def test_the_answer_to_a_word_says_what_the_address_shows_with_it(
    events: list[ConsentEvent], said: State, answer: str
) -> None:
    assert what_became_of(said, shown(state_of(events))).endswith(answer)
