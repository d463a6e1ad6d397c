"""What mapped HubSpot values say of consent, and what is written there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mercuri.core.consent import State
from mercuri.core.consent_values import Buckets, Unreadable, count_buckets, heard, in_value, out_value, speaks_for
from mercuri.core.properties import Option, Property
from mercuri.core.settings import ConsentItem

NINE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
OPT_IN = ConsentItem("sms", "opt_in", "ok")
OPT_OUT = ConsentItem("sms", "opt_out", "no")
STATUS = ConsentItem("sms", "enumeration", "status", {"Yes": "in", "Sure": "in", "No": "out", "Never": "out"})
DATES = ConsentItem("sms", "date_pair", in_property="joined", out_property="left")


@pytest.mark.parametrize(
    ("item", "value", "said"),
    [
        (OPT_IN, "true", State.IN),
        (OPT_IN, "false", State.OUT),
        (OPT_OUT, "true", State.OUT),
        (OPT_OUT, "false", State.IN),
        (STATUS, "Yes", State.IN),
        (STATUS, "No", State.OUT),
        (STATUS, "Maybe", None),
        (STATUS, "yes", None),
        (STATUS, "Yes;No", State.OUT),
        (STATUS, "Maybe; Yes", State.IN),
    ],
)
def test_a_value_says_what_the_mapping_gives_it(item: ConsentItem, value: str, said: State | None) -> None:
    assert heard(item, {item.property: value}) is said


@pytest.mark.parametrize("item", [OPT_IN, OPT_OUT, STATUS, DATES])
def test_a_blank_or_missing_value_says_nothing(item: ConsentItem) -> None:
    assert heard(item, {}) is None
    assert heard(item, dict.fromkeys(item.properties, "")) is None
    assert heard(item, dict.fromkeys(item.properties, "  ")) is None


@pytest.mark.parametrize("value", ["True", "yes", "1", "0", "TRUE", "on"])
def test_anything_but_true_or_false_says_nothing_and_is_reported(value: str) -> None:
    assert heard(OPT_IN, {"ok": value}) == Unreadable("ok", value)


def test_false_can_be_told_to_say_nothing() -> None:
    filled_for_everybody = ConsentItem("sms", "opt_in", "ok", false_says_nothing=True)

    assert heard(filled_for_everybody, {"ok": "false"}) is None
    assert heard(filled_for_everybody, {"ok": "true"}) is State.IN


@pytest.mark.parametrize(
    ("joined", "left", "said"),
    [
        ("2026-03-01", "", State.IN),
        ("", "2026-03-01", State.OUT),
        ("2026-03-02", "2026-03-01", State.IN),
        ("2026-03-01", "2026-03-02", State.OUT),
        ("2026-03-01", "2026-03-01", State.OUT),
        ("2026-03-01T10:00:00Z", "2026-03-01T09:00:00.000Z", State.IN),
        ("1772355600000", "2026-03-01T08:59:59Z", State.IN),
        ("2026-03-01T10:00:00+02:00", "2026-03-01T08:30:00Z", State.OUT),
    ],
)
def test_of_a_pair_of_dates_the_later_one_speaks_and_out_wins_a_tie(joined: str, left: str, said: State) -> None:
    assert heard(DATES, {"joined": joined, "left": left}) is said


@pytest.mark.parametrize("value", ["soon", "2026-13-01", "99999999999999999999999"])
def test_an_unreadable_date_silences_the_pair(value: str) -> None:
    assert heard(DATES, {"joined": "2026-03-01", "left": value}) == Unreadable("left", value)


def test_counts_show_an_inverted_mapping_before_it_is_saved() -> None:
    rows = [{"ok": value} for value in ("true", "false", "false", "", "yes")]

    right = count_buckets([heard(OPT_IN, row) for row in rows])
    inverted = count_buckets([heard(OPT_OUT, {"no": row["ok"]}) for row in rows])

    assert right == Buckets(said_in=1, said_out=2, silent=1, unreadable=1)
    assert inverted == Buckets(2, 1, 1, 1)
    assert right + inverted == Buckets(3, 3, 2, 2)


def test_an_opt_out_is_written_as_the_mapping_says_it() -> None:
    assert out_value(OPT_IN, None, NINE) == ("ok", "false")
    assert out_value(OPT_OUT, None, NINE) == ("no", "true")
    assert out_value(STATUS, None, NINE) == ("status", "No")
    assert out_value(DATES, Property("left", "Left", "date"), NINE) == ("left", "2026-03-02")
    assert out_value(DATES, Property("left", "Left", "datetime"), NINE) == ("left", "2026-03-02T09:30:00.000Z")


@pytest.mark.parametrize("item", [OPT_IN, OPT_OUT, STATUS, DATES])
def test_a_written_opt_out_reads_back_as_an_opt_out(item: ConsentItem) -> None:
    written = out_value(item, None, NINE)

    assert written is not None
    assert heard(item, dict([written])) is State.OUT


def test_an_opt_in_is_written_where_it_can_be_said() -> None:
    assert in_value(OPT_IN, None, NINE) == ("ok", "true")
    assert in_value(OPT_OUT, None, NINE) == ("no", "false")
    assert in_value(STATUS, None, NINE) == ("status", "Yes")
    assert in_value(DATES, Property("joined", "Joined", "datetime"), NINE) == ("joined", "2026-03-02T09:30:00.000Z")
    assert in_value(DATES, Property("joined", "Joined", "date"), NINE) is None


def test_an_option_that_no_longer_exists_is_passed_over() -> None:
    found = Property("status", "Status", "enumeration", options=(Option("Yes", "Yes"), Option("Never", "Never")))

    assert out_value(STATUS, found, NINE) == ("status", "Never")


def test_there_may_be_nothing_to_write_an_opt_out_to() -> None:
    only_in = ConsentItem("sms", "enumeration", "status", {"Yes": "in"})
    locked = Property("no", "No", "bool", read_only=True)

    assert out_value(only_in, None, NINE) is None
    assert out_value(OPT_OUT, locked, NINE) is None
    assert in_value(OPT_OUT, locked, NINE) is None
    assert out_value(STATUS, Property("status", "Status", "enumeration"), NINE) is None


def test_a_date_is_written_in_utc() -> None:
    late_in_new_york = datetime(2026, 3, 2, 23, tzinfo=timezone(timedelta(hours=-5)))

    assert out_value(DATES, Property("left", "Left", "date"), late_in_new_york) == ("left", "2026-03-03")


def test_opt_outs_follow_a_person_to_a_new_number_and_opt_ins_do_not() -> None:
    before, after = NINE - timedelta(days=1), NINE + timedelta(days=1)

    assert speaks_for(State.OUT, before, held_since=NINE)
    assert not speaks_for(State.IN, before, held_since=NINE)
    assert not speaks_for(State.IN, None, held_since=NINE)
    assert speaks_for(State.IN, after, held_since=NINE)
    assert speaks_for(State.IN, before, held_since=None)
