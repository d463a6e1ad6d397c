"""Groups, possible pairs and merges of duplicates as lists for people: read in pages, by indexes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mercuri.core.match import MEETS, KeyKind, MatchKey
from mercuri.errors import UserError
from mercuri.store import match_keys, schema
from mercuri.store.database import Tx
from mercuri.store.match_keys import rows
from mercuri.store.times import from_ms, to_ms

#: Orders of the list of groups, and what each goes by.
SORTS = {
    "certain": ("certainty", "size", "grp"),
    "size": ("size", "grp"),
    "newest": ("first_seen", "grp"),
}
_DESCENDING = frozenset({"size", "newest"})
_CERTAINTIES = {"email": (1, 2), "phone": (1, 3), "both": (1,)}
#: A possible key with more holders than this says nothing about two of them.
_POSSIBLE_CAP = 10


@dataclass(frozen=True, slots=True)
class Totals:
    """How many groups there are, and how many contacts are in them."""

    groups: int
    contacts: int


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group; `certainty` is 1 for e-mail and phone, 2 for e-mail alone, 3 for phone alone."""

    id: int
    size: int
    certainty: int
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """Which groups, in what order. `linked`: two or more members are in HubSpot; `consent`: their consent differs."""

    reason: str = ""  # email | phone | both
    linked: bool = False
    consent: bool = False
    sort: str = "certain"
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class PossiblePair:
    """Two contacts that may be one person; `a` is the smaller id."""

    a: int
    b: int
    key: MatchKey


def totals(tx: Tx) -> Totals:
    """The numbers of the banner; one row is read, whatever the size of the workspace."""
    t = schema.dup_total.c
    row = tx.execute(sa.select(t.groups, t.contacts).where(t.workspace_id == tx.workspace)).first()
    return Totals(*row) if row else Totals(0, 0)


def page(tx: Tx, query: GroupQuery) -> tuple[list[GroupRow], str | None]:
    """A page of groups, and the cursor of the next one. Raises UserError for a cursor that is none of ours."""
    t = schema.dup_group.c
    order = [t[name] for name in SORTS[query.sort]]
    found = _filtered(tx, query)
    if query.cursor:
        place = sa.tuple_(*map(sa.literal, _place(query)))
        found = found.where(sa.tuple_(*order) < place if query.sort in _DESCENDING else sa.tuple_(*order) > place)
    ordered = found.order_by(*(column.desc() if query.sort in _DESCENDING else column for column in order))
    read = tx.execute(ordered.limit(query.limit + 1)).all()
    items = [_group(row) for row in read[: query.limit]]
    return items, _cursor(query, read[query.limit - 1]) if len(read) > query.limit else None


def _filtered(tx: Tx, query: GroupQuery) -> sa.Select[Any]:
    t = schema.dup_group.c
    found: sa.Select[Any] = sa.select(t.grp, t.size, t.certainty, t.first_seen).where(t.workspace_id == tx.workspace)
    if query.reason:
        found = found.where(t.certainty.in_(_CERTAINTIES[query.reason]))
    if query.linked:
        found = found.where(sa.text(_LINKED))
    if query.consent:
        found = found.where(sa.text(_CONSENT))
    return found


def row(tx: Tx, group: int) -> GroupRow | None:
    """One group, if it stands."""
    t = schema.dup_group.c
    found = tx.execute(
        sa.select(t.grp, t.size, t.certainty, t.first_seen).where(t.workspace_id == tx.workspace, t.grp == group)
    ).first()
    return _group(found) if found else None


def after(tx: Tx, group: int, limit: int) -> list[GroupRow]:
    """The next groups by id: for walking over all of them."""
    t = schema.dup_group.c
    found = sa.select(t.grp, t.size, t.certainty, t.first_seen).where(t.workspace_id == tx.workspace, t.grp > group)
    return [_group(one) for one in tx.execute(found.order_by(t.grp).limit(limit))]


def neighbour(tx: Tx, query: GroupQuery, group: GroupRow, *, back: bool = False) -> int | None:
    """The group that stands after this one in the list that a query makes, or before it."""
    t = schema.dup_group.c
    names = SORTS[query.sort]
    order = [t[name] for name in names]
    values = {"certainty": group.certainty, "size": group.size, "grp": group.id, "first_seen": to_ms(group.first_seen)}
    place = sa.tuple_(*(sa.literal(values[name]) for name in names))
    falls = (query.sort in _DESCENDING) != back
    found = _filtered(tx, query).where(sa.tuple_(*order) < place if falls else sa.tuple_(*order) > place)
    ordered = found.order_by(*(column.desc() if falls else column for column in order))
    row_ = tx.execute(ordered.limit(1)).first()
    return row_.grp if row_ else None


def members(tx: Tx, groups: Collection[int], *, most: int | None = None) -> dict[int, list[int]]:
    """The members of groups, ascending; of each at `most` so many."""
    together = "group_concat(contact_id)" if tx.is_sqlite else "string_agg(contact_id::text, ',')"
    found: dict[int, list[int]] = {group: [] for group in groups}
    for mine, part in match_keys.among(tx, groups):
        for group, ids in rows(
            tx,
            f"SELECT grp, (SELECT {together} FROM (SELECT contact_id FROM dup_member m"
            " WHERE m.workspace_id = g.workspace_id AND m.grp = g.grp ORDER BY contact_id LIMIT ?) AS first)"
            f" FROM dup_group g WHERE workspace_id = ? AND grp {mine}",
            (most if most is not None else 2**31, tx.workspace, *part),
        ):
            found[group] = sorted(map(int, ids.split(",")))
    return found


