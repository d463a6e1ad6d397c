"""Groups of duplicates as they stand in the database, kept up to date by small steps or built anew.

On SQLite the groups change in the transaction of the contact. On PostgreSQL two transactions that give one key to two
contacts do not see each other: each notes what it changed in `groups_due`, and one drain at a time, under a lock and
after the commit, brings the groups up to date.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import combinations

import structlog

from mercuri.core.match import Caps, KeyKind, MatchKey, Pair, Regrouped, joined, most_that_count, regroup
from mercuri.errors import UserError
from mercuri.store import match_keys, schema, workspaces
from mercuri.store.database import Database, Tx
from mercuri.store.match_keys import rows, write
from mercuri.store.times import to_ms

_log = structlog.get_logger("mercuri.duplicates")
#: First half of the advisory lock under which PostgreSQL's groups change; the other half is the workspace.
_LOCK = 4_242_002
_MEMBERS = ("workspace_id", "contact_id", "grp")
_GROUPS = ("workspace_id", "grp", "size", "certainty", "first_seen")
Keys = Mapping[int, Collection[MatchKey]]
_NONE: frozenset[KeyKind] = frozenset()


def keys_changed(tx: Tx, moved: Keys, at: datetime, *, also: Collection[int] = ()) -> None:
    """Bring groups up to date once contacts lost or gained these keys; `also` are contacts to look at whatever.

    On PostgreSQL this happens right after the commit.
    """
    if not moved and not also:
        return
    if tx.is_sqlite:
        _recompute(tx, moved, at, also=also)
        return
    _note(tx, moved, also)
    tx.afterwards["groups"] = lambda database: _drain_soon(database, tx, at)


def caps(tx: Tx) -> Caps:
    """Most holders of a key that still joins them, as the workspace has set it; kinds that are missing join nobody."""
    settings = workspaces.settings(tx)
    return {KeyKind.EMAIL: settings.email_cap, KeyKind.PHONE: settings.phone_cap}


def drain(tx: Tx, at: datetime) -> int:
    """Bring groups up to date with everything that was noted; returns for how many contacts. On SQLite nothing is."""
    if tx.is_sqlite:
        return 0
    _lock(tx)
    noted = rows(tx, "DELETE FROM groups_due WHERE workspace_id = ? RETURNING moved", (tx.workspace,))
    moved: dict[int, set[MatchKey]] = {}
    also: set[int] = set()
    for (text,) in noted:
        for id_, keys in json.loads(text):
            moved.setdefault(id_, set()).update(match_keys.key(*key) for key in keys)
            if not keys:
                also.add(id_)
    if moved:
        _recompute(tx, moved, at, also=also)
    return len(moved)


def rebuild(tx: Tx, at: datetime) -> None:
    """Compute every group of the workspace anew. A group that stands keeps the moment when it was first seen."""
    if not tx.is_sqlite:
        _lock(tx)
        write(tx, "DELETE FROM groups_due WHERE workspace_id = ?", [(tx.workspace,)])
    seen = dict(rows(tx, "SELECT grp, first_seen FROM dup_group WHERE workspace_id = ?", (tx.workspace,)))
    built = _from_scratch(tx)
    for table in ("dup_member", "dup_group", "dup_total"):
        write(tx, f"DELETE FROM {table} WHERE workspace_id = ?", [(tx.workspace,)])
    # Not sorted by contact: after a load of a million that would be a list of many megabytes.
    placed = ((tx.workspace, contact, group) for group, (members, _) in built.items() for contact in members)
    tx.insert_many(schema.dup_member, _MEMBERS, placed)
    tx.insert_many(
        schema.dup_group,
        _GROUPS,
        ((tx.workspace, g, len(m), certainty, seen.get(g, to_ms(at))) for g, (m, certainty) in sorted(built.items())),
    )
    _add_totals(tx, len(built), sum(len(members) for members, _ in built.values()))
    if not tx.is_sqlite:
        tx.raw().execute("ANALYZE match_key, dup_member, dup_group")  # after a load there are no statistics yet


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


def _recompute(tx: Tx, moved: Keys, at: datetime, *, also: Collection[int] = ()) -> None:
    index = _Index(tx, caps(tx))
    changed = most_that_count((key for keys in moved.values() for key in keys), index.caps)
    # Who holds a key alone, and was in no group, is in none now: most contacts of an import.
    neighbours = [held for held in match_keys.joining(tx, changed).values() if len(held) > 1]
    leaving = index.groups_of(moved).keys() & moved.keys()
    found = regroup({*also, *leaving}.union(*neighbours), index)
    before = index.groups_of(found.group_of)
    _move(tx, before, found.group_of)
    _refresh(tx, found, before, at)


@dataclass(slots=True)
class _Index:
    """What `regroup` asks for, from the database."""

    tx: Tx
    caps: Caps
    before: dict[int, int] = field(default_factory=dict)

    def with_old_groups(self, contacts: Collection[int]) -> Collection[int]:
        for mine, part in match_keys.among(self.tx, set(self.groups_of(contacts).values())):
            members = f"SELECT contact_id, grp FROM dup_member WHERE workspace_id = ? AND grp {mine}"
            self.before.update(rows(self.tx, members, (self.tx.workspace, *part)))
        return {*contacts, *self.before}

    def groups_of(self, contacts: Collection[int]) -> dict[int, int]:
        """The groups that contacts were in; who was in none is missing."""
        for mine, part in match_keys.among(self.tx, [one for one in contacts if one not in self.before]):
            groups_ = f"SELECT contact_id, grp FROM dup_member WHERE workspace_id = ? AND contact_id {mine}"
            self.before.update(rows(self.tx, groups_, (self.tx.workspace, *part)))
        return self.before

    def keys_of(self, contacts: Collection[int]) -> Mapping[int, Collection[MatchKey]]:
        return match_keys.of(self.tx, contacts)

    def joining(self, keys: Collection[MatchKey]) -> Mapping[MatchKey, Collection[int]]:
        exact = {key: self.caps[key.kind] for key in keys if key.kind in self.caps}
        return {key: held for key, held in match_keys.joining(self.tx, exact).items() if len(held) > 1}

    def apart(self, contacts: Collection[int]) -> Mapping[MatchKey, Collection[Pair]]:
        found: dict[MatchKey, set[Pair]] = {}
        for item in match_keys.apart_among(self.tx, contacts):
            found.setdefault(item.key, set()).add((item.a, item.b))
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


def _refresh(tx: Tx, found: Regrouped, before: Mapping[int, int], at: datetime) -> None:
    """Bring the rows of the groups up to date, and the totals by what they differ."""
    members: dict[int, list[int]] = {group: [] for group in found.kinds}
    for contact, group in found.group_of.items():
        if group:
            members[group].append(contact)
    old = _group_rows(tx, {*before.values(), *members})
    new: dict[int, tuple[int, int, int]] = {}
    for group, own in members.items():
        seen = [old[before[contact]][2] for contact in own if before.get(contact) in old]
        new[group] = (len(own), _certainty(found.kinds[group]), min(seen, default=to_ms(at)))
    gone = old.keys() - new.keys()
    write(tx, "DELETE FROM dup_group WHERE workspace_id = ? AND grp = ?", [(tx.workspace, group) for group in gone])
    write(
        tx,
        "INSERT INTO dup_group (workspace_id, grp, size, certainty, first_seen) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace_id, grp) DO UPDATE SET size = excluded.size, certainty = excluded.certainty,"
        " first_seen = excluded.first_seen",
        [(tx.workspace, group, *row) for group, row in new.items() if old.get(group) != row],
    )
    _add_totals(tx, len(new) - len(old), sum(map(len, members.values())) - len(before))


def _group_rows(tx: Tx, groups_: Collection[int]) -> dict[int, tuple[int, int, int]]:
    found: dict[int, tuple[int, int, int]] = {}
    for mine, part in match_keys.among(tx, groups_):
        known = f"SELECT grp, size, certainty, first_seen FROM dup_group WHERE workspace_id = ? AND grp {mine}"
        for group, *row in rows(tx, known, (tx.workspace, *part)):
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


def _certainty(found: Collection[KeyKind]) -> int:
    return 1 if len(found) > 1 else 2 if KeyKind.EMAIL in found else 3


# --- anew -------------------------------------------------------------------------------------------------------


def _from_scratch(tx: Tx) -> dict[int, tuple[Sequence[int], int]]:
    """Every group: its id, its members in order, its certainty. The database sorts out the keys that join."""
    shared, most = {item.key for item in match_keys.shared(tx)}, caps(tx)
    apart: dict[MatchKey, set[Pair]] = {}
    for item in match_keys.all_apart(tx):
        apart.setdefault(item.key, set()).add((item.a, item.b))
    # By which kind of key each of these is joined with somebody. The keys themselves would be many megabytes.
    evidence: list[tuple[int, KeyKind]] = []

    def joining() -> Iterator[tuple[MatchKey, list[int]]]:
        for key, held in (item for kind, cap in most.items() for item in match_keys.sharing(tx, kind, cap)):
            if key not in shared:
                pairs = combinations(held, 2) if key in apart else [(held[0], held[1])]
                evidence.extend((one, key.kind) for one, other in pairs if (one, other) not in apart.get(key, ()))
                yield key, held

    found = joined(joining(), [(a, b, key) for key, pairs in apart.items() for a, b in pairs])
    group_of = {contact: group for group, members in found.items() for contact in members}
    kinds: dict[int, frozenset[KeyKind]] = {}
    for one, kind in evidence:
        kinds[group_of[one]] = _with(kinds.get(group_of[one], _NONE), kind)
    return {group: (members, _certainty(kinds[group])) for group, members in found.items()}


@cache
def _with(kinds: frozenset[KeyKind], more: KeyKind) -> frozenset[KeyKind]:
    """One set for all groups that it holds for: of a million contacts, a set for each is ten megabytes."""
    return kinds | {more}


# --- PostgreSQL's queue -------------------------------------------------------------------------------------------


def _note(tx: Tx, moved: Keys, also: Collection[int]) -> None:
    """One row for all; those to look at whatever their keys are stand there without keys."""
    noted: list[tuple[int, list[tuple[int, str]]]] = [(id_, []) for id_ in also]
    noted += [(id_, [(key.kind.value, key.value) for key in keys]) for id_, keys in moved.items() if keys]
    tx.raw().execute("INSERT INTO groups_due (workspace_id, moved) VALUES (%s, %s)", (tx.workspace, json.dumps(noted)))


def _drain_soon(database: Database, done: Tx, at: datetime) -> None:
    try:
        with database.write(done.workspace) as tx:
            drain(tx, at)
    except UserError as error:
        # The change stands; the worker's next drain does what was left.
        _log.warning("duplicates.drain_later", error=type(error).__name__)


def _lock(tx: Tx) -> None:
    rows(tx, "SELECT pg_advisory_xact_lock(?::int, ?::int)", (_LOCK, tx.workspace))
