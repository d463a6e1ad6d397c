"""Match keys of contacts, values declared shared, and pairs that a person told apart.

The statements here run at every edit of a contact, so they go to the driver directly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

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
    return list(_each(tx, statement, parameters))


def _each(tx: Tx, statement: str, parameters: Sequence[Any]) -> Iterable[Any]:
    """`rows`, one after the other: on SQLite they are never all in memory."""
    cursor = tx.raw()
    cursor.execute(statement if tx.is_sqlite else statement.replace("?", "%s"), parameters)
    return cast(Iterable[Any], cursor)


def write(tx: Tx, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
    """A statement with `?` marks, once for each set of parameters; no row may be inserted twice."""
    sets = list(parameters)
    if tx.is_sqlite and sets:
        tx.raw().executemany(statement, sets)
    elif sets:
        _write_postgresql(tx, statement.replace("?", "%s"), sets)


def _write_postgresql(tx: Tx, statement: str, sets: Sequence[Sequence[Any]]) -> None:
    """Rows go into one statement, with a list for each column: a statement for each takes several times as long."""
    head, inserts, rest = statement.partition(" VALUES ")
    if not inserts:
        tx.raw().executemany(statement, sets)
        return
    lists = ", ".join(f"%s::{'text' if isinstance(value, str) else 'bigint'}[]" for value in sets[0])
    columns = [list(column) for column in zip(*sets, strict=True)]
    tx.raw().execute(f"{head} SELECT * FROM unnest({lists}){rest.partition(')')[2]}", columns)


def among(tx: Tx, ids: Collection[int]) -> Iterator[tuple[str, list[Any]]]:
    """The condition "is one of these ids", with its parameters; as often as it takes."""
    everyone = list(ids)
    if not tx.is_sqlite:
        if everyone:
            yield "= ANY(?)", [everyone]
        return
    for start in range(0, len(everyone), _CHUNK):
        part = everyone[start : start + _CHUNK]
        yield f"IN ({','.join('?' * len(part))})", part


def key(kind: int, value: str) -> MatchKey:
    """A key as the tables hold it."""
    return MatchKey(_KINDS[kind], value)


# --- keys -------------------------------------------------------------------------------------------------------


def due(tx: Tx, ids: Collection[int]) -> dict[int, frozenset[MatchKey]]:
    """The keys that contacts should have by their present values: none for those deleted, absorbed or erased."""
    names: dict[int, dict[str, str]] = {}
    addresses: dict[int, list[Address]] = {}
    for mine, part in among(tx, ids):
        # Whether they live is asked as a value: as a condition, a PostgreSQL without statistics answers from one of the
        # indexes of all living contacts, and reads it whole.
        columns = "id, first_name, last_name, custom, deleted_at IS NULL AND merged_into IS NULL"
        for id_, first, last, custom, is_alive in rows(
            tx, f"SELECT {columns} FROM contact WHERE workspace_id = ? AND id {mine}", (tx.workspace, *part)
        ):
            if not is_alive:
                continue
            company = loads(custom).get("company", "") if '"company"' in custom else ""
            names[id_] = {"first_name": first, "last_name": last, "custom.company": company} if company else {}
        usable = f"workspace_id = ? AND contact_id {mine} AND normal IS NOT NULL"
        for id_, kind, normal, extension in rows(
            tx, f"SELECT contact_id, kind, normal, extension FROM contact_address WHERE {usable}", (tx.workspace, *part)
        ):
            addresses.setdefault(id_, []).append(Address(kind, "", normal, extension=extension))
    return {id_: keys_of(addresses.get(id_, ()), names[id_]) if id_ in names else frozenset() for id_ in ids}


def of(tx: Tx, ids: Collection[int]) -> dict[int, frozenset[MatchKey]]:
    """The keys that contacts have in the index; who has none is missing."""
    found: dict[int, list[MatchKey]] = {}
    for mine, part in among(tx, ids):
        keys = f"SELECT contact_id, kind, value FROM match_key WHERE workspace_id = ? AND contact_id {mine}"
        for id_, kind, value in rows(tx, keys, (tx.workspace, *part)):
            found.setdefault(id_, []).append(key(kind, value))
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


def joining(tx: Tx, most: Mapping[MatchKey, int]) -> dict[MatchKey, list[int]]:
    """The holders of keys, ascending, of those that nobody declared shared and that at most so many contacts hold.

    Of a crowd no more than one above the highest of the limits is read.
    """
    found: dict[MatchKey, list[int]] = {}
    for kind in {key.kind for key in most}:
        limits = {key.value: limit for key, limit in most.items() if key.kind == kind}
        for value, ids in _first_holders(tx, kind, limits, 1 + max(limits.values())):
            if len(ids) <= limits[value]:
                found[MatchKey(kind, value)] = ids
    return found


def _first_holders(tx: Tx, kind: KeyKind, values: Collection[str], limit: int) -> Iterator[tuple[str, list[int]]]:
    together = "group_concat(contact_id)" if tx.is_sqlite else "string_agg(contact_id::text, ',')"
    for asked, part in _asked(tx, values):
        for value, ids in rows(
            tx,
            f"SELECT asked.column1, (SELECT {together} FROM (SELECT contact_id FROM match_key WHERE workspace_id = ?"
            " AND kind = ? AND value = asked.column1 ORDER BY contact_id LIMIT ?) AS held)"
            f" FROM {asked} WHERE NOT EXISTS (SELECT 1 FROM shared_value WHERE workspace_id = ? AND kind = ?"
            " AND value = asked.column1)",
            (tx.workspace, kind.value, limit, *part, tx.workspace, kind.value),
        ):
            if ids:
                yield value, sorted(map(int, ids.split(",")))


def _asked(tx: Tx, values: Collection[str]) -> Iterator[tuple[str, list[Any]]]:
    """Values as a table `asked`, with its parameters; as often as it takes."""
    everything = list(values)
    if not tx.is_sqlite:
        yield "unnest(?::text[]) AS asked(column1)", [everything]
        return
    for start in range(0, len(everything), _CHUNK):
        part = everything[start : start + _CHUNK]
        yield f"(VALUES {','.join(['(?)'] * len(part))}) AS asked", part


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
    for value, ids in _each(
        tx,
        f"SELECT value, {together} FROM match_key WHERE workspace_id = ? AND kind = ?"
        " GROUP BY value HAVING count(*) BETWEEN 2 AND ?",
        (tx.workspace, kind.value, most),
    ):
        yield MatchKey(kind, value), sorted(map(int, ids.split(",")))


# --- shared values ------------------------------------------------------------------------------------------------


def shared(tx: Tx) -> list[Shared]:
    """All values declared shared, newest first."""
    found = rows(
        tx,
        "SELECT id, kind, value, note, set_by, set_at FROM shared_value WHERE workspace_id = ? ORDER BY id DESC",
        (tx.workspace,),
    )
    return [Shared(r[0], key(r[1], r[2]), r[3], r[4], from_ms(r[5])) for r in found]


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


def apart_among(tx: Tx, contacts: Collection[int]) -> list[Apart]:
    """The pairs told apart that hold one of these contacts, or two of them."""
    if not any_apart(tx):
        return []
    found: dict[tuple[int, int, MatchKey], Apart] = {}
    for mine, part in among(tx, contacts):
        # Each half by its own index; an OR of both would read all that was ever told apart.
        either = f"{_APART} AND a {mine} UNION {_APART} AND b {mine}"
        for row in rows(tx, either, (tx.workspace, *part, tx.workspace, *part)):
            item = _apart(row)
            found[item.a, item.b, item.key] = item
    return list(found.values())


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
    return Apart(row[0], row[1], key(row[2], row[3]), row[4], from_ms(row[5]))


def contact_ids(ids: Iterable[int]) -> list[ContactId]:
    """The same numbers as ids of contacts."""
    return [ContactId(id_) for id_ in ids]
