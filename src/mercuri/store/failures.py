"""What fails, one row per thing: its class, a plain sentence, what to do, and when it is tried again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mercuri.core.contact import ContactId, PortalId, RecordId, RunId
from mercuri.store.contact_rows import chunks
from mercuri.store.database import Tx
from mercuri.store.schema import failure as table
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class Failure:
    """One failing thing. `kind` is a core.retry.FailureClass value; `next_at` None waits for an edit or a person.

    `key` names the thing: `contact:<id>`, `record:<id>`, `address:<channel>:<address>` or
    `consent:<property>:<channel>:<record>`.
    """

    portal_id: PortalId
    key: str
    kind: str
    message: str
    fix: str
    at: datetime
    contact_id: ContactId | None = None
    record_id: RecordId | None = None
    run: RunId | None = None
    raw: str = ""
    attempts: int = 1
    next_at: datetime | None = None
    id: int = 0


_CLEAR = Statement(
    delete(table)
    .where(table.c.workspace_id == WORKSPACE, table.c.portal_id == bindparam("portal"))
    .where(table.c.key.in_(bindparam("keys", expanding=True))),
    lists=["keys"],
)
#: Asked of every page of records: nearly always the answer is none.
_FAILING = Statement(
    select(table.c.key)
    .where(table.c.workspace_id == WORKSPACE, table.c.portal_id == bindparam("portal"))
    .where(table.c.key.in_(bindparam("keys", expanding=True))),
    lists=["keys"],
)
_ALL = select(func.count()).select_from(table).where(table.c.workspace_id == WORKSPACE)
_COUNT, _COUNT_OF_RUN = Statement(_ALL), Statement(_ALL.where(table.c.run_id == bindparam("run")))


def put(tx: Tx, item: Failure) -> None:
    """Add a failure, or replace what was known of the same thing."""
    statement = (sqlite if tx.is_sqlite else postgresql).insert(table).values(_values(tx, item))
    newer = {name: statement.excluded[name] for name in _values(tx, item) if name not in _KEY}
    tx.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=newer))


def of_keys(tx: Tx, portal: PortalId, keys: Collection[str]) -> dict[str, Failure]:
    """What is known of these things, by key; those that work are missing."""
    found: dict[str, Failure] = {}
    for chunk in chunks(keys):
        if failing := [row.key for row in tx.run(_FAILING, portal=portal, keys=chunk)]:
            rows = tx.execute(select(table).where(_of(tx, portal), table.c.key.in_(failing)))
            found.update((row.key, _failure(row)) for row in rows)
    return found


def waiting(tx: Tx, portal: PortalId, kind: str) -> list[ContactId]:
    """The contacts that fail for a reason of this kind and wait for somebody to change something."""
    found = select(table.c.contact_id).where(_of(tx, portal), table.c["class"] == kind, table.c.next_at.is_(None))
    return [ContactId(row.contact_id) for row in tx.execute(found.where(table.c.contact_id.is_not(None)))]


def met(tx: Tx, portal: PortalId, keys: Collection[str], run: RunId) -> None:
    """A run met these things, and they still fail."""
    for chunk in chunks(keys):
        tx.execute(update(table).where(_of(tx, portal), table.c.key.in_(chunk)).values(run_id=run))


def attempts(tx: Tx, portal: PortalId, keys: Collection[str]) -> dict[str, int]:
    """How often each of these things failed so far; those that never did are missing."""
    found = select(table.c.key, table.c.attempts).where(_of(tx, portal), table.c.key.in_(list(keys)))
    return {row.key: row.attempts for row in tx.execute(found)}


def clear(tx: Tx, portal: PortalId, keys: Collection[str]) -> None:
    """These things work again."""
    for chunk in chunks(keys):
        tx.run(_CLEAR, portal=portal, keys=chunk)


def of_run(tx: Tx, run: RunId, *, after: int = 0, limit: int = 100) -> list[Failure]:
    """What failed in this run, or was met by it and still failed; each thing belongs to the last such run."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run, table.c.id > after)
    return [_failure(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id).limit(limit))]


def recent(tx: Tx, *, portal: PortalId | None = None, after: int = 0, limit: int = 100) -> list[Failure]:
    """What fails at present, of one portal or of all."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.id > after)
    if portal is not None:
        mine = and_(mine, table.c.portal_id == portal)
    return [_failure(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id).limit(limit))]


def of_contacts(tx: Tx, contacts: Collection[ContactId]) -> list[Failure]:
    """What fails about these contacts."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.contact_id.in_(list(contacts)))
    return [_failure(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id))]


def beginning(tx: Tx, portal: PortalId, prefix: str, *, limit: int | None = None) -> list[Failure]:
    """What fails at present under keys that begin so."""
    mine = and_(_of(tx, portal), table.c.key.startswith(prefix, autoescape=True))
    return [_failure(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id).limit(limit))]


def count_beginning(tx: Tx, portal: PortalId, prefix: str) -> int:
    """How many things fail at present under keys that begin so."""
    mine = and_(_of(tx, portal), table.c.key.startswith(prefix, autoescape=True))
    return int(tx.execute(select(func.count()).select_from(table).where(mine)).scalar_one())


def by_ids(tx: Tx, ids: Collection[int]) -> list[Failure]:
    """Failures by id; those that are gone are missing."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.id.in_(list(ids)))
    return [_failure(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id))]


def count(tx: Tx, *, run: RunId | None = None) -> int:
    """How many things fail at present, of one run or in all."""
    return int(tx.run(_COUNT).scalar() if run is None else tx.run(_COUNT_OF_RUN, run=run).scalar())


_KEY = ("workspace_id", "portal_id", "key")


def _of(tx: Tx, portal: PortalId) -> Any:
    return and_(table.c.workspace_id == tx.workspace, table.c.portal_id == portal)


def _values(tx: Tx, item: Failure) -> dict[str, object]:
    return {
        "workspace_id": tx.workspace,
        "portal_id": item.portal_id,
        "key": item.key,
        "contact_id": item.contact_id,
        "record_id": item.record_id,
        "run_id": item.run,
        "class": item.kind,
        "message": item.message,
        "fix": item.fix,
        "raw": item.raw,
        "attempts": item.attempts,
        "next_at": None if item.next_at is None else to_ms(item.next_at),
        "at": to_ms(item.at),
    }


def _failure(row: Row[Any]) -> Failure:
    fields = row._mapping
    return Failure(
        PortalId(row.portal_id),
        row.key,
        fields["class"],
        row.message,
        row.fix,
        from_ms(row.at),
        None if row.contact_id is None else ContactId(row.contact_id),
        None if row.record_id is None else RecordId(row.record_id),
        None if row.run_id is None else RunId(row.run_id),
        row.raw,
        row.attempts,
        None if row.next_at is None else from_ms(row.next_at),
        row.id,
    )
