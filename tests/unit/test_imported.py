"""What the consent columns of a file say, and which yes may be recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mercuri.core.consent import Entry, Registers, State
from mercuri.core.imported import read_cell, read_date, refusal
from mercuri.core.normalise import Refused

NOW = datetime(2026, 3, 9, 9, tzinfo=UTC)
BEFORE = NOW - timedelta(days=30)
CRM = ("4242", "51", "sms_opt_in")


def out(at: datetime = BEFORE) -> Entry:
    return Entry(at, State.OUT, by="Bo")


@pytest.mark.parametrize("cell", ["Yes", "TRUE", "1", " Opted-in ", "subscribed", "Y"])
def test_a_yes_is_read(cell: str) -> None:
    assert read_cell(cell) is State.IN


@pytest.mark.parametrize("cell", ["No", "false", "0", "opted out", "Unsubscribed", "STOP"])
def test_a_no_is_read(cell: str) -> None:
    assert read_cell(cell) is State.OUT


@pytest.mark.parametrize("cell", ["", "  ", "\u00a0"])
def test_a_blank_says_nothing(cell: str) -> None:
    assert read_cell(cell) is None


@pytest.mark.parametrize("cell", ["maybe", "2", "not_subscribed", "yes and no", "-"])
def test_whatever_else_stands_there_is_refused(cell: str) -> None:
    assert isinstance(read_cell(cell), Refused)


def test_on_one_day_the_no_is_the_later_word() -> None:
    yes, no = read_date("2026-03-01", State.IN), read_date("2026-03-01", State.OUT)

    assert yes == datetime(2026, 3, 1, tzinfo=UTC)
    assert isinstance(no, datetime)
    assert datetime(2026, 3, 1, 23, 59, tzinfo=UTC) < no < datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("cell", ["01/03/2026", "yesterday", "1970-01-01", "2026-13-01", "9999-12-31T23:59-05:00"])
def test_a_date_that_can_be_read_in_two_ways_or_none_is_refused(cell: str) -> None:
    assert isinstance(read_date(cell, State.IN), Refused)


def test_a_yes_needs_a_stated_source() -> None:
    assert refusal(Registers(), None, "", NOW) == "the import states no source of its permissions"
    assert refusal(Registers(), None, "paper form", NOW) is None


def test_a_yes_of_years_ago_is_refused() -> None:
    assert "two years" in (refusal(Registers(), NOW - timedelta(days=800), "paper form", NOW) or "")


@pytest.mark.parametrize("closed", [Registers(person=out()), Registers(crm={CRM: out()})])
def test_what_the_person_or_hubspot_closed_is_not_opened_however_late_the_yes(closed: Registers) -> None:
    assert refusal(closed, NOW, "paper form", NOW) is not None


def test_what_staff_closed_is_opened_by_a_yes_that_is_dated_later_and_by_no_other() -> None:
    closed = Registers(staff=out())

    assert "does not date the yes later" in (refusal(closed, None, "paper form", NOW) or "")
    assert refusal(closed, BEFORE, "paper form", NOW) is not None
    assert refusal(closed, BEFORE + timedelta(days=1), "paper form", NOW) is None


def test_a_yes_of_the_future_opens_nothing() -> None:
    assert refusal(Registers(staff=out()), NOW + timedelta(days=1), "paper form", NOW) == "its date lies in the future"
    assert refusal(Registers(), NOW, "paper form", NOW) is None


def test_the_reason_names_who_closed_it() -> None:
    assert "Only the person can open it again" in (refusal(Registers(person=out()), NOW, "form", NOW) or "")
