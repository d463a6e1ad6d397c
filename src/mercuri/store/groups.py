"""Groups of duplicates as they stand in the database, kept up to date by small steps or built anew.

On SQLite the groups change in the transaction of the contact. On PostgreSQL two transactions that give one key to two
contacts do not see each other: each notes what it changed in `dirty_contact`, and one drain at a time, under a lock and
after the commit, brings the groups up to date.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations

import structlog

from mercuri.core.match import CAPS, KeyKind, MatchKey, Pair, groups, holder_limit, regroup
from mercuri.errors import UserError
from mercuri.store import match_keys, schema
from mercuri.store.database import Database, Tx
from mercuri.store.match_keys import rows, write
from mercuri.store.times import to_ms

_log = structlog.get_logger("mercuri.duplicates")
#: First half of the advisory lock under which PostgreSQL's groups change; the other half is the workspace.
_LOCK = 4_242_002
_MEMBERS = ("workspace_id", "contact_id", "grp")
_GROUPS = ("workspace_id", "grp", "size", "certainty", "first_seen")
Keys = Mapping[int, Collection[MatchKey]]


def keys_changed(tx: Tx, moved: Keys, at: datetime, *, also: Collection[int] = ()) -> None:
    """Bring groups up to date once contacts lost or gained these keys; `also` are contacts to look at whatever.

    On PostgreSQL this happens right after the commit.
    """
    if not moved and not also:
        return
    if tx.is_sqlite:
        _recompute(tx, {*moved, *also, *_touched(tx, moved)}, at)
        return
    _note_dirty(tx, {**dict.fromkeys(also, ()), **moved})
    tx.afterwards["groups"] = lambda database: _drain_soon(database, tx, at)


def drain(tx: Tx, at: datetime) -> int:
    """Bring groups up to date with everything that was noted; returns for how many contacts. On SQLite nothing is."""
    if tx.is_sqlite:
        return 0
    _lock(tx)
    noted = rows(tx, "DELETE FROM dirty_contact WHERE workspace_id = ? RETURNING contact_id, keys", (tx.workspace,))
    moved = {id_: {MatchKey(KeyKind(kind), value) for kind, value in json.loads(keys)} for id_, keys in noted}
    if moved:
        _recompute(tx, {*moved, *_touched(tx, moved)}, at)
    return len(moved)


def rebuild(tx: Tx, at: datetime) -> None:
    """Compute every group of the workspace anew. A group that stands keeps the moment when it was first seen."""
    if not tx.is_sqlite:
        _lock(tx)
        rows(tx, "DELETE FROM dirty_contact WHERE workspace_id = ? RETURNING contact_id", (tx.workspace,))
    seen = dict(rows(tx, "SELECT grp, first_seen FROM dup_group WHERE workspace_id = ?", (tx.workspace,)))
    built = _from_scratch(tx)
    for table in ("dup_member", "dup_group", "dup_total"):
        write(tx, f"DELETE FROM {table} WHERE workspace_id = ?", [(tx.workspace,)])
    ordered = sorted((contact, group) for group, (members, _) in built.items() for contact in members)
    tx.insert_many(schema.dup_member, _MEMBERS, ((tx.workspace, *row) for row in ordered))
    tx.insert_many(
        schema.dup_group,
        _GROUPS,
        ((tx.workspace, g, len(m), certainty, seen.get(g, to_ms(at))) for g, (m, certainty) in sorted(built.items())),
    )
    _add_totals(tx, len(built), len(ordered))


def differences(tx: Tx) -> int:
    """How many groups are not as a rebuild would make them; 0 is the only right answer."""
    built = {group: (tuple(members), certainty) for group, (members, certainty) in _from_scratch(tx).items()}
    return len({group for group, _ in built.items() ^ stored(tx).items()})


def stored(tx: Tx) -> dict[int, tuple[tuple[int, ...], int]]:
    """Every group as it stands: its id, its members in order, its certainty."""
    members: dict[int, list[int]] = {}
    mine = "WHERE workspace_id = ? ORDER BY contact_id"
    for contact, group in rows(tx, f"SELECT contact_id, grp FROM dup_member {mine}", (tx.workspace,)):
        members.setdefault(group, []).append(contact)
    certainty = dict(rows(tx, "SELECT grp, certainty FROM dup_group WHERE workspace_id = ?", (tx.workspace,)))
    return {g: (tuple(members.get(g, ())), certainty.get(g, 0)) for g in members.keys() | certainty.keys()}


# --- by small steps ---------------------------------------------------------------------------------------------


def _touched(tx: Tx, moved: Keys) -> set[int]:
    """Whose group may change because of keys that n contacts lost or gained: those of keys with up to n above the cap.

    A key with more holders joined nobody before, and joins nobody now.
    """
    touched: set[int] = set()
    for key, times in Counter(key for keys in moved.values() for key in keys).items():
        if key.kind in CAPS:
            most = CAPS[key.kind] + times
            found = match_keys.holders(tx, key, most + 1)
            if len(found) <= most:
                touched.update(found)
    return touched


@dataclass(slots=True)
class _Present:
    """What `regroup` asks for; each thing is read once."""

    tx: Tx
    keys: dict[int, frozenset[MatchKey]] = field(default_factory=dict)
    held: dict[MatchKey, Sequence[int]] = field(default_factory=dict)
    shared: dict[MatchKey, bool] = field(default_factory=dict)
    groups: dict[int, list[int]] = field(default_factory=dict)
    apart: dict[int, dict[MatchKey, set[int]]] = field(default_factory=dict)
    anybody_apart: bool = True

    def __post_init__(self) -> None:
        self.anybody_apart = match_keys.any_apart(self.tx)

    def read_keys(self, contacts: Collection[int]) -> None:
        self.keys.update(dict.fromkeys(contacts, frozenset()))
        self.keys.update(match_keys.of(self.tx, contacts))

    def keys_of(self, contact: int) -> frozenset[MatchKey]:
        if contact not in self.keys:
            self.read_keys([contact])
        return self.keys[contact]

    def holders(self, key: MatchKey) -> Sequence[int]:
        if key not in self.held:
            self.held[key] = match_keys.holders(self.tx, key, holder_limit(key.kind, CAPS))
        return self.held[key]

    def is_shared(self, key: MatchKey) -> bool:
        if key not in self.shared:
            self.shared[key] = match_keys.is_shared(self.tx, key)
        return self.shared[key]

    def old_group(self, contact: int) -> Collection[int]:
        own = rows(
            self.tx,
            "SELECT grp FROM dup_member WHERE workspace_id = ? AND contact_id = ?",
            (self.tx.workspace, contact),
        )
        return self._members(own[0][0]) if own else ()

    def _members(self, group: int) -> list[int]:
        if group not in self.groups:
            found = rows(
                self.tx,
                "SELECT contact_id FROM dup_member WHERE workspace_id = ? AND grp = ?",
                (self.tx.workspace, group),
            )
            self.groups[group] = [row[0] for row in found]
            self.read_keys(self.groups[group])
        return self.groups[group]

    def suppressed(self, contact: int, key: MatchKey) -> Collection[int]:
        if not self.anybody_apart:
            return ()
        if contact not in self.apart:
            found = self.apart[contact] = {}
            for item in match_keys.apart_of(self.tx, contact):
                found.setdefault(item.key, set()).add(item.b if item.a == contact else item.a)
        return self.apart[contact].get(key, ())

    def certainty(self, members: Collection[int]) -> int:
        """By which kinds of key the members of a group are joined."""
        shared: dict[MatchKey, list[int]] = {}
        for contact in members:
            for key in self.keys_of(contact):
                if key.kind in CAPS:
                    shared.setdefault(key, []).append(contact)
        return _certainty(key.kind for key, held in shared.items() if len(held) > 1 and self._joins(key, held))

    def _joins(self, key: MatchKey, held: Sequence[int]) -> bool:
        if self.is_shared(key) or len(self.holders(key)) > CAPS[key.kind]:
            return False
        return any(other not in self.suppressed(one, key) for one, other in combinations(held, 2))


def _certainty(kinds: Iterable[KeyKind]) -> int:
    found = set(kinds)
    return 1 if len(found) > 1 else 2 if KeyKind.EMAIL in found else 3


def _recompute(tx: Tx, touched: Collection[int], at: datetime) -> None:
    present = _Present(tx)
    present.read_keys(touched)
    moved = regroup(
        touched,
        present.old_group,
        present.holders,
        present.keys_of,
        present.suppressed,
        present.is_shared,
        CAPS,
    )
    if not moved:
        return
    before = _groups_of(tx, moved)
    _move(tx, before, moved)
    _refresh(tx, present, before, moved, at)


def _groups_of(tx: Tx, contacts: Collection[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for part, marks in match_keys.chunks(contacts):
        mine = f"workspace_id = ? AND contact_id IN ({marks})"
        found.update(rows(tx, f"SELECT contact_id, grp FROM dup_member WHERE {mine}", (tx.workspace, *part)))
    return found


def _move(tx: Tx, before: Mapping[int, int], after: Mapping[int, int]) -> None:
    gone = [contact for contact in before if not after[contact]]
    write(
        tx,
        "DELETE FROM dup_member WHERE workspace_id = ? AND contact_id = ?",
        [(tx.workspace, contact) for contact in gone],
    )
    write(
        tx,
        "INSERT INTO dup_member (workspace_id, contact_id, grp) VALUES (?, ?, ?)"
        " ON CONFLICT (workspace_id, contact_id) DO UPDATE SET grp = excluded.grp",
        [(tx.workspace, contact, group) for contact, group in after.items() if group and before.get(contact) != group],
    )


def _refresh(tx: Tx, present: _Present, before: Mapping[int, int], after: Mapping[int, int], at: datetime) -> None:
    """Bring the rows of the groups up to date, and the totals by what they differ."""
    components: dict[int, list[int]] = {}
    for contact, group in after.items():
        if group:
            components.setdefault(group, []).append(contact)
    old = _group_rows(tx, {*before.values(), *components})
    new: dict[int, tuple[int, int, int]] = {}
    for group, members in components.items():
        seen = [old[before[contact]][2] for contact in members if before.get(contact) in old]
        new[group] = (len(members), present.certainty(members), min(seen, default=to_ms(at)))
    gone = old.keys() - new.keys()
    write(tx, "DELETE FROM dup_group WHERE workspace_id = ? AND grp = ?", [(tx.workspace, group) for group in gone])
    write(
        tx,
        "INSERT INTO dup_group (workspace_id, grp, size, certainty, first_seen) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace_id, grp) DO UPDATE SET size = excluded.size, certainty = excluded.certainty,"
        " first_seen = excluded.first_seen",
        [(tx.workspace, group, *row) for group, row in new.items() if old.get(group) != row],
    )
    _add_totals(tx, len(new) - len(old), sum(map(len, components.values())) - len(before))


def _group_rows(tx: Tx, groups_: Collection[int]) -> dict[int, tuple[int, int, int]]:
    found: dict[int, tuple[int, int, int]] = {}
    for part, marks in match_keys.chunks(groups_):
        mine = f"workspace_id = ? AND grp IN ({marks})"
        for group, *row in rows(
            tx, f"SELECT grp, size, certainty, first_seen FROM dup_group WHERE {mine}", (tx.workspace, *part)
        ):
            found[group] = (row[0], row[1], row[2])
    return found


def _add_totals(tx: Tx, groups_: int, contacts: int) -> None:
    if groups_ or contacts:
        write(
            tx,
            "INSERT INTO dup_total (workspace_id, groups, contacts) VALUES (?, ?, ?) ON CONFLICT (workspace_id)"
            " DO UPDATE SET groups = dup_total.groups + excluded.groups,"
            " contacts = dup_total.contacts + excluded.contacts",
            [(tx.workspace, groups_, contacts)],
        )


# --- anew -------------------------------------------------------------------------------------------------------


def _from_scratch(tx: Tx) -> dict[int, tuple[Sequence[int], int]]:
    """Every group: its id, its members in order, its certainty. The database sorts out the keys that join."""
    shared = {item.key for item in match_keys.shared(tx)}
    apart: dict[MatchKey, set[Pair]] = {}
    for item in match_keys.all_apart(tx):
        apart.setdefault(item.key, set()).add((item.a, item.b))
    keys: dict[int, list[MatchKey]] = {}
    joining: list[tuple[MatchKey, list[int]]] = []
    for kind, cap in CAPS.items():
        for key, held in match_keys.sharing(tx, kind, cap):
            if key in shared:
                continue
            for contact in held:
                keys.setdefault(contact, []).append(key)
            joining.append((key, held))
    told = [(a, b, key) for key, pairs in apart.items() for a, b in pairs]
    found = groups(keys, (), told, CAPS)
    group_of = {contact: group for group, members in found.items() for contact in members}
    kinds: dict[int, set[KeyKind]] = {}
    for key, held in joining:
        pairs = apart.get(key, ())
        for one, other in [(held[0], held[1])] if not pairs else combinations(held, 2):
            if (one, other) not in pairs:
                kinds.setdefault(group_of[one], set()).add(key.kind)
    return {group: (members, _certainty(kinds[group])) for group, members in found.items()}


# --- PostgreSQL's queue -------------------------------------------------------------------------------------------


def _note_dirty(tx: Tx, moved: Keys) -> None:
    write(
        tx,
        "INSERT INTO dirty_contact (workspace_id, contact_id, keys) VALUES (?, ?, ?)"
        " ON CONFLICT (workspace_id, contact_id)"
        " DO UPDATE SET keys = (dirty_contact.keys::jsonb || excluded.keys::jsonb)::text",
        [
            (tx.workspace, contact, json.dumps([[key.kind.value, key.value] for key in keys]))
            for contact, keys in sorted(moved.items())
        ],
    )


def _drain_soon(database: Database, done: Tx, at: datetime) -> None:
    try:
        with database.write(done.workspace) as tx:
            drain(tx, at)
    except UserError as error:
        # The change stands; the worker's next drain does what was left.
        _log.warning("duplicates.drain_later", error=type(error).__name__)


def _lock(tx: Tx) -> None:
    rows(tx, "SELECT pg_advisory_xact_lock(?::int, ?::int)", (_LOCK, tx.workspace))
