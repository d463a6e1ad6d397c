"""Groups in the database after any sequence of acts, on both databases: what the pure definition makes of the values.

Every act goes the way a person's does: edits, deletions, imports, merges and their undo, dismissals, shared values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.database import fresh_database
from tests.support.duplicates import MANAGER, Team, a_team

from mercuri.core import match
from mercuri.core.contact import ContactId
from mercuri.core.match import KeyKind, MatchKey
from mercuri.engine import dedupe, edit
from mercuri.errors import UserError
from mercuri.store import contacts, groups, match_keys, merges

#: Small caps, so that a value becomes crowded, and stops to be, in a few acts.
CAPS = {KeyKind.EMAIL: 3, KeyKind.PHONE: 4}
PEOPLE = 7
PHONES = ["", "+44 7911 123456", "+44 7400 123456", "+44 20 7946 0018 ext 5"]
EMAILS = ["", "", "a@example.org", "b@example.org", "noemail@example.org"]

people = st.integers(0, PEOPLE - 1)
numbers = st.integers(0, 30)
values = st.tuples(st.sampled_from(PHONES), st.sampled_from(EMAILS))
acts = st.one_of(
    st.tuples(st.just("edit"), people, values),
    st.tuples(st.just("edit"), people, values),
    st.tuples(st.just("delete_or_restore"), people),
    st.tuples(st.just("merge"), numbers, numbers),
    st.tuples(st.just("merge"), numbers, numbers),
    st.tuples(st.just("undo"), numbers),
    st.tuples(st.just("dismiss"), numbers, numbers),
    st.tuples(st.just("share_or_unshare"), numbers),
    st.tuples(st.just("change_many"), st.lists(st.tuples(people, values), min_size=2, max_size=4)),
    st.tuples(st.just("merge_safe")),
)


class Machine:
    """A team of a few people on whom acts are tried; a refusal must leave everything as it was."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.merges: list[int] = []
        start = zip((PHONES * 2)[:PEOPLE], (EMAILS * 2)[:PEOPLE], strict=True)
        self.ids = [team.add(first_name="Ana", **self._fields(*pair)) for pair in start]
        self.clear()

    def _fields(self, phone: str, email: str) -> dict[str, str]:
        return {"phone": phone, "email": email}

    def clear(self) -> None:
        """Back to the beginning: everybody lives, nobody is merged, told apart or shared; the values stay."""
        app, ws = self.team.app, self.team.ws
        for number in reversed(self.merges):
            self._may(lambda number=number: self.team.undo(number))  # type: ignore[misc]
        self.merges = []
        with app.db.write(ws) as tx:
            match_keys.forget_apart(tx, match_keys.all_apart(tx))
            for item in match_keys.shared(tx):
                match_keys.unshare(tx, item.key)
            for id_ in self.ids:
                contacts.mark_restored(tx, ContactId(id_), app.now())
                contacts.mark_merged(tx, ContactId(id_), None, app.now())  # type: ignore[arg-type]
            dedupe.contacts_changed(tx, [ContactId(id_) for id_ in self.ids], app.now())
            groups.rebuild(tx, app.now())

    def act(self, act: tuple[Any, ...]) -> None:
        name, *rest = act
        self._may(lambda: getattr(self, name)(*rest))

    @staticmethod
    def _may(act: Callable[[], object]) -> None:
        try:
            act()
        except UserError:
            pass

    def edit(self, person: int, fields: tuple[str, str]) -> None:
        self.team.edit(self.ids[person], **self._fields(*fields))

    def delete_or_restore(self, person: int) -> None:
        contact = self.team.contact(self.ids[person])
        act = edit.delete_contact if contact.deleted_at is None else edit.restore_contact
        if contact.merged_into is None:
            act(self.team.app, self.team.ws, contact.id, MANAGER)

    def merge(self, number: int, second: int) -> None:
        found = sorted(self.team.groups().items())
        if found:
            id_, members = found[number % len(found)]
            done = self.team.merge(id_, survivor_id=members[second % len(members)], override=second % 2 == 0)
            self.merges.append(done.merge.id)

    def undo(self, number: int) -> None:
        if self.merges:
            at = number % len(self.merges)
            self.team.undo(self.merges[at])
            del self.merges[at]

    def dismiss(self, number: int, second: int) -> None:
        found = sorted(self.team.groups().items())
        if found:
            id_, members = found[number % len(found)]
            pairs = [(a, b) for a in members for b in members if a < b]
            self.team.dismiss(id_, *([pairs[second % len(pairs)]] if second % 3 else []))

    def share_or_unshare(self, number: int) -> None:
        app, ws = self.team.app, self.team.ws
        declared = {one.value: one.id for one in dedupe.shared_values(app, ws) if one.id is not None}
        email = ("a@example.org", "b@example.org")[number % 2]
        if email in declared:
            dedupe.unshare(app, ws, declared[email] or 0, MANAGER)
        else:
            dedupe.share(app, ws, "email", email, MANAGER)

    def change_many(self, changes: list[tuple[int, tuple[str, str]]]) -> None:
        """Several contacts in one transaction, as a page of a sync does it."""
        from mercuri.engine.writes import By, change, present, rules_of

        app = self.team.app
        by = By("sync", "hubspot", app.now(), "changed")
        with app.db.write(self.team.ws) as tx:
            for person, fields in changes:
                change(tx, present(tx, ContactId(self.ids[person])), self._fields(*fields), by, rules_of(tx))

    def merge_safe(self) -> None:
        dedupe.merge_safe(self.team.app, self.team.ws, MANAGER)
        dedupe.work_on_batches(self.team.app, self.team.ws)
        with self.team.app.db.read(self.team.ws) as tx:
            standing = [one.id for one in merges.recent(tx, limit=20) if one.batch and one.undone_at is None]
        self.merges += sorted(set(standing) - set(self.merges))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with (
        pytest.MonkeyPatch.context() as patch,
        fresh_database(request.param, tmp_path_factory.mktemp("groups")) as database,
        a_team(database) as team,
    ):
        patch.setattr(groups, "CAPS", CAPS)
        patch.setattr("mercuri.engine.grouping.CAPS", CAPS)
        yield Machine(team)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(acts=st.lists(acts, max_size=14))
