"""One field at a time: which side changed, who is carried over, and what is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mercuri.core.diff import (
    Act,
    Base,
    Decision,
    Dispute,
    Rule,
    merge_field,
    settle_choice,
    settle_sent,
    three_way,
)
from mercuri.core.settings import Blanks, Direction, Policy

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
LYON = Base("Lyon", "Lyon")


def norm(raw: str) -> str:
    return " ".join(raw.split()).casefold()


def merge(
    base: Base | None,
    local: str,
    remote: str,
    *,
    direction: Direction = Direction.BOTH,
    policy: Policy = Policy.HUBSPOT,
    blanks: Blanks = Blanks.KEEP,
    local_at: datetime | None = None,
    remote_at: datetime | None = None,
) -> Decision:
    return merge_field(
        base,
        local,
        remote,
        local_at=local_at,
        remote_at=remote_at,
        direction=direction,
        policy=policy,
        blanks=blanks,
        norm=norm,
    )


def test_nothing_happens_when_neither_side_changed() -> None:
    assert merge(LYON, "Lyon", "Lyon") == Decision(Act.NONE)


def test_a_change_in_hubspot_is_taken() -> None:
    decision = merge(LYON, "Lyon", "Paris")

    assert (decision.act, decision.value, decision.base) == (Act.TAKE, "Paris", Base("Paris", "Paris"))


def test_a_change_here_is_sent_and_its_base_waits_for_the_answer() -> None:
    decision = merge(LYON, "Paris", "Lyon")

    assert (decision.act, decision.value, decision.base) == (Act.SEND, "Paris", None)


def test_the_same_change_on_both_sides_is_silent() -> None:
    decision = merge(LYON, "Paris", " paris ")

    assert (decision.act, decision.base) == (Act.SAME, Base("Paris", " paris "))


def test_a_change_of_case_and_spaces_is_no_edit() -> None:
    assert merge(LYON, " LYON", "lyon ").act is Act.NONE


def test_a_difference_that_was_settled_stays_settled() -> None:
    assert merge(Base("07911 1", "+447911", "stored_differently"), "07911 1", "+447911").act is Act.NONE


def test_a_side_is_compared_with_its_own_half_of_the_base() -> None:
    decision = merge(Base("Lyon", "LYON CEDEX", "stored_differently"), "Paris", "Lyon Cedex")

    assert (decision.act, decision.value) == (Act.SEND, "Paris")


@pytest.mark.parametrize(
    ("local", "remote", "act", "value"), [("", "Paris", Act.TAKE, "Paris"), ("Lyon", "", Act.SEND, "Lyon")]
)
def test_without_a_base_an_empty_side_is_filled(local: str, remote: str, act: Act, value: str) -> None:
    decision = merge(None, local, remote)

    assert (decision.act, decision.value, decision.why) == (act, value, "filled")


def test_without_a_base_equal_values_are_adopted() -> None:
    assert merge(None, "Lyon", "LYON").base == Base("Lyon", "LYON", "same")


def test_without_a_base_two_values_are_a_conflict_whoever_is_newer() -> None:
    decision = merge(None, "Lyon", "Paris", policy=Policy.ASK, local_at=NINE + timedelta(days=9), remote_at=NINE)

    assert decision == Decision(Act.CONFLICT, why="ask")


@pytest.mark.parametrize(
    ("policy", "act", "value", "loser"),
    [(Policy.HUBSPOT, Act.TAKE, "Nice", "Paris"), (Policy.MERCURI, Act.SEND, "Paris", "Nice")],
)
def test_a_policy_decides_a_conflict_and_the_loser_is_kept(policy: Policy, act: Act, value: str, loser: str) -> None:
    decision = merge(LYON, "Paris", "Nice", policy=policy)

    assert (decision.act, decision.value, decision.loser) == (act, value, loser)


def test_asking_writes_nothing_and_leaves_the_base() -> None:
    assert merge(LYON, "Paris", "Nice", policy=Policy.ASK) == Decision(Act.CONFLICT, why="ask")


@pytest.mark.parametrize(
    ("ahead", "act"),
    [(60, Act.SEND), (59, Act.TAKE), (0, Act.TAKE), (-60, Act.TAKE)],
)
def test_the_later_edit_wins_and_less_than_a_minute_is_a_tie_for_hubspot(ahead: int, act: Act) -> None:
    decision = merge(
        LYON, "Paris", "Nice", policy=Policy.RECENT, local_at=NINE + timedelta(seconds=ahead), remote_at=NINE
    )

    assert decision.act is act


@pytest.mark.parametrize(("local_at", "remote_at"), [(None, NINE), (NINE, None), (None, None)])
def test_an_unknown_time_counts_as_a_tie(local_at: datetime | None, remote_at: datetime | None) -> None:
    assert merge(LYON, "Paris", "Nice", policy=Policy.RECENT, local_at=local_at, remote_at=remote_at).act is Act.TAKE


@pytest.mark.parametrize(("local", "remote"), [("", "Lyon"), ("Lyon", " ")])
def test_a_value_erased_on_one_side_is_kept_on_the_other_and_stays_erased(local: str, remote: str) -> None:
    decision = merge(LYON, local, remote)

    assert (decision.act, decision.base) == (Act.ACCEPT, Base(local, remote, "kept_blank"))
    assert merge(decision.base, local, remote).act is Act.NONE


def test_erase_carries_the_blank_over() -> None:
    assert merge(LYON, "Lyon", "  ", blanks=Blanks.ERASE).value == ""
    assert merge(LYON, "Lyon", "  ", blanks=Blanks.ERASE).act is Act.TAKE
    assert merge(LYON, "", "Lyon", blanks=Blanks.ERASE).act is Act.SEND


def test_an_erased_value_can_be_asked_about() -> None:
    assert merge(LYON, "", "Lyon", blanks=Blanks.ASK) == Decision(Act.CONFLICT, why="erased")


@pytest.mark.parametrize("policy", list(Policy))
def test_in_a_conflict_a_filled_side_beats_an_empty_one_under_keep(policy: Policy) -> None:
    decision = merge(LYON, "Paris", "", policy=policy)

    assert (decision.act, decision.value) == (Act.SEND, "Paris")


def test_in_a_conflict_the_policy_may_erase_under_erase() -> None:
    decision = merge(LYON, "Paris", "", blanks=Blanks.ERASE)

    assert (decision.act, decision.value, decision.loser) == (Act.TAKE, "", "Paris")


def test_in_a_conflict_a_winning_blank_is_asked_about_under_ask() -> None:
    assert merge(LYON, "Paris", "", blanks=Blanks.ASK).act is Act.CONFLICT
    assert merge(LYON, "", "Nice", blanks=Blanks.ASK).act is Act.TAKE


@pytest.mark.parametrize(
    ("direction", "local", "remote"),
    [(Direction.IN, "Paris", "Lyon"), (Direction.OUT, "Lyon", "Paris")],
)
def test_a_write_against_the_direction_is_accepted_instead(direction: Direction, local: str, remote: str) -> None:
    decision = merge(LYON, local, remote, direction=direction)

    assert (decision.act, decision.base) == (Act.ACCEPT, Base(local, remote, "one_way"))


def test_a_conflict_that_no_write_follows_has_no_loser() -> None:
    decision = merge(LYON, "Paris", "Nice", direction=Direction.OUT, policy=Policy.HUBSPOT)

    assert (decision.act, decision.loser) == (Act.ACCEPT, None)


def test_a_field_that_was_not_asked_for_is_left_alone() -> None:
    changes = three_way({"city": LYON}, {"city": "Lyon"}, {}, {"city": Rule(norm, blanks=Blanks.ERASE)})

    assert changes.is_empty
    assert "city" not in changes.decisions


def test_a_contact_without_a_mapped_field_has_it_empty() -> None:
    changes = three_way({}, {}, {"custom.city": "Lyon"}, {"custom.city": Rule(norm)})

    assert changes.to_local == {"custom.city": "Lyon"}


def test_each_field_goes_its_own_way() -> None:
    rules = {name: Rule(norm, policy=Policy.ASK) for name in ("city", "job", "phone", "email", "last")} | {
        "first": Rule(norm)
    }
    bases = {name: Base("old", "old") for name in rules}
    local = {"city": "old", "job": "Cook", "phone": "1", "email": "a", "last": "", "first": "Ana"}
    remote = {"city": "Paris", "job": "old", "phone": "2", "email": "A", "last": "old", "first": "Anna"}

    changes = three_way(bases, local, remote, rules)

    assert changes.to_local == {"city": "Paris", "first": "Anna"}
    assert changes.to_remote == {"job": "Cook"}
    assert changes.conflicts == {"phone": Dispute("1", "2", "ask")}
    assert changes.bases == {"email": Base("a", "A", "same"), "last": Base("", "old", "kept_blank")}
    assert changes.losers == {"first": "Ana"}


def test_times_reach_the_policy_by_field() -> None:
    rules = {"city": Rule(norm, policy=Policy.RECENT)}

    changes = three_way(
        {"city": LYON},
        {"city": "Paris"},
        {"city": "Nice"},
        rules,
        local_at={"city": NINE + timedelta(hours=1)},
        remote_at={"city": NINE},
    )

    assert changes.to_remote == {"city": "Paris"}


def test_a_value_that_hubspot_stored_differently_is_no_edit_later() -> None:
    base = settle_sent("+44 7911", "+447911 (UK)", norm)

    assert base.why == "stored_differently"
    assert merge(base, "+44 7911", "+447911 (UK)").act is Act.NONE


def test_a_value_stored_as_sent_is_the_same() -> None:
    assert settle_sent("Lyon", "lyon", norm) == Base("Lyon", "lyon", "same")


def test_a_choice_writes_the_value_taken_even_an_empty_one() -> None:
    taken = settle_choice("Paris", "", take_remote=True, direction=Direction.BOTH)
    sent = settle_choice("Paris", "Nice", take_remote=False, direction=Direction.BOTH)

    assert (taken.act, taken.value, taken.why) == (Act.TAKE, "", "resolved")
    assert (sent.act, sent.value) == (Act.SEND, "Paris")


@pytest.mark.parametrize("blanks", list(Blanks))
def test_a_chosen_blank_is_sent_and_not_asked_about_again(blanks: Blanks) -> None:
    chosen = settle_choice("", "Nice", take_remote=False, direction=Direction.BOTH)

    decision = merge(chosen.base, "", "Nice", blanks=blanks, policy=Policy.ASK)

    assert (decision.act, decision.value, decision.why) == (Act.SEND, "", "resolved")


def test_a_choice_that_hubspot_overtakes_is_a_conflict_again() -> None:
    chosen = settle_choice("Paris", "Nice", take_remote=False, direction=Direction.BOTH)

    assert merge(chosen.base, "Paris", "Metz", policy=Policy.ASK).act is Act.CONFLICT
    assert merge(chosen.base, "Paris", "paris", policy=Policy.ASK).act is Act.SAME


def test_a_choice_against_the_direction_leaves_both_and_is_remembered() -> None:
    decision = settle_choice("Paris", "Nice", take_remote=False, direction=Direction.IN)

    assert decision.base == Base("Paris", "Nice", "one_way")
