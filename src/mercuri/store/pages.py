"""Pages of contacts: filtered, searched, sorted, by keyset, with a total.

Each filter knows how to judge one contact, and most know, from an index, which contacts can match. A set that is small
is judged whole: page and total are exact. When all sets are large, the index of the sort order is walked, which
fills a page soon, unless all that match stand far behind: then the set is judged after all.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mercuri.core.contact import Contact, ContactId, PortalId
from mercuri.errors import UserError
from mercuri.store import conditions, search, shown
from mercuri.store.conditions import FieldTest, Span
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps

#: A set up to this size is judged contact by contact; a total beyond it is "10,000+".
SMALL = 10_000
#: How far a count goes that needs an index only; PostgreSQL has to look at the rows too, until its next vacuum.
COUNTED = 100_000
COUNTED_ON_POSTGRESQL = 20_000
#: How many contacts a walk looks at before the judge takes over.
PATIENCE = 20_000
MOST = 1_000

#: A sort key and an id.
_Row = tuple[Any, ContactId]
_ALIVE = "contact.workspace_id = :ws AND contact.deleted_at IS NULL AND contact.merged_into IS NULL"
_LIVE_LINK = "FROM link WHERE link.workspace_id = :ws AND link.state IN ('live', 'asleep', 'blocked')"
_FAILING = (
    "SELECT failure.contact_id AS id FROM failure WHERE failure.workspace_id = :ws AND failure.contact_id IS NOT NULL"
    " UNION ALL SELECT link.contact_id AS id FROM link WHERE link.workspace_id = :ws AND link.state = 'blocked'"
)
#: Sort order -> column, and the index that has it.
_ORDERS = {
    "name": ("name_key", "contact_name"),
    "email": ("email_key", "contact_email"),
    "updated": ("updated_at", "contact_updated"),
    "created": ("created_at", "contact_created"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """Which contacts, in which order; None leaves a filter out. A sort with "-" before it runs backwards."""

    q: str = ""
    status: str | None = None  # subscribed | not_subscribed
    duplicate: bool | None = None
    portal: PortalId | None = None
    health: str | None = None  # in_sync | excluded | failing
    has_phone: bool | None = None
    has_email: bool | None = None
    created: Span | None = None
    updated: Span | None = None
    fields: tuple[FieldTest, ...] = ()
    sort: str = "name"
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page. A total that is not exact is a lower bound."""

    items: list[Contact]
    next_cursor: str | None
    total: int
    total_is_exact: bool


