"""The laws of consent, C1 to C4 and C6, by their numbers. C5 speaks of HubSpot: `test_consent_rules`, `machine`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core import consent_values
from mercuri.core.consent import (
    ConsentEvent,
    Register,
    Registers,
    SourceKey,
    State,
    from_json,
    hear,
    join,
    shown,
    state_of,
    to_json,
)
from mercuri.core.settings import ConsentItem

START = datetime(2026, 3, 2, tzinfo=UTC)
KINDS = {
    Register.PERSON: ("message", "form", "carrier", "complaint", "preference"),
    Register.STAFF: ("staff", "import"),
    Register.CRM: ("property",),
}
SOURCES: list[SourceKey] = [("1", "51", "sms_ok"), ("1", "52", "sms_ok"), ("2", "51", "no_sms")]


@st.composite
def events(draw: st.DrawFn, speakers: tuple[Register, ...] = tuple(Register), hours: int = 8) -> ConsentEvent:
    register = draw(st.sampled_from(speakers))
    occurred = draw(st.integers(0, hours))
    return ConsentEvent(
        channel="sms",
        address="+447911123456",
        register=register,
        state=draw(st.sampled_from([State.IN, State.OUT] if register is Register.CRM else list(State))),
        kind=draw(st.sampled_from(KINDS[register])),
        occurred_at=START + timedelta(hours=occurred),
        observed_at=START + timedelta(hours=occurred + draw(st.integers(-1, 2))),
        actor=draw(st.sampled_from(["", "Bo"])),
        source_key=draw(st.sampled_from(SOURCES)) if register is Register.CRM else None,
    )


HISTORIES = st.lists(events(), max_size=8)
REGISTERS = HISTORIES.map(state_of)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(HISTORIES, st.data())
def test_order_repetition_and_grouping_of_events_do_not_matter(
    history: list[ConsentEvent], data: st.DataObject
) -> None:
    """C1."""
    shuffled = data.draw(st.permutations(history))
    repeated = shuffled + data.draw(st.lists(st.sampled_from(history), max_size=4) if history else st.just([]))
    cut = data.draw(st.integers(0, len(repeated)))

    once = state_of(history)

    assert state_of(repeated) == once
    assert join(state_of(repeated[:cut]), state_of(repeated[cut:])) == once


@settings(max_examples=150, deadline=None, derandomize=True)
@given(REGISTERS, REGISTERS, REGISTERS)
def test_joining_is_commutative_associative_and_idempotent(a: Registers, b: Registers, c: Registers) -> None:
    """C1."""
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c)
    assert join(a, a) == a
    assert join(a, Registers()) == a


@settings(max_examples=300, deadline=None, derandomize=True)
@given(HISTORIES, st.lists(events(speakers=(Register.CRM, Register.STAFF), hours=40), max_size=8))
def test_after_a_stop_of_the_person_nobody_else_makes_it_sendable(
    before: list[ConsentEvent], after: list[ConsentEvent]
) -> None:
    """C2."""
    stop = ConsentEvent(
        "sms",
        "+447911123456",
        Register.PERSON,
        State.OUT,
        "message",
        START + timedelta(hours=12),
        START + timedelta(hours=12),
    )
    registers = state_of([*before, stop, *after])

    assert not shown(registers).sendable
    assert not shown(join(registers, state_of(after))).sendable


@settings(max_examples=400, deadline=None, derandomize=True)
@given(HISTORIES, events())
def test_an_event_opens_only_if_it_is_an_in_by_the_closer_or_by_the_person(
    history: list[ConsentEvent], event: ConsentEvent
) -> None:
    """C3."""
    registers = state_of(history)

    before, after = shown(registers), shown(hear(registers, event))

    if before.state == "unsubscribed" and after.state != "unsubscribed":
        assert event.state is State.IN
        assert event.register in (before.closed_by, Register.PERSON)
    if not before.sendable and after.sendable:
        assert event.state in (State.IN, State.RESUME)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(HISTORIES)
def test_whatever_is_sendable_has_a_proof_and_whatever_is_shown_a_sentence(history: list[ConsentEvent]) -> None:
    """C6."""
    verdict = shown(state_of(history))

    assert verdict.reason.endswith(".")
    if verdict.sendable:
        assert any(event.state is State.IN for event in history)


ITEMS = st.sampled_from(
    [
        ConsentItem("sms", "opt_in", "a"),
        ConsentItem("sms", "opt_out", "a"),
        ConsentItem("sms", "enumeration", "a", {"Yes": "in", "No": "out"}, options=("Yes", "No")),
        ConsentItem("sms", "date_pair", in_property="a", out_property="b"),
    ]
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(ITEMS, st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["", " ", "\u00a0"])))
def test_a_blank_or_a_property_that_was_not_asked_for_says_nothing(
    item: ConsentItem, properties: dict[str, str]
) -> None:
    """C4."""
    assert consent_values.heard(item, properties) is None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(REGISTERS)
def test_registers_survive_storage(registers: Registers) -> None:
    assert from_json(to_json(registers)) == registers
