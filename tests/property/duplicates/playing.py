"""Acts on a team of a few people, on either database: edits, deletions, imports, merges and their undo, choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from tests.support.duplicates import MANAGER, Team

from mercuri.core.contact import ContactId
from mercuri.core.normalise import addresses_of
from mercuri.engine import consent, dedupe, edit
from mercuri.engine.writes import By, change, present, rules_of
from mercuri.errors import UserError
from mercuri.store import contacts, groups, match_keys, merges

#: Small caps, so that a value becomes crowded, and stops to be, in a few acts.
CAPS = {"email_cap": 3, "phone_cap": 4}
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
    st.tuples(st.just("say"), numbers, st.booleans()),
    st.tuples(st.just("merge_safe")),
)


class Machine:
    """A team on whom acts are tried; a refusal must leave everything as it was."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.merges: list[int] = []
        self.ids = [team.add(first_name="Ana") for _ in range(PEOPLE)]
        self.clear()

    def _fields(self, phone: str, email: str) -> dict[str, str]:
        return {"phone": phone, "email": email}

    def clear(self) -> None:
        """Back to the beginning: everybody lives with the same few values, nobody is merged, told apart or shared."""
        app, ws = self.team.app, self.team.ws
        self.merges = []
        with app.db.write(ws) as tx:
            match_keys.forget_apart(tx, match_keys.all_apart(tx))
            for item in match_keys.shared(tx):
                match_keys.unshare(tx, item.key)
            for number, id_ in enumerate(self.ids):
                contacts.mark_restored(tx, id_, app.now())
                contacts.mark_merged(tx, id_, None, app.now())  # type: ignore[arg-type]
                phone, email = PHONES[number % len(PHONES)], EMAILS[number % len(EMAILS)]
                fields = {"first_name": "Ana", "last_name": "", "phone": phone, "email": email}
                contacts.overwrite(tx, id_, fields, {}, addresses_of(fields, "GB"), app.now())
            dedupe.contacts_changed(tx, self.ids, app.now())
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

    def group(self, number: int) -> tuple[int, tuple[int, ...]]:
        """One of the groups. Raises UserError where there is none."""
        found = sorted(self.team.groups().items())
        if not found:
            raise UserError("There is no group.")
        return found[number % len(found)]

    def merge(self, number: int, second: int) -> dedupe.MergeDone:
        id_, members = self.group(number)
        done = self.team.merge(id_, survivor_id=members[second % len(members)], override=second % 2 == 0)
        self.merges.append(done.merge.id)
        return done

    def undo(self, number: int) -> None:
        if self.merges:
            at = number % len(self.merges)
            self.team.undo(self.merges[at])
            del self.merges[at]

    def dismiss(self, number: int, second: int) -> None:
        id_, members = self.group(number)
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
        app = self.team.app
        by = By("sync", "hubspot", app.now(), "changed")
        with app.db.write(self.team.ws) as tx:
            for person, fields in changes:
                change(tx, present(tx, ContactId(self.ids[person])), self._fields(*fields), by, rules_of(tx))

    def say(self, number: int, yes: bool) -> None:
        """A person opts in or out."""
        phone = PHONES[1 + number % 3].partition(" ext")[0]
        consent.record(self.team.app, self.team.ws, "sms", phone, "preference", MANAGER, state="in" if yes else "out")

    def merge_safe(self) -> None:
        dedupe.merge_safe(self.team.app, self.team.ws, MANAGER)
        dedupe.work_on_batches(self.team.app, self.team.ws)
        with self.team.app.db.read(self.team.ws) as tx:
            standing = [one.id for one in merges.recent(tx, limit=20) if one.batch and one.undone_at is None]
        self.merges += sorted(set(standing) - set(self.merges))
