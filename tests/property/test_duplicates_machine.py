"""The thirteen invariants of duplicates, on both databases; and that each is noticed when it is broken.

They are numbered in `tests.property.duplicates.invariants`, which holds those of a state or an act. Order and batching
(2) and how much is read (10) are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.duplicates import invariants
from tests.property.duplicates.invariants import ALWAYS, state
from tests.property.duplicates.playing import CAPS, EMAILS, PEOPLE, PHONES, Machine, acts, numbers, values
from tests.support.database import fresh_database
from tests.support.duplicates import a_team

from mercuri.core import match
from mercuri.engine import grouping, merging, unmerging
from mercuri.store import groups, match_keys

_SETTINGS = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
    "derandomize": True,
}
#: Acts that may open no address.
_MERGES = ("merge", "undo", "merge_safe")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with fresh_database(request.param, tmp_path_factory.mktemp("groups")) as database, a_team(database, **CAPS) as team:
        yield Machine(team)


@settings(max_examples=25, **_SETTINGS)
@given(steps=st.lists(acts, max_size=14))
def test_what_must_always_hold_holds_after_every_act(machine: Machine, steps: list[tuple[Any, ...]]) -> None:
    machine.clear()
    before = state(machine)
    for act in steps:
        machine.act(act)

        now = state(machine)
        for holds in ALWAYS:
            holds(machine, now)
        invariants.only_touched_groups_change(before, now)
        if act[0] in _MERGES:
            invariants.no_permission_is_widened(before, now)
        before = now


@settings(max_examples=15, **_SETTINGS)
@given(steps=st.lists(acts, max_size=6), number=numbers, second=numbers)
def test_a_merge_and_its_undo_leave_everything_as_it_was(
    machine: Machine, steps: list[tuple[Any, ...]], number: int, second: int
) -> None:
    machine.clear()
    for act in steps:
        machine.act(act)

    invariants.merge_and_undo_restore(machine, number, second)


@settings(max_examples=10, **_SETTINGS)
@given(steps=st.lists(acts, max_size=4), number=numbers)
def test_a_dismissed_group_stays_away(machine: Machine, steps: list[tuple[Any, ...]], number: int) -> None:
    machine.clear()
    for act in steps:
        machine.act(act)

    invariants.a_dismissed_group_stays_away(machine, number)


def order_and_batches_do_not_matter(machine: Machine, final: list[tuple[str, str]], order: list[int]) -> None:
    """2. The same values make the same groups, one by one in any order or all at once."""
    found = []
    for one_by_one in (True, False):
        machine.clear()
        machine.change_many([(person, ("", "")) for person in range(PEOPLE)])
        if one_by_one:
            for person in order:
                machine.edit(person, final[person])
        else:
            machine.change_many(list(enumerate(final)))
        found.append(machine.team.groups())
    assert found[0] == found[1]


@settings(max_examples=10, **_SETTINGS)
@given(final=st.lists(values, min_size=PEOPLE, max_size=PEOPLE), order=st.permutations(range(PEOPLE)))
def test_neither_order_nor_batches_show_in_the_groups(
    machine: Machine, final: list[tuple[str, str]], order: list[int]
) -> None:
    order_and_batches_do_not_matter(machine, final, order)


def little_is_read(machine: Machine, edits: list[tuple[int, tuple[str, str]]]) -> None:
    """10. An edit reads at most two holders more than join, of however many."""
    read: list[int] = []
    original = match_keys._first_holders

    def counted(*asked: Any) -> Iterator[tuple[str, list[int]]]:
        for value, ids in original(*asked):
            read.append(len(ids) - (CAPS["email_cap"] if "@" in value else CAPS["phone_cap"]))
            yield value, ids

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match_keys, "_first_holders", counted)
        for edit in edits:
            machine.edit(*edit)
    assert read
    assert max(read) <= 2


def test_a_crowd_is_read_no_further_than_it_counts(machine: Machine) -> None:
    machine.clear()
    machine.change_many([(person, ("", "a@example.org")) for person in range(PEOPLE)])

    little_is_read(machine, [(0, ("", "b@example.org")), (1, ("", "")), (0, ("", "a@example.org"))])


# --- each invariant is noticed when it is broken -------------------------------------------------------------------


_A, _B, _P, _Q = "a@example.org", "b@example.org", PHONES[1], PHONES[2]
#: A history in which every rule matters.
HISTORY: list[tuple[Any, ...]] = [
    *(("edit", person, ("", "")) for person in range(PEOPLE)),
    ("edit", 0, ("", EMAILS[-1])),
    ("edit", 1, ("", EMAILS[-1])),
    ("edit", 0, (_P, _A)),
    ("edit", 1, (_P, "")),
    ("edit", 2, (_P, _B)),
    ("edit", 3, ("", _B)),
    ("edit", 2, ("", _B)),
    ("dismiss", 0, 0),
    ("edit", 4, ("", _A)),
    ("edit", 5, ("", _A)),
    ("edit", 6, ("", _A)),
    ("edit", 6, ("", "")),
    ("share_or_unshare", 0),
    ("edit", 6, ("", _A)),
    ("share_or_unshare", 0),
    ("edit", 5, ("", "")),
    ("edit", 1, (_P, _A)),
    ("edit", 0, (_Q, _A)),
    ("merge", 0, 0),
    ("delete_or_restore", 3),
]


def _always(holds: Callable[..., None]) -> Callable[[Machine], None]:
    def check(machine: Machine) -> None:
        for act in HISTORY:
            getattr(machine, act[0])(*act[1:])
            holds(machine, state(machine))

    return check


def _of_each_act(machine: Machine) -> None:
    before = state(machine)
    for act in HISTORY:
        getattr(machine, act[0])(*act[1:])
        now = state(machine)
        invariants.only_touched_groups_change(before, now)
        before = now


def _of_a_merge(machine: Machine) -> None:
    """The first, who was told apart from the second, is merged into the third."""
    first, second, third = machine.ids[:3]
    machine.change_many([(person, ("", "")) for person in range(PEOPLE)])
    machine.change_many([(0, (_P, _A)), (1, (_P, _B)), (2, (_Q, _A))])
    machine.team.dismiss(first, (first, second))
    assert machine.team.groups() == {first: (first, third)}
    machine.say(0, False)
    machine.say(1, True)
    invariants.merge_and_undo_restore(machine, 0, 1)


def _of_a_dismissal(machine: Machine) -> None:
    invariants.a_dismissed_group_stays_away(machine, 0)


def _of_orders(machine: Machine) -> None:
    final = [("", _A), ("", _A), (_P, _A), (_P, ""), (_P, _B), ("", _B), ("", "")]
    order_and_batches_do_not_matter(machine, final, [6, 5, 4, 3, 2, 1, 0])


def _of_reading(machine: Machine) -> None:
    machine.change_many([(person, ("", _A)) for person in range(PEOPLE)])
    little_is_read(machine, [(0, ("", "")), (0, ("", _A))])


_joining, _first, _recompute, _tell = match_keys.joining, match_keys._first_holders, groups._recompute, merging.tell


def _the_first_two(tx: Any, most: Any) -> Any:
    return {key: held[:2] for key, held in _joining(tx, most).items()}


def _all_holders(tx: Any, kind: Any, values: Any, limit: int) -> Any:
    return _first(tx, kind, values, 1_000)


def _one_group_too_many(tx: Any, moved: Any, at: Any, *, also: Any = ()) -> None:
    _recompute(tx, moved, at, also=also)
    match_keys.write(tx, "UPDATE dup_group SET size = size + 1 WHERE workspace_id = ?", [(tx.workspace,)])


def _everybody_gone(tx: Any, moved: Any, at: Any, *, also: Any = ()) -> None:
    match_keys.write(tx, "DELETE FROM dup_member WHERE workspace_id = ?", [(tx.workspace,)])
    _recompute(tx, moved, at, also=also)


def _nobody_leaves(tx: Any, before: Any, after: Any) -> None:
    _move(tx, {contact: group for contact, group in before.items() if after[contact]}, after)


_move = groups._move


def _one_yes_for_all(tx: Any, ids: Any, at: Any) -> None:
    _tell(tx, ids, at)
    match_keys.write(tx, "UPDATE consent_state SET state = 'subscribed' WHERE workspace_id = ?", [(tx.workspace,)])


def _to_the_larger(roots: dict[int, int], a: int, b: int) -> None:
    low, high = sorted((match._root(roots, a), match._root(roots, b)))
    roots[low] = high


def _nothing(*anything: Any, **more: Any) -> Any:
    return {}


#: The invariant, what is wrong, and the check that must fail.
FAULTS: dict[str, tuple[Callable[[Machine], None], object, str, object]] = {
    "1: neighbours are not looked at": (
        _always(invariants.incremental_equals_rebuild), groups, "most_that_count", _nothing
    ),
    "1: pairs told apart are joined": (
        _always(invariants.incremental_equals_rebuild), groups._Index, "apart", _nothing
    ),
    "1: a shared value changes nothing": (
        _always(invariants.incremental_equals_rebuild), grouping, "_flipped", _nothing
    ),
    "2: the first two holders alone are joined": (_of_orders, match_keys, "joining", _the_first_two),
    "3: totals are not kept": (_always(invariants.sizes_are_counts), groups, "_add_totals", _nothing),
    "3: sizes are not counts": (_always(invariants.sizes_are_counts), groups, "_recompute", _one_group_too_many),
    "4: groups are named by their largest": (
        _always(invariants.a_group_is_named_by_its_smallest), match, "_join", _to_the_larger
    ),
    "5: who is joined no more stays": (_always(invariants.every_member_is_joined), groups, "_move", _nobody_leaves),
    "6: all groups are written": (_of_each_act, groups, "_recompute", _everybody_gone),
    "7: who was told apart is forgotten": (_of_a_merge, unmerging, "_put_apart_back", _nothing),
    "7: values stay where the merge put them": (_of_a_merge, unmerging, "_put_values_back", _nothing),
    "8: one member's yes is everybody's": (_of_a_merge, merging, "tell", _one_yes_for_all),
    "9: addresses of the absorbed are lost": (_of_a_merge, merging, "_united", lambda mine, others: list(mine)),
    "10: all of a crowd is read": (_of_reading, match_keys, "_first_holders", _all_holders),
    "11: the absorbed keep their keys": (_always(invariants.the_gone_are_in_no_group), merging, "tell", _nothing),
    "12: a dismissal is forgotten": (_of_a_dismissal, match_keys, "tell_apart", _nothing),
    "13: placeholders are keys": (
        _always(invariants.placeholders_join_nobody), match, "PLACEHOLDER_LOCAL_PARTS", frozenset()
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_rule_taken_away_is_noticed(fault: str, machine: Machine) -> None:
    check, place, name, wrong = FAULTS[fault]
    if machine.team.app.db.is_sqlite:
        machine.clear()
        check(machine)
    machine.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, wrong)
        with pytest.raises(AssertionError):
            check(machine)

    machine.clear()


def test_every_invariant_has_a_fault() -> None:
    assert sorted({int(name.partition(":")[0]) for name in FAULTS}) == list(range(1, 14))
