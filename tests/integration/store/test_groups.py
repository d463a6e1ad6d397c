"""Groups as the database keeps them: crowds, chains, writers that do not see each other, and any order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.clock import START
from tests.support.duplicates import Team, a_team

from mercuri.core.match import CAPS, KeyKind, MatchKey
from mercuri.core.normalise import addresses_of
from mercuri.engine import dedupe
from mercuri.store import contacts, duplicates, groups, match_keys, schema
from mercuri.store.contacts import NewContact
from mercuri.store.database import Database, Tx

CAP = CAPS[KeyKind.PHONE]
HUB = MatchKey(KeyKind.PHONE, "+447911123456")


@pytest.fixture
def team(database: Database) -> Iterator[Team]:
    with a_team(database) as made:
        yield made


def give(tx: Tx, keys: dict[int, frozenset[MatchKey]]) -> None:
    """Give contacts keys, as an edit does."""
    groups.keys_changed(tx, match_keys.replace(tx, keys), START)


def email(name: object) -> MatchKey:
    return MatchKey(KeyKind.EMAIL, f"{name}@example.org")


def test_a_crowd_is_never_read_whole(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    with team.app.db.write(team.ws) as tx:
        crowd = [(team.ws, int(HUB.kind), HUB.value, contact) for contact in range(1, 50_001)]
        tx.insert_many(schema.match_key, ("workspace_id", "kind", "value", "contact_id"), crowd)
        groups.rebuild(tx, START)
    read: list[int] = []
    original = match_keys._first_holders

    def counted(*asked: Any) -> Iterator[tuple[str, list[int]]]:
        for value, ids in original(*asked):
            read.append(len(ids))
            yield value, ids

    monkeypatch.setattr(match_keys, "_first_holders", counted)
    with team.app.db.write(team.ws) as tx:
        give(tx, {60_000: frozenset({HUB})})
    with team.app.db.write(team.ws) as tx:
        give(tx, {60_000: frozenset()})

    assert read
    assert max(read) <= CAP + 2
    assert team.groups() == {}


def test_a_value_joins_up_to_its_cap_and_again_below_it(team: Team) -> None:
    for contact in range(1, CAP + 1):
        with team.app.db.write(team.ws) as tx:
            give(tx, {contact: frozenset({HUB})})
    assert team.groups() == {1: tuple(range(1, CAP + 1))}

    with team.app.db.write(team.ws) as tx:
        give(tx, {CAP + 1: frozenset({HUB})})
    assert team.groups() == {}

    with team.app.db.write(team.ws) as tx:
        give(tx, {3: frozenset()})
    assert len(team.groups()[1]) == CAP


def test_a_long_chain_falls_in_two_where_it_is_cut(team: Team) -> None:
    length = 10_000
    with team.app.db.write(team.ws) as tx:
        links = [(team.ws, 1, email(n).value, 1 + contact) for contact in range(length) for n in (contact, contact + 1)]
        tx.insert_many(schema.match_key, ("workspace_id", "kind", "value", "contact_id"), links)
        groups.rebuild(tx, START)
    assert [len(members) for members in team.groups().values()] == [length]

    with team.app.db.write(team.ws) as tx:
        give(tx, {length // 2: frozenset()})

    assert sorted(len(members) for members in team.groups().values()) == [length // 2 - 1, length // 2]
    with team.app.db.read(team.ws) as tx:
        assert groups.differences(tx) == 0


def test_two_writers_who_do_not_see_each_other_still_make_one_group(postgresql_database: Database) -> None:
    with a_team(postgresql_database) as team:
        db = team.app.db
        with db.write(team.ws) as one, db.write(team.ws) as other:
            give(one, {1: frozenset({HUB})})
            give(other, {2: frozenset({HUB})})

        assert team.groups() == {1: (1, 2)}


def test_what_a_dead_writer_left_is_drained_later(postgresql_database: Database) -> None:
    with a_team(postgresql_database) as team:
        with team.app.db.write(team.ws) as tx:
            give(tx, {1: frozenset({HUB}), 2: frozenset({HUB})})
            tx.afterwards.clear()  # the process ends between its commit and its drain
        assert team.groups() == {}

        assert dedupe.drain(team.app, team.ws) == 2

        assert team.groups() == {1: (1, 2)}
        assert dedupe.drain(team.app, team.ws) == 0


def test_neither_the_order_nor_the_batches_of_a_load_matter(team: Team) -> None:
    chance = random.Random(7)
    keys = {c: frozenset({email(chance.randrange(9)), email(f"x{chance.randrange(9)}")}) for c in range(1, 25)}
    with team.app.db.write(team.ws) as tx:
        give(tx, keys)
    at_once = team.groups()
    with team.app.db.write(team.ws) as tx:
        give(tx, dict.fromkeys(keys, frozenset()))
    assert team.groups() == {}

    order = list(keys)
    chance.shuffle(order)
    for contact in order:
        with team.app.db.write(team.ws) as tx:
            give(tx, {contact: keys[contact]})

    assert team.groups() == at_once


def test_an_edit_changes_only_groups_that_hold_a_touched_contact(team: Team) -> None:
    with team.app.db.write(team.ws) as tx:
        give(tx, {c: frozenset({email(c // 2)}) for c in range(2, 10)})
    before = team.groups()

    with team.app.db.write(team.ws) as tx:
        give(tx, {3: frozenset({email(2)})})

    changed = {g for g, _ in before.items() ^ team.groups().items()}
    assert changed == {2, 3, 4}


def test_placeholders_join_nobody(team: Team) -> None:
    for _ in range(2):
        team.add(first_name="Ana", phone="0000000000", email="noemail@example.org")

    assert team.groups() == {}


def test_a_bulk_load_writes_keys_and_one_rebuild_makes_the_groups(team: Team) -> None:
    new = [
        NewContact({"phone": phone}, None, addresses_of({"phone": phone}, "GB"), START)
        for phone in ("+44 7911 123456", "07911 123456", "07400 123456")
    ]
    with team.app.db.write(team.ws) as tx:
        ids = contacts.insert_many(tx, new, bulk=True)
        dedupe.contacts_loaded(tx, dict(zip(ids, new, strict=True)))
        assert duplicates.totals(tx).groups == 0
        dedupe.rebuild(tx, START)

    assert team.groups() == {ids[0]: (ids[0], ids[1])}
    team.check()


def test_another_workspace_shares_nothing(team: Team, database: Database) -> None:
    with a_team(database) as other:
        team.add(phone="+44 7911 123456")
        other.add(phone="+44 7911 123456")

        assert (team.groups(), other.groups()) == ({}, {})