@dataclass(frozen=True, slots=True)
class _Filter:
    judge: str  # SQL that holds for a contact that matches
    among: str | None = None  # SQL that gives the ids of all that can match, from an index
    is_exact: bool = False  # `among` gives live matching contacts only, each once


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which part of the sorted contacts is wanted."""

    sort: str
    after: tuple[Any, int] | None
    limit: int

    @property
    def column(self) -> str:
        return _ORDERS[self.sort.removeprefix("-")][0]

    @property
    def order(self) -> str:
        way = "DESC" if self.sort.startswith("-") else "ASC"
        return f"ORDER BY k {way}, id {way}"

    def conditions(self, key: str, id_: str, params: dict[str, Any]) -> list[str]:
        if self.after is None:
            return []
        params["after_key"], params["after_id"] = self.after
        # No COLLATE in here: SQLite would read the whole index.
        sign = "<" if self.sort.startswith("-") else ">"
        return [f"({key}, {id_}) {sign} (:after_key, :after_id)"]


def page(tx: Tx, query: Query) -> ContactPage:
    """One page of live contacts. Raises UserError for an order, filter value or cursor that makes no sense."""
    order = query.sort.removeprefix("-")
    if order not in _ORDERS:
        raise UserError(f"Contacts can be sorted by {', '.join(_ORDERS)}, not {order!r}.")
    params: dict[str, Any] = {"ws": tx.workspace}
    filters = _filters(tx, query, params)
    limit = max(1, min(query.limit, MOST))
    after = _read_cursor(query) if query.cursor else None
    reach = _Reach(query.sort, after, limit + 1)
    small = _smallest(tx, filters, params)
    if small is not None:
        rows, total = _judge(tx, small, reach, filters, params)
        is_exact = True
    else:
        rows = _walk(tx, reach, filters, params)
        is_all = after is None and len(rows) <= limit
        total, is_exact = (len(rows), True) if is_all else _bounded_size(tx, filters, params)
    items = shown.many(tx, [id_ for _, id_ in rows[:limit]])
    return ContactPage(items, _cursor(query.sort, rows[limit - 1]) if len(rows) > limit else None, total, is_exact)


# --- filters ----------------------------------------------------------------------------------------------------


def _filters(tx: Tx, query: Query, params: dict[str, Any]) -> list[_Filter]:
    found = [_status(query, params)] if query.status is not None else []
    if query.duplicate is not None:
        found.append(_duplicate(query.duplicate))
    if query.portal is not None:
        params["portal"] = query.portal
        links = f"{_LIVE_LINK} AND link.portal_id = :portal"
        judge = f"EXISTS (SELECT 1 {links} AND link.contact_id = contact.id)"
        found.append(_Filter(judge, f"SELECT link.contact_id AS id {links}"))
    if query.health is not None:
        found.append(_health(query.health))
    found += [
        _has(column, has) for column, has in (("phone", query.has_phone), ("email", query.has_email)) if has is not None
    ]
    found += [
        _within(column, span, params)
        for column, span in (("created_at", query.created), ("updated_at", query.updated))
        if span is not None
    ]
    if query.fields:
        found.append(_fields(tx, query.fields, params))
    needles = search.needles(query.q)
    if needles:
        found.append(_Filter(search.condition(tx, needles, params), search.candidates(tx, needles, params)))
    return found


def _status(query: Query, params: dict[str, Any]) -> _Filter:
    if query.status not in ("subscribed", "not_subscribed"):
        raise UserError(f"The status is subscribed or not_subscribed, not {query.status!r}.")
    params["subscribed"] = query.status == "subscribed"
    judge = "contact.subscribed = :subscribed"
    return _Filter(judge, f"SELECT contact.id FROM contact WHERE {_ALIVE} AND {judge}", is_exact=True)


def _duplicate(is_duplicate: bool) -> _Filter:
    members = "FROM dup_member WHERE dup_member.workspace_id = :ws"
    judge = f"EXISTS (SELECT 1 {members} AND dup_member.contact_id = contact.id)"
    return _Filter(judge, f"SELECT dup_member.contact_id AS id {members}") if is_duplicate else _Filter(f"NOT {judge}")


def _health(health: str) -> _Filter:
    linked = f"EXISTS (SELECT 1 {_LIVE_LINK} AND link.contact_id = contact.id AND link.state = 'live' AND link.excluded"
    if health == "in_sync":
        return _Filter(f"{linked} = '') AND contact.id NOT IN ({_FAILING})")
    if health == "excluded":
        kept_out = "SELECT link.contact_id AS id FROM link WHERE link.workspace_id = :ws AND link.excluded <> ''"
        return _Filter(f"{linked} <> '')", kept_out)
    if health == "failing":
        return _Filter(f"contact.id IN ({_FAILING})", _FAILING)
    raise UserError(f"The health is in_sync, excluded or failing, not {health!r}.")


def _has(column: str, has: bool) -> _Filter:
    judge = f"{'NOT ' if has else ''}(contact.{column} = '')"
    value = "false" if has else "true"
    return _Filter(judge, f"SELECT contact.id FROM contact WHERE {_ALIVE} AND (contact.{column} = '') = {value}", True)


def _within(column: str, span: Span, params: dict[str, Any]) -> _Filter:
    judge = conditions.within(column, span, params)
    return _Filter(judge, f"SELECT contact.id FROM contact WHERE {_ALIVE} AND {judge}", is_exact=True)


def _fields(tx: Tx, tests: Sequence[FieldTest], params: dict[str, Any]) -> _Filter:
    """Those who meet the tests are looked for once, and named where they are few."""
    judge = conditions.meets(tx, tests, params)
    # The rows as they lie: by an index, SQLite would look each of them up.
    table = "contact NOT INDEXED" if tx.is_sqlite else "contact"
    scan = f"SELECT contact.id FROM {table} WHERE {_ALIVE} AND {judge} LIMIT {SMALL + 1}"
    few = list(tx.execute(scan, params).scalars())
    if len(few) > SMALL:
        return _Filter(judge)
    params["few"] = dumps(few) if tx.is_sqlite else few
    named = "SELECT value AS id FROM json_each(:few)" if tx.is_sqlite else "SELECT unnest(CAST(:few AS bigint[])) AS id"
    return _Filter(f"contact.id IN ({named})", named, is_exact=True)


# --- small sets: judge all of them ------------------------------------------------------------------------------


def _smallest(tx: Tx, filters: Sequence[_Filter], params: dict[str, Any]) -> str | None:
    """SQL of the smallest set that a filter can name, None when none is small."""
    smallest, best = SMALL + 1, None
    for among in (item.among for item in filters if item.among is not None):
        size = tx.execute(
            f"SELECT count(*) FROM (SELECT * FROM ({among}) AS a LIMIT {smallest}) AS b", params
        ).scalar_one()
        if size < smallest:
            smallest, best = size, among
    return best


def _matching(tx: Tx, among: str, filters: Sequence[_Filter]) -> str:
    """SQL from FROM on: the live contacts of a set that all filters hold for, each once."""
    few = "FROM contact WHERE 1 = 1"  # PostgreSQL's planner finds the set by itself
    if tx.is_sqlite:
        # CROSS JOIN keeps the order of the tables; the planner would rather read an index of all contacts.
        few = f"FROM (SELECT DISTINCT id FROM ({among})) AS few CROSS JOIN contact WHERE contact.id = few.id"
    return " AND ".join([few, _ALIVE, *(f"({item.judge})" for item in filters)])


def _judge(
    tx: Tx, among: str, reach: _Reach, filters: Sequence[_Filter], params: dict[str, Any]
) -> tuple[list[_Row], int]:
    """The rows that are wanted of a set, and how many match in all."""
    known = dict(params)
    matching = f"SELECT contact.{reach.column} AS k, contact.id AS id {_matching(tx, among, filters)}"
    wanted = " AND ".join(["1 = 1", *reach.conditions("k", "id", known)])
    found = tx.execute(
        f"WITH matching AS MATERIALIZED ({matching}) SELECT k, id, (SELECT count(*) FROM matching) FROM matching"
        f" WHERE {wanted} {reach.order} LIMIT {reach.limit}",
        known,
    ).all()
    if not found and reach.after is not None:
        return [], tx.execute(f"SELECT count(*) {_matching(tx, among, filters)}", params).scalar_one()
    return [(key, id_) for key, id_, _ in found], found[0][2] if found else 0


# --- large sets: walk the order ---------------------------------------------------------------------------------


def _walk(tx: Tx, reach: _Reach, filters: Sequence[_Filter], params: dict[str, Any]) -> list[_Row]:
    known = dict(params)
    named = _named(filters)
    index = f"INDEXED BY {_ORDERS[reach.sort.removeprefix('-')][1]}" if tx.is_sqlite else ""
    source = " AND ".join(
        [f"FROM contact {index} WHERE {_ALIVE}", *reach.conditions(f"contact.{reach.column}", "contact.id", known)]
    )
    patience = "" if named is None else f"LIMIT {PATIENCE}"
    columns = f"contact.{reach.column} AS k, contact.id AS id, ({_all_hold(filters)}) AS hit"
    walked = f"SELECT {columns} {source} {reach.order} {patience}"
    found = tx.execute(f"SELECT k, id FROM ({walked}) AS walked WHERE hit LIMIT {reach.limit}", known)
    rows = [(key, id_) for key, id_ in found]
    if named is None or named.among is None or len(rows) == reach.limit:
        return rows
    return _judge(tx, named.among, reach, filters, params)[0]


def _named(filters: Sequence[_Filter]) -> _Filter | None:
    """The last filter that can name its set: the search, where there is one."""
    return next((item for item in reversed(filters) if item.among is not None), None)


def _all_hold(filters: Sequence[_Filter]) -> str:
    return " AND ".join(["1 = 1", *(f"({item.judge})" for item in filters)])


def _bounded_size(tx: Tx, filters: Sequence[_Filter], params: dict[str, Any]) -> tuple[int, bool]:
    """How many match: counted up to a limit, else a lower bound from the first of a large set."""
    everyone = _Filter("1 = 1", f"SELECT contact.id FROM contact WHERE {_ALIVE}", is_exact=True)
    named = _named(filters) or everyone
    if all(item.is_exact for item in filters) and len(filters) < 2:
        most = COUNTED if tx.is_sqlite else COUNTED_ON_POSTGRESQL
        size = tx.execute(f"SELECT count(*) FROM ({named.among} LIMIT {most + 1}) AS a", params).scalar_one()
        return min(size, most), size <= most
    if tx.is_sqlite:
        part = _matching(tx, f"SELECT * FROM ({named.among}) LIMIT {SMALL + 1}", filters)
    else:
        first = (
            f"SELECT ({_all_hold(filters)}) AS hit FROM contact WHERE {_ALIVE} AND ({named.judge}) LIMIT {SMALL + 1}"
        )
        part = f"FROM ({first}) AS part WHERE hit"
    size = tx.execute(f"SELECT count(*) {part}", params).scalar_one()
    return min(size, SMALL), False


# --- cursors ----------------------------------------------------------------------------------------------------


def _cursor(sort: str, row: _Row) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort, *row]).encode()).decode().rstrip("=")


def _read_cursor(query: Query) -> tuple[Any, int]:
    text = query.cursor or ""
    try:
        sort, key, id_ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, TypeError):
        raise UserError("The cursor is none of ours. Begin again without one.") from None
    kind = int if query.sort.removeprefix("-") in ("updated", "created") else str
    if sort != query.sort or not isinstance(id_, int) or not isinstance(key, kind):
        raise UserError("The cursor belongs to another list. Begin again without one.")
    return key, id_
