"""Which contact survives a merge, which values it keeps, and how a merge is taken back."""

from datetime import UTC, datetime, timedelta

from mercuri.core.survivor import Choice, Member, Unmerge, choose_fields, choose_survivor, unmerge_fields

THEN = datetime(2026, 5, 3, tzinfo=UTC)


def a_member(number: int, *, linked: bool = False, active_days: int = 0, at: int = 0, **fields: str) -> Member:
    times = dict.fromkeys(fields, THEN + timedelta(days=at))
    return Member(number, fields, times, linked, THEN + timedelta(days=active_days), THEN)


def test_a_contact_linked_to_hubspot_survives():
    members = [a_member(1, first_name="Ana", email="ana@example.com", active_days=9), a_member(2, linked=True)]

    assert choose_survivor(members) == (2, "HubSpot-linked")


def test_among_the_linked_the_more_complete_survives():
    members = [
        a_member(1, linked=True, first_name="Ana", city=" "),
        a_member(2, linked=True, first_name="Ana", city="Lyon"),
        a_member(3, first_name="Ana", city="Lyon", zip="69001"),
    ]

    assert choose_survivor(members) == (2, "most complete")


def test_equally_complete_the_most_recently_active_survives():
    assert choose_survivor([a_member(1, active_days=1), a_member(2, active_days=2)]) == (2, "most recent")


def test_all_else_equal_the_oldest_survives_in_any_order():
    assert choose_survivor([a_member(2), a_member(1), a_member(3)]) == (1, "oldest")


def test_the_survivors_values_stay_and_its_gaps_are_filled():
    members = [
        a_member(1, first_name="Ana", city="", phone="+1", zip="1"),
        a_member(2, first_name="Ana", city="Lyon", phone="+2", zip=""),
    ]

    assert choose_fields(members, 1) == {
        "first_name": Choice("Ana", 1, "equal"),
        "city": Choice("Lyon", 2, "only value"),
        "phone": Choice("+1", 1, "the survivor's"),
        "zip": Choice("1", 1, "the survivor's"),
    }


def test_a_gap_takes_the_most_recent_value_of_the_others():
    members = [a_member(1, city=""), a_member(2, city="Lyon", at=1), a_member(3, city="Paris", at=2)]

    assert choose_fields(members, 1)["city"] == Choice("Paris", 3, "most recent")


def test_a_newer_clearing_does_not_win_by_itself():
    members = [a_member(1, city="Lyon"), a_member(2, city="", at=5)]

    assert choose_fields(members, 1)["city"] == Choice("Lyon", 1, "the survivor's")
    assert choose_fields(members, 2)["city"] == Choice("Lyon", 1, "only value")


def test_a_picked_value_wins_even_when_it_is_empty():
    members = [a_member(1, city="Lyon"), a_member(2, city="", at=5)]

    assert choose_fields(members, 1, {"city": 2})["city"] == Choice("", 2, "your choice")


def test_a_field_that_nobody_fills_stays_empty():
    assert choose_fields([a_member(1, city=""), a_member(2)], 2)["city"] == Choice("", 2, "empty")


def test_unmerging_puts_back_what_the_merge_set():
    before, merged = {"city": "", "phone": "+1"}, {"city": "Lyon", "phone": "+2", "zip": "1"}

    assert unmerge_fields(before, merged, merged) == Unmerge({"city": "", "phone": "+1", "zip": ""}, {})


def test_unmerging_keeps_and_lists_what_was_edited_since():
    before, merged = {"city": "", "phone": "+1"}, {"city": "Lyon", "phone": "+1"}

    assert unmerge_fields(before, merged, {"city": "Paris", "phone": "+3"}) == Unmerge({}, {"city": "Paris"})


def test_unmerging_lists_what_was_cleared_since():
    assert unmerge_fields({"city": "Lyon"}, {"city": "Paris"}, {"city": ""}) == Unmerge({}, {"city": ""})


def test_a_field_already_put_back_by_hand_needs_nothing():
    assert unmerge_fields({"city": "Lyon"}, {"city": "Paris"}, {"city": "Lyon"}) == Unmerge({}, {})
