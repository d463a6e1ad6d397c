"""People who share phone numbers and e-mails, and what the index of duplicates must look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from cryptography.fernet import Fernet
from tests.support.clock import Clock

from mercuri.config import Settings
from mercuri.core import match
from mercuri.core.contact import Contact, ContactId, WorkspaceId
from mercuri.core.match import MatchKey
from mercuri.core.settings import WorkspaceSettings
from mercuri.engine import dedupe, edit
from mercuri.engine.app import Actor, App
from mercuri.store import contacts, duplicates, groups, match_keys, shown, vault, workspaces
from mercuri.store.database import ANY, Database

MANAGER = Actor("mia", "manager")
_KEY = Fernet.generate_key().decode()


@dataclass
class Team:
    """A workspace without a portal."""

    app: App
    ws: WorkspaceId
    clock: Clock

    def add(self, **fields: str) -> ContactId:
        """A person makes a contact."""
        return edit.create_contact(self.app, self.ws, fields, MANAGER).id

    def edit(self, contact: int, **fields: str) -> None:
        """A person changes a contact."""
        edit.update_contact(self.app, self.ws, ContactId(contact), fields, MANAGER)

    def contact(self, contact: int) -> Contact:
        """One contact, absorbed or not."""
        with self.app.db.read(self.ws) as tx:
            return shown.get(tx, ContactId(contact))

    def groups(self) -> dict[int, tuple[int, ...]]:
        """Every group as it stands: its id and its members."""
        with self.app.db.read(self.ws) as tx:
            return {id_: members for id_, (members, _) in groups.stored(tx).items()}

    def keys(self, contact: int) -> frozenset[MatchKey]:
        """The keys of a contact in the index."""
        with self.app.db.read(self.ws) as tx:
            return match_keys.of(tx, [contact]).get(contact, frozenset())

    def merge(self, group: int | list[int], **options: object) -> dedupe.MergeDone:
        """Merge a group or some contacts."""
        return dedupe.merge(self.app, self.ws, group, MANAGER, **options)  # type: ignore[arg-type]

    def undo(self, merge: dedupe.MergeDone | int) -> dedupe.Unmerged:
        """Take a merge back."""
        number = merge if isinstance(merge, int) else merge.merge.id
        return dedupe.undo_merge(self.app, self.ws, number, MANAGER)

    def dismiss(self, group: int, *pairs: tuple[int, int]) -> None:
        """Tell the members of a group apart: these pairs, or all."""
        dedupe.dismiss(self.app, self.ws, group, MANAGER, pairs or None)

    def check(self) -> None:
        """The groups are what a rebuild from scratch makes of the present keys, by the pure definition."""
        with self.app.db.read(self.ws) as tx:
            stored = groups.stored(tx)
            alive = [held.id for batch in contacts.each(tx) for held in batch]
            keys = match_keys.due(tx, alive)
            indexed = match_keys.of(tx, alive)
            shared = [item.key for item in match_keys.shared(tx)]
            apart = [(item.a, item.b, item.key) for item in match_keys.all_apart(tx)]
            built = match.groups(keys, shared, apart, groups.caps(tx))
            totals = duplicates.totals(tx)
            assert {id_: members for id_, (members, _) in stored.items()} == built
            assert {id_: own for id_, own in keys.items() if own} == indexed
            assert groups.differences(tx) == 0
            assert (totals.groups, totals.contacts) == (len(built), sum(map(len, built.values())))
            sizes = {row.id: row.size for row in duplicates.after(tx, 0, 10_000)}
            assert sizes == {id_: len(members) for id_, members in built.items()}


@contextmanager
def a_team(database: Database, **settings: int) -> Iterator[Team]:
    """A workspace of people in Great Britain."""
    clock = Clock()
    with database.write(ANY) as tx:
        ws = workspaces.create(tx, "Team", WorkspaceSettings(default_region="GB", **settings), clock.now())
    with httpx.Client() as http:
        yield Team(App(Settings(secret_key=_KEY), database, vault.Vault(_KEY), http, clock.now), ws, clock)
