"""The change log: every value that a run, a person or a merge overwrote, on either side; history and undo read it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, and_, cast, func, or_, select

from mercuri.core.contact import ContactId, PortalId, RecordId, RunId
from mercuri.core.diff import Base
from mercuri.store.database import Tx
from mercuri.store.schema import change as table
from mercuri.store.times import from_ms, to_ms

#: The field of a change that concerns a contact or a record as a whole.
WHOLE = "*"
#: What becomes of a whole contact: a record is made of it, a record turns out to be its own, or it is made of one.
CREATED, LINKED, IMPORTED = "created", "linked", "imported"


@dataclass(frozen=True, slots=True)
class Change:
    """One overwritten value. `side` is mercuri or hubspot; a `planned` one belongs to a preview: nothing was done."""

    contact_id: ContactId | None
    field: str
    side: str
    before: str
    after: str
    actor: str
    reason: str
    at: datetime
    record_id: RecordId | None = None
    portal_id: PortalId | None = None
    run: RunId | None = None
    base_before: Base | None = None
    planned: bool = False
    id: int = 0


_COLUMNS = (
    "workspace_id",
    "run_id",
    "contact_id",
    "portal_id",
    "record_id",
    "field",
    "side",
    "before",
    "after",
    "base_before",
    "actor",
    "reason",
    "planned",
    "at",
)


def add_many(tx: Tx, changes: Sequence[Change]) -> None:
    """Append to the log."""
    tx.insert_many(table, _COLUMNS, [_values(tx, change) for change in changes])


def of_run(tx: Tx, run: RunId, *, after: int = 0, limit: int = 100) -> list[Change]:
    """What a run changed, or would change (a preview), oldest first, after a change id."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run, table.c.id > after)
    return [_change(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id).limit(limit))]


def newest_of_run(tx: Tx, run: RunId, *, before: int | None = None, limit: int = 100) -> list[Change]:
    """What a run changed, newest first, before a change id; previews left out."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run, table.c.planned.is_(False))
    if before is not None:
        mine = and_(mine, table.c.id < before)
    return [_change(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id.desc()).limit(limit))]


def of_contact(tx: Tx, contact: ContactId, *, before: int | None = None, limit: int = 50) -> list[Change]:
    """The history of a contact, newest first; previews left out."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.contact_id == contact, table.c.planned.is_(False))
    if before is not None:
        mine = and_(mine, table.c.id < before)
    return [_change(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id.desc()).limit(limit))]


def planned_for(tx: Tx, run: RunId, contacts: Collection[ContactId]) -> Iterator[Change]:
    """The planned rows of a preview that concern these contacts."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run, table.c.planned.is_(True))
    rows = tx.execute(select(table).where(mine, table.c.contact_id.in_(list(contacts))).order_by(table.c.id))
    return (_change(row) for row in rows)


def planned_imports(tx: Tx, run: RunId, records: Collection[RecordId]) -> set[RecordId]:
    """Which of these records a preview would import."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run, table.c.planned.is_(True))
    mine = and_(mine, table.c.field == WHOLE, table.c.after == IMPORTED, table.c.record_id.in_(list(records)))
    return {RecordId(row.record_id) for row in tx.execute(select(table.c.record_id).where(mine))}


def planned_totals(tx: Tx, run: RunId) -> tuple[int, int]:
    """How many contacts a preview would change or make here, and how many in HubSpot."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run, table.c.planned.is_(True))
    mine = and_(mine, or_(table.c.field != WHOLE, table.c.after != LINKED))
    who = func.coalesce(cast(table.c.contact_id, Text), table.c.record_id)
    found = select(table.c.side, func.count(who.distinct())).where(mine).group_by(table.c.side)
    totals = {side: int(number) for side, number in tx.execute(found)}
    return totals.get("mercuri", 0), totals.get("hubspot", 0)


def count(tx: Tx, run: RunId) -> int:
    """How many changes a run has in the log."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.run_id == run)
    return int(tx.execute(select(func.count()).select_from(table).where(mine)).scalar_one())


def _values(tx: Tx, change: Change) -> tuple[object, ...]:
    base = change.base_before
    return (
        tx.workspace,
        change.run,
        change.contact_id,
        change.portal_id,
        change.record_id,
        change.field,
        change.side,
        change.before,
        change.after,
        None if base is None else json.dumps([base.local, base.remote, base.why]),
        change.actor,
        change.reason,
        change.planned,
        to_ms(change.at),
    )


def _change(row: Row[Any]) -> Change:
    return Change(
        contact_id=None if row.contact_id is None else ContactId(row.contact_id),
        field=row.field,
        side=row.side,
        before=row.before,
        after=row.after,
        actor=row.actor,
        reason=row.reason,
        at=from_ms(row.at),
        record_id=None if row.record_id is None else RecordId(row.record_id),
        portal_id=None if row.portal_id is None else PortalId(row.portal_id),
        run=None if row.run_id is None else RunId(row.run_id),
        base_before=None if row.base_before is None else Base(*json.loads(row.base_before)),
        planned=bool(row.planned),
        id=row.id,
    )
