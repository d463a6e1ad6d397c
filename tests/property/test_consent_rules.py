"""Each rule of consent taken away, one at a time: the law that states it has to notice, or it states nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest
from tests.property import test_consent_laws as laws
from tests.support.consent import a_person, push, says
from tests.support.world import a_world

from mercuri.core import consent, consent_values
from mercuri.core.consent import Entry, Registers, State, Verdict
from mercuri.engine import optouts
from mercuri.store.database import Database

Taken = Callable[[], AbstractContextManager[Any]]


def _last_heard_wins() -> AbstractContextManager[Any]:
    """The word that arrives last counts, whatever its time."""
    return patch.object(consent, "_latest", lambda one, other: other or one)


def _staff_opens_all() -> AbstractContextManager[Any]:
    """A later yes of staff opens what the person closed."""

    def reopened(registers: Registers, entry: Entry) -> bool:
        later = [one for one in (registers.person, registers.staff) if one and one.state is State.IN]
        return any(one.at > entry.at for one in later)

    return patch.object(consent, "_reopened", reopened)


def _hubspot_opens_all() -> AbstractContextManager[Any]:
    """A later yes of one record opens what another record closed."""

    def reopened(registers: Registers, entry: Entry) -> bool:
        said = [registers.person, *registers.crm.values()]
        return any(one is not None and one.state is State.IN and one.at > entry.at for one in said)

    return patch.object(consent, "_reopened", reopened)


def _a_blank_is_a_no() -> AbstractContextManager[Any]:
    """What is not filled is taken for a refusal."""
    heard = consent_values.heard
    return patch.object(consent_values, "heard", lambda item, values: heard(item, values) or State.OUT)


def _never_asked_is_a_yes() -> AbstractContextManager[Any]:
    """Whom nobody closed may be messaged."""
    shown = consent.shown

    def open_by_default(registers: Registers) -> Verdict:
        found = shown(registers)
        return Verdict("subscribed", True, "Subscribed.") if found.state == "never" else found

    return patch.object(laws, "shown", open_by_default)


_ORDER = laws.test_order_repetition_and_grouping_of_events_do_not_matter
_FINAL = laws.test_after_a_stop_of_the_person_nobody_else_makes_it_sendable
_OPENS = laws.test_an_event_opens_only_if_it_is_an_in_by_the_closer_or_by_the_person
_BLANK = laws.test_a_blank_or_a_property_that_was_not_asked_for_says_nothing
_PROOF = laws.test_whatever_is_sendable_has_a_proof_and_whatever_is_shown_a_sentence


@pytest.mark.parametrize(
    ("take_away", "law"),
    [
        pytest.param(_last_heard_wins, _ORDER, id="C1"),
        pytest.param(_staff_opens_all, _FINAL, id="C2"),
        pytest.param(_hubspot_opens_all, _OPENS, id="C3"),
        pytest.param(_a_blank_is_a_no, _BLANK, id="C4"),
        pytest.param(_never_asked_is_a_yes, _PROOF, id="C6"),
    ],
)
def test_a_law_notices_when_its_rule_is_taken_away(take_away: Taken, law: Callable[[], None]) -> None:
    # Several counterexamples come as a group.
    with take_away(), pytest.raises((AssertionError, ExceptionGroup)):
        law()


def test_an_opt_out_that_is_noted_for_nobody_does_not_reach_hubspot(sqlite_database: Database) -> None:
    """C5, whose law is in `machine.words`: without the note it fails."""
    with a_world(sqlite_database) as world:
        world.connect()
        record = a_person(world)

        with patch.object(optouts, "note", lambda *_, **__: None):
            says(world, "STOP")
            push(world)
        forgotten = world.record(record)["sms_opt_in"]
        says(world, "STOP")
        push(world)

        assert (forgotten, world.record(record)["sms_opt_in"]) == ("true", "false")
