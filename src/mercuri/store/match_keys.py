"""Match keys of contacts, values declared shared, and pairs that a person told apart.

The statements here run at every edit of a contact, so they go to the driver directly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mercuri.core.contact import Address, ContactId
from mercuri.core.match import KeyKind, MatchKey, Pair, keys_of
from mercuri.store import schema
from mercuri.store.database import Tx
from mercuri.store.jsons import loads
from mercuri.store.times import from_ms, to_ms

#: Most ids in one statement.
_CHUNK = 500
_KINDS = {kind.value: kind for kind in KeyKind}
_COLUMNS = ("workspace_id", "kind", "value", "contact_id")


@dataclass(frozen=True, slots=True)
class Apart:
    """Two contacts that a person told apart, for one key."""

    a: int
    b: int
    key: MatchKey
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shared:
    """A value that joins nobody, since a person said so."""

    id: int
    key: MatchKey
    note: str
    by: str
    at: datetime


def rows(tx: Tx, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """The rows of a statement with `?` marks, by the driver itself."""
    cursor = tx.raw()
    cursor.execute(statement if tx.is_sqlite else statement.replace("?", "%s"), parameters)
    found: list[Any] = cursor.fetchall()
    return found


def write(tx: Tx, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
    """A statement with `?` marks, once for each set of parameters."""
    sets = list(parameters)
    if sets:
        tx.raw().executemany(statement if tx.is_sqlite else statement.replace("?", "%s"), sets)


def chunks(ids: Collection[int]) -> Iterator[tuple[list[int], str]]:
    """Ids in lists short enough for one statement, each with its marks."""
    rest = list(ids)
    for start in range(0, len(rest), _CHUNK):
        part = rest[start : start + _CHUNK]
        yield part, ",".join("?" * len(part))


# --- keys -------------------------------------------------------------------------------------------------------


def due(tx: Tx, ids: Collection[int]) -> dict[int, frozenset[MatchKey]]:
    """The keys that contacts should have by their present values: none for those deleted, absorbed or erased."""
    names: dict[int, dict[str, str]] = {}
    addresses: dict[int, list[Address]] = {}
    for part, marks in chunks(ids):
        alive = f"workspace_id = ? AND id IN ({marks}) AND deleted_at IS NULL AND merged_into IS NULL"
        for id_, first, last, custom in rows(
            tx, f"SELECT id, first_name, last_name, custom FROM contact WHERE {alive}", (tx.workspace, *part)
        ):
            company = loads(custom).get("company", "") if '"company"' in custom else ""
            names[id_] = {"first_name": first, "last_name": last, "custom.company": company} if company else {}
        usable = f"workspace_id = ? AND contact_id IN ({marks}) AND normal IS NOT NULL"
        for id_, kind, normal, extension in rows(
            tx, f"SELECT contact_id, kind, normal, extension FROM contact_address WHERE {usable}", (tx.workspace, *part)
        ):
            addresses.setdefault(id_, []).append(Address(kind, "", normal, extension=extension))
    return {id_: keys_of(addresses.get(id_, ()), names[id_]) if id_ in names else frozenset() for id_ in ids}


def of(tx: Tx, ids: Collection[int]) -> dict[int, frozenset[MatchKey]]:
    """The keys that contacts have in the index; who has none is missing."""
    found: dict[int, list[MatchKey]] = {}
    for part, marks in chunks(ids):
        mine = f"workspace_id = ? AND contact_id IN ({marks})"
        for id_, kind, value in rows(
            tx, f"SELECT contact_id, kind, value FROM match_key WHERE {mine}", (tx.workspace, *part)
        ):
            found.setdefault(id_, []).append(MatchKey(_KINDS[kind], value))
    return {id_: frozenset(keys) for id_, keys in found.items()}


def add(tx: Tx, made: Mapping[int, Iterable[MatchKey]]) -> None:
    """Give contacts that were made just now, and have no keys yet, their keys."""
    tx.insert_many(
        schema.match_key,
        _COLUMNS,
        ((tx.workspace, key.kind.value, key.value, id_) for id_, keys in made.items() for key in keys),
    )


def replace(tx: Tx, new: Mapping[int, frozenset[MatchKey]]) -> dict[int, frozenset[MatchKey]]:
    """Give contacts these keys; the answer is what each lost or gained, for those that did."""
    old = of(tx, new)
    nothing: frozenset[MatchKey] = frozenset()
    moved = {id_: diff for id_, keys in new.items() if (diff := keys ^ old.get(id_, nothing))}
    gone = [(tx.workspace, key.kind.value, key.value, id_) for id_ in moved for key in old.get(id_, nothing) - new[id_]]
    came = [(tx.workspace, key.kind.value, key.value, id_) for id_ in moved for key in new[id_] - old.get(id_, nothing)]
    write(tx, "DELETE FROM match_key WHERE workspace_id = ? AND kind = ? AND value = ? AND contact_id = ?", gone)
    write(
        tx,
        "INSERT INTO match_key (workspace_id, kind, value, contact_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        came,
    )
    return moved


def holders(tx: Tx, key: MatchKey, limit: int) -> list[int]:
    """The first `limit` contacts that hold a key, ascending: a crowd costs no more than a few."""
    return [
        row[0]
        for row in rows(
            tx,
            "SELECT contact_id FROM match_key WHERE workspace_id = ? AND kind = ? AND value = ?"
            " ORDER BY contact_id LIMIT ?",
            (tx.workspace, key.kind.value, key.value, limit),
        )
    ]


def count(tx: Tx, key: MatchKey) -> int:
    """How many contacts hold a key."""
    found = rows(
        tx,
        "SELECT count(*) FROM match_key WHERE workspace_id = ? AND kind = ? AND value = ?",
        (tx.workspace, key.kind.value, key.value),
    )
    return int(found[0][0])


def crowds(tx: Tx, kind: KeyKind, above: int, *, after: str = "", limit: int = 50) -> list[tuple[str, int]]:
    """Values of a kind that more than `above` contacts hold, with how many, in order of the value."""
    return [
        (value, int(number))
        for value, number in rows(
            tx,
            "SELECT value, count(*) FROM match_key WHERE workspace_id = ? AND kind = ? AND value > ?"
            " GROUP BY value HAVING count(*) > ? ORDER BY value LIMIT ?",
            (tx.workspace, kind.value, after, above, limit),
        )
    ]


def sharing(tx: Tx, kind: KeyKind, most: int) -> Iterator[tuple[MatchKey, list[int]]]:
    """Every key of a kind that at least two and at most `most` contacts hold, with its holders in order."""
    together = "group_concat(contact_id)" if tx.is_sqlite else "string_agg(contact_id::text, ',')"
    for value, ids in rows(
        tx,
        f"SELECT value, {together} FROM match_key WHERE workspace_id = ? AND kind = ?"
        " GROUP BY value HAVING count(*) BETWEEN 2 AND ?",
        (tx.workspace, kind.value, most),
    ):
        yield MatchKey(kind, value), sorted(map(int, ids.split(",")))


# --- shared values ------------------------------------------------------------------------------------------------


def is_shared(tx: Tx, key: MatchKey) -> bool:
    """Whether a person declared the value shared."""
    found = rows(
        tx,
        "SELECT 1 FROM shared_value WHERE workspace_id = ? AND kind = ? AND value = ?",
        (tx.workspace, key.kind.value, key.value),
    )
    return bool(found)


def shared(tx: Tx) -> list[Shared]:
    """All values declared shared, newest first."""
    found = rows(
        tx,
        "SELECT id, kind, value, note, set_by, set_at FROM shared_value WHERE workspace_id = ? ORDER BY id DESC",
        (tx.workspace,),
    )
    return [Shared(r[0], MatchKey(_KINDS[r[1]], r[2]), r[3], r[4], from_ms(r[5])) for r in found]


def share(tx: Tx, key: MatchKey, note: str, by: str, at: datetime) -> None:
    """Declare a value shared; once more, with a newer note."""
    write(
        tx,
        "INSERT INTO shared_value (workspace_id, kind, value, note, set_by, set_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace_id, kind, value) DO UPDATE SET note = excluded.note",
        [(tx.workspace, key.kind.value, key.value, note, by, to_ms(at))],
    )


def unshare(tx: Tx, key: MatchKey) -> None:
    """Take a value off the list."""
    write(
        tx,
        "DELETE FROM shared_value WHERE workspace_id = ? AND kind = ? AND value = ?",
        [(tx.workspace, key.kind.value, key.value)],
    )


# --- pairs told apart ---------------------------------------------------------------------------------------------

_APART = "SELECT a, b, kind, value, set_by, set_at FROM not_duplicate WHERE workspace_id = ?"


def any_apart(tx: Tx) -> bool:
    """Whether anybody was ever told apart."""
    return bool(rows(tx, "SELECT 1 FROM not_duplicate WHERE workspace_id = ? LIMIT 1", (tx.workspace,)))


def apart_of(tx: Tx, contact: int) -> list[Apart]:
    """Who was told apart from a contact, and for what."""
    return [_apart(row) for row in rows(tx, f"{_APART} AND (a = ? OR b = ?)", (tx.workspace, contact, contact))]


def all_apart(tx: Tx) -> list[Apart]:
    """Every pair told apart."""
    return [_apart(row) for row in rows(tx, _APART, (tx.workspace,))]


def recent_apart(tx: Tx, *, before: datetime | None = None, limit: int = 100) -> list[Apart]:
    """Pairs told apart, newest first."""
    end = to_ms(before) if before else 2**62
    found = rows(tx, f"{_APART} AND set_at < ? ORDER BY set_at DESC, a, b LIMIT ?", (tx.workspace, end, limit))
    return [_apart(row) for row in found]


def tell_apart(tx: Tx, pairs: Iterable[tuple[Pair, MatchKey]], by: str, at: datetime) -> None:
    """Remember that pairs are two people, each for one key; what is remembered already stays as it was."""
    add_apart(tx, [Apart(min(pair), max(pair), key, by, at) for pair, key in pairs])


def add_apart(tx: Tx, items: Iterable[Apart]) -> None:
    """Write down pairs as they are given; those that stand already stay as they were."""
    write(
        tx,
        "INSERT INTO not_duplicate (workspace_id, a, b, kind, value, set_by, set_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(tx.workspace, i.a, i.b, i.key.kind.value, i.key.value, i.by, to_ms(i.at)) for i in items],
    )


def forget_apart(tx: Tx, items: Iterable[Apart]) -> None:
    """Take back that pairs were told apart."""
    write(
        tx,
        "DELETE FROM not_duplicate WHERE workspace_id = ? AND a = ? AND b = ? AND kind = ? AND value = ?",
        [(tx.workspace, i.a, i.b, i.key.kind.value, i.key.value) for i in items],
    )


def _apart(row: Any) -> Apart:
    return Apart(row[0], row[1], MatchKey(_KINDS[row[2]], row[3]), row[4], from_ms(row[5]))


def contact_ids(ids: Iterable[int]) -> list[ContactId]:
    """The same numbers as ids of contacts."""
    return [ContactId(id_) for id_ in ids]