def test_groups_equal_a_rebuild_after_every_act(machine: Machine, acts: list[tuple[Any, ...]]) -> None:
    machine.clear()
    for act in acts:
        machine.act(act)

        machine.team.check()
        _nobody_gone_is_a_member(machine)


def _nobody_gone_is_a_member(machine: Machine) -> None:
    gone = {i for i in machine.ids if (c := machine.team.contact(i)).merged_into or c.deleted_at}
    assert not gone & {i for members in machine.team.groups().values() for i in members}


# --- the test must be able to fail: one rule away, and it does -----------------------------------------------------


def _no_touching(tx: object, moved: object) -> set[int]:
    return set()


def _nobody_apart(self: object, contact: int, key: MatchKey) -> tuple[int, ...]:
    return ()


def _nothing_shared(self: object, key: MatchKey) -> bool:
    return False


def _every_holder(tx: Any, key: MatchKey, limit: int) -> list[int]:
    return _holders(tx, key, 1)


_holders = match_keys.holders
FAULTS = {
    "neighbours are not looked at": (groups, "_touched", _no_touching),
    "pairs told apart are joined": (groups._Present, "suppressed", _nobody_apart),
    "shared values join": (groups._Present, "is_shared", _nothing_shared),
    "holders are cut short": (match_keys, "holders", _every_holder),
    "totals are not kept": (groups, "_add_totals", lambda tx, groups_, contacts: None),
    "placeholders are keys": (match, "PLACEHOLDER_LOCAL_PARTS", frozenset()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_rule_taken_away_is_noticed(fault: str, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.clear()
    place, name, wrong = FAULTS[fault]
    monkeypatch.setattr(place, name, wrong)

    with pytest.raises(AssertionError):
        _tell_tale(machine)

    monkeypatch.undo()
    machine.clear()


def _tell_tale(machine: Machine) -> None:
    """A history in which every rule matters."""
    for act in HISTORY:
        getattr(machine, act[0])(*act[1:])
        machine.team.check()
        emails = {address.normal for i in machine.ids for address in machine.team.contact(i).addresses}
        placeholder = MatchKey(KeyKind.EMAIL, "noemail@example.org")
        assert "noemail@example.org" not in emails or not any(placeholder in machine.team.keys(i) for i in machine.ids)


_A, _B, _P, _Q = "a@example.org", "b@example.org", PHONES[1], PHONES[2]
HISTORY: list[tuple[Any, ...]] = [
    *(("edit", person, ("", "")) for person in range(PEOPLE)),
    ("edit", 0, ("", "noemail@example.org")),
    ("edit", 1, ("", "noemail@example.org")),
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
]