def group_of(tx: Tx, contact: int) -> int | None:
    """The group of a contact, if it is in one."""
    t = schema.dup_member.c
    found: int | None = tx.execute(
        sa.select(t.grp).where(t.workspace_id == tx.workspace, t.contact_id == contact)
    ).scalar()
    return found


def possible(tx: Tx, kind: KeyKind, *, after: str = "", limit: int = 50) -> list[PossiblePair]:
    """Pairs that a weak key suggests, in order of the key; whole keys, so it may be more than `limit`.

    Left out are pairs that are in one group already, and those that a person told apart for this key.
    """
    found: list[PossiblePair] = []
    while len(found) < limit:
        values = _possible_values(tx, kind, after, limit)
        for value in values:
            found += _pairs(tx, MatchKey(kind, value))
        if len(values) < limit:
            break
        after = values[-1]
    return found


def possible_of(tx: Tx, contact: int) -> list[PossiblePair]:
    """The pairs that weak keys suggest for one contact."""
    own = match_keys.of(tx, [contact]).get(contact, frozenset())
    wanted = {key for key in own if key.kind in MEETS}
    wanted |= {MatchKey(kind, key.value) for key in own for kind, met in MEETS.items() if key.kind in met}
    pairs = {(pair.a, pair.b): pair for key in sorted(wanted) for pair in _pairs(tx, key)}
    return [pair for pair in pairs.values() if contact in (pair.a, pair.b)]


def _possible_values(tx: Tx, kind: KeyKind, after: str, limit: int) -> list[str]:
    others = ",".join(str(met.value) for met in MEETS[kind])
    read = rows(
        tx,
        "SELECT DISTINCT k.value FROM match_key k JOIN match_key o ON o.workspace_id = k.workspace_id"
        f" AND o.kind IN ({others}) AND o.value = k.value AND o.contact_id <> k.contact_id"
        " WHERE k.workspace_id = ? AND k.kind = ? AND k.value > ? ORDER BY k.value LIMIT ?",
        (tx.workspace, kind.value, after, limit),
    )
    return [one[0] for one in read]


def _pairs(tx: Tx, key: MatchKey) -> Iterator[PossiblePair]:
    own = match_keys.holders(tx, key, _POSSIBLE_CAP + 1)
    others = {
        id_ for kind in MEETS[key.kind] for id_ in match_keys.holders(tx, MatchKey(kind, key.value), _POSSIBLE_CAP + 1)
    }
    if len(own) > _POSSIBLE_CAP or len(others) > _POSSIBLE_CAP:
        return
    pairs = {(min(a, b), max(a, b)) for a in own for b in others if a != b}
    for a, b in sorted(pairs):
        if not _is_settled(tx, a, b, key):
            yield PossiblePair(a, b, key)


def _is_settled(tx: Tx, a: int, b: int, key: MatchKey) -> bool:
    group = group_of(tx, a)
    if group is not None and group == group_of(tx, b):
        return True
    return any({item.a, item.b} == {a, b} and item.key == key for item in match_keys.apart_among(tx, [a]))


def _group(found: Any) -> GroupRow:
    return GroupRow(found.grp, found.size, found.certainty, from_ms(found.first_seen))


def _cursor(query: GroupQuery, last: Any) -> str:
    return ".".join(str(getattr(last, name)) for name in SORTS[query.sort])


def _place(query: GroupQuery) -> list[int]:
    parts = (query.cursor or "").split(".")
    if len(parts) != len(SORTS[query.sort]) or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        raise UserError("This cursor is not one that a page gave. Start without a cursor.")
    return list(map(int, parts))


_MEMBER = (
    "FROM dup_member m {join} WHERE m.workspace_id = dup_group.workspace_id AND m.grp = dup_group.grp AND {condition}"
)
_LINKED = (
    "(SELECT count(DISTINCT m.contact_id) "
    + _MEMBER.format(
        join="JOIN link l ON l.workspace_id = m.workspace_id AND l.contact_id = m.contact_id",
        condition="l.state IN ('live', 'blocked', 'asleep')",
    )
    + ") > 1"
)
_STATE = (
    "EXISTS (SELECT 1 FROM contact_address a JOIN consent_state s ON s.workspace_id = a.workspace_id"
    " AND s.channel IN ('sms', 'whatsapp', 'email') AND s.address = a.normal"
    " WHERE a.workspace_id = m.workspace_id AND a.contact_id = m.contact_id AND s.state = '{state}')"
)
_CLOSED, _OPEN = _STATE.format(state="unsubscribed"), _STATE.format(state="subscribed")
_CONSENT = (
    "EXISTS (SELECT 1 "
    + _MEMBER.format(join="", condition=_CLOSED)
    + ") AND EXISTS (SELECT 1 "
    + _MEMBER.format(join="", condition=f"{_OPEN} AND NOT {_CLOSED}")
    + ")"
)
