"""What must hold of duplicates, each by name; the checks raise AssertionError."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tests.property.duplicates.playing import PHONES, Machine
from tests.support.duplicates import Team

from mercuri.core import match
from mercuri.core.contact import ContactId
from mercuri.core.match import KeyKind, MatchKey
from mercuri.engine import dedupe, gate
from mercuri.errors import UserError
from mercuri.store import contacts, groups, match_keys, shown

PLACEHOLDER = MatchKey(KeyKind.EMAIL, "noemail@example.org")


@dataclass(frozen=True)
class State:
    """Everything about duplicates at one moment."""

    groups: dict[int, tuple[int, ...]]
    sizes: dict[int, int]
    keys: dict[int, frozenset[MatchKey]]
    contacts: dict[int, Any]
    gone: dict[int, int | None]  # absorbed or deleted -> survivor
    shared: frozenset[MatchKey]
    apart: frozenset[tuple[int, int, MatchKey, str]]
    sendable: dict[str, bool]


def state(machine: Machine) -> State:
    """What stands now."""
    team, phones = machine.team, [phone.partition(" ext")[0] for phone in PHONES if phone]
    with team.app.db.read(team.ws) as tx:
        people = shown.many(tx, machine.ids)
        keys = match_keys.of(tx, machine.ids)
        sizes = match_keys.rows(tx, f"SELECT grp, size FROM dup_group WHERE workspace_id = {team.ws}", ())
        members = {id_: members for id_, (members, _) in groups.stored(tx).items()}
        shared = frozenset(item.key for item in match_keys.shared(tx))
        apart = frozenset((item.a, item.b, item.key, item.by) for item in match_keys.all_apart(tx))
    return State(
        groups=members,
        sizes=dict(sizes),
        keys={id_: keys.get(id_, frozenset()) for id_ in machine.ids},
        contacts={one.id: (one.fields, one.addresses, one.origins) for one in people},
        gone={one.id: one.merged_into for one in people if one.merged_into or one.deleted_at},
        shared=shared,
        apart=apart,
        sendable={one.address: one.sendable for one in gate.check(team.app, team.ws, "sms", phones)},
    )


# --- of a state --------------------------------------------------------------------------------------------------


def incremental_equals_rebuild(machine: Machine, now: State) -> None:
    """1. Whatever happened, the groups are what a rebuild makes of today's values, by the pure definition too."""
    team = machine.team
    with team.app.db.read(team.ws) as tx:
        alive = [held.id for batch in contacts.each(tx) for held in batch]
        due = match_keys.due(tx, alive)
        assert {id_: own for id_, own in due.items() if own} == match_keys.of(tx, alive)
        assert now.groups == match.groups(due, now.shared, [one[:3] for one in now.apart], groups.caps(tx))
        assert groups.differences(tx) == 0


def sizes_are_counts(machine: Machine, now: State) -> None:
    """3. A group has its number of members as its size, and two at least; the banner counts them all."""
    assert now.sizes == {id_: len(members) for id_, members in now.groups.items()}
    assert all(size >= 2 for size in now.sizes.values())
    totals = dedupe.totals(machine.team.app, machine.team.ws)
    assert (totals.groups, totals.contacts) == (len(now.sizes), sum(now.sizes.values()))


def a_group_is_named_by_its_smallest(machine: Machine, now: State) -> None:
    """4. The id of a group is its smallest member."""
    assert all(id_ == min(members) for id_, members in now.groups.items())


def every_member_is_joined(machine: Machine, now: State) -> None:
    """5. Nobody is a member without a key that joins them to another member."""
    for members in now.groups.values():
        assert all(any(_joined(one, other, now) for other in members if other != one) for one in members)


def _joined(one: int, other: int, now: State) -> bool:
    a, b = sorted((one, other))
    told = {key for x, y, key, _ in now.apart if (x, y) == (a, b)}
    common = {key for key in now.keys[one] & now.keys[other] if key.kind in match.CAPS}
    return bool(common - told - now.shared)


def the_gone_are_in_no_group(machine: Machine, now: State) -> None:
    """11. Deleted and absorbed contacts are in no group, and every chain of merges ends at one who was not absorbed."""
    assert not now.gone.keys() & {id_ for members in now.groups.values() for id_ in members}
    with machine.team.app.db.read(machine.team.ws) as tx:
        for id_, into in now.gone.items():
            if into is not None:
                assert now.gone.get(contacts.survivor_of(tx, ContactId(id_))) is None


def placeholders_join_nobody(machine: Machine, now: State) -> None:
    """13. What people type where an e-mail is demanded is no key."""
    assert not any(PLACEHOLDER in own for own in now.keys.values())


ALWAYS = (
    *(incremental_equals_rebuild, sizes_are_counts, a_group_is_named_by_its_smallest, every_member_is_joined),
    *(the_gone_are_in_no_group, placeholders_join_nobody),
)


# --- of an act ---------------------------------------------------------------------------------------------------


def only_touched_groups_change(before: State, after: State) -> None:
    """6. An act changes only groups that hold, or held, a contact that it touched."""
    touched = set(_touched(before, after))
    old, new = ({(id_, members) for id_, members in one.groups.items()} for one in (before, after))
    assert all(touched & set(members) for _, members in old ^ new)


def _touched(before: State, after: State) -> Iterator[int]:
    moved = {key for id_ in before.keys for key in before.keys[id_] ^ after.keys[id_]} | before.shared ^ after.shared
    for one in (before, after):
        yield from (id_ for id_, own in one.keys.items() if own & moved)
    for a, b, _, _ in before.apart ^ after.apart:
        yield from (a, b)


def no_permission_is_widened(before: State, after: State) -> None:
    """8. A merge, or its undo, opens no address."""
    assert all(before.sendable[address] for address, sendable in after.sendable.items() if sendable)


def the_union_of_keys_is_kept(before: State, after: State, done: dedupe.MergeDone) -> None:
    """9. The survivor holds every key of an address that one of them held."""
    everybody = [before.keys[id_] for id_ in (done.merge.survivor, *done.merge.absorbed)]
    assert after.keys[done.merge.survivor] == frozenset().union(*everybody)


def merge_and_undo_restore(machine: Machine, number: int, second: int) -> None:
    """7. A merge that is taken back leaves contacts, keys, choices, consent and groups as they were. 8 and 9 beside."""
    before = state(machine)
    try:
        done = machine.merge(number, second)
    except UserError:
        assert state(machine) == before
        return
    merged = state(machine)
    no_permission_is_widened(before, merged)
    the_union_of_keys_is_kept(before, merged, done)
    machine.team.undo(machine.merges.pop())
    assert state(machine) == before


def a_dismissed_group_stays_away(machine: Machine, number: int) -> None:
    """12. Dismissing a whole group empties it, and unchanged data raises nothing again."""
    try:
        id_, members = machine.group(number)
    except UserError:
        return
    machine.team.dismiss(id_)
    _nobody_in_a_group(machine, members)
    machine.change_many([(n, _present(machine.team, i)) for n, i in enumerate(machine.ids) if i in members])
    _nobody_in_a_group(machine, members)


def _nobody_in_a_group(machine: Machine, people: Collection[int]) -> None:
    assert not set(people) & {id_ for members in machine.team.groups().values() for id_ in members}


def _present(team: Team, id_: int) -> tuple[str, str]:
    fields = team.contact(id_).fields
    return fields["phone"], fields["email"]
