"""Conflicts: those that wait for a person's choice, and those that a policy decided."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, func, insert, select, update

from mercuri.core.contact import ContactId, PortalId, RecordId, RunId
from mercuri.errors import NotFound
from mercuri.store.database import Tx
from mercuri.store.schema import conflict as table
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms, maybe_moment, maybe_ms, to_ms


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that both sides changed. `state` is open, resolved (by a person) or decided (by a policy).

    `resolution` says who won: hubspot, mercuri or other. The field "*" is the contact as a whole: a deletion.
    """

    portal_id: PortalId
    record_id: RecordId
    contact_id: ContactId
    field: str
    local: str
    remote: str
    state: str
    at: datetime
    local_at: datetime | None = None
    local_by: str = ""
    remote_at: datetime | None = None
    remote_by: str = ""
    resolution: str = ""
    resolved_by: str = ""
    run: RunId | None = None
    resolved_at: datetime | None = None
    id: int = 0


def add_many(tx: Tx, items: Sequence[Conflict]) -> int:
    """Add conflicts; an open one of the same field is brought up to date instead. Returns how many are new.

    A value of HubSpot's that is replaced so stays behind in a closed row: it may stand nowhere else any more.
    """
    new = [item for item in items if item.state != "open" or not _refresh(tx, item)]
    if new:
        tx.execute(insert(table), [_values(tx, item) for item in new])
    return len(new)


def close(tx: Tx, portal: PortalId, record: RecordId, fields: Collection[str], resolution: str, at: datetime) -> None:
    """Close the open conflicts of fields whose sides have come to agree."""
    if not fields:
        return
    mine = and_(_open_of(tx, portal, record), table.c.field.in_(list(fields)))
    tx.execute(update(table).where(mine).values(state="resolved", resolution=resolution, resolved_at=to_ms(at)))


_OPEN_FIELDS = Statement(
    select(table.c.record_id, table.c.field)
    .where(table.c.workspace_id == WORKSPACE, table.c.portal_id == bindparam("portal"), table.c.state == "open")
    .where(table.c.record_id.in_(bindparam("records", expanding=True))),
    lists=["records"],
)


def open_fields(tx: Tx, portal: PortalId, records: Collection[RecordId]) -> dict[RecordId, set[str]]:
    """The fields with an open conflict, by record."""
    found: dict[RecordId, set[str]] = {}
    for row in tx.run(_OPEN_FIELDS, portal=portal, records=list(records)):
        found.setdefault(RecordId(row.record_id), set()).add(row.field)
    return found


def follow(tx: Tx, portal: PortalId, record: RecordId, contact: ContactId) -> None:
    """Let the conflicts of a record follow it to another contact."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.portal_id == portal, table.c.record_id == record)
    tx.execute(update(table).where(mine).values(contact_id=contact))


def get(tx: Tx, conflict_id: int) -> Conflict:
    """One conflict. Raises NotFound."""
    row = tx.execute(select(table).where(table.c.workspace_id == tx.workspace, table.c.id == conflict_id)).first()
    if row is None:
        raise NotFound("There is no such conflict.")
    return _conflict(row)


def resolve(tx: Tx, conflict_id: int, resolution: str, by: str, at: datetime) -> bool:
    """Mark an open conflict as resolved by a person; False when it was no longer open."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.id == conflict_id, table.c.state == "open")
    values = {"state": "resolved", "resolution": resolution, "resolved_by": by, "resolved_at": to_ms(at)}
    return bool(tx.execute(update(table).where(mine).values(values)).rowcount)


def recent(tx: Tx, *, state: str = "open", before: int | None = None, limit: int = 50) -> list[Conflict]:
    """Conflicts in one state, newest first."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.state == state)
    if before is not None:
        mine = and_(mine, table.c.id < before)
    return [_conflict(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id.desc()).limit(limit))]


def of_contact(tx: Tx, contact: ContactId, *, limit: int = 50) -> list[Conflict]:
    """The conflicts of a contact, newest first."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.contact_id == contact)
    return [_conflict(row) for row in tx.execute(select(table).where(mine).order_by(table.c.id.desc()).limit(limit))]


def count_open(tx: Tx) -> int:
    """How many conflicts wait for a choice."""
    mine = and_(table.c.workspace_id == tx.workspace, table.c.state == "open")
    return int(tx.execute(select(func.count()).select_from(table).where(mine)).scalar_one())


def _open_of(tx: Tx, portal: PortalId, record: RecordId) -> Any:
    return and_(
        table.c.workspace_id == tx.workspace,
        table.c.portal_id == portal,
        table.c.record_id == record,
        table.c.state == "open",
    )


def _refresh(tx: Tx, item: Conflict) -> bool:
    mine = and_(_open_of(tx, item.portal_id, item.record_id), table.c.field == item.field)
    row = tx.execute(select(table).where(mine).with_for_update()).first()
    if row is None:
        return False
    older = _conflict(row)
    if older.remote != item.remote:
        closed = replace(older, state="resolved", resolution="other", resolved_at=item.at)
        tx.execute(insert(table), [_values(tx, closed)])
    values = {name: value for name, value in _values(tx, item).items() if name in _REFRESHED}
    tx.execute(update(table).where(table.c.workspace_id == tx.workspace, table.c.id == older.id).values(values))
    return True


_REFRESHED = ("local", "local_at", "local_by", "remote", "remote_at", "remote_by")


def _values(tx: Tx, item: Conflict) -> dict[str, object]:
    return {
        "workspace_id": tx.workspace,
        "portal_id": item.portal_id,
        "record_id": item.record_id,
        "contact_id": item.contact_id,
        "field": item.field,
        "local": item.local,
        "local_at": maybe_ms(item.local_at),
        "local_by": item.local_by,
        "remote": item.remote,
        "remote_at": maybe_ms(item.remote_at),
        "remote_by": item.remote_by,
        "state": item.state,
        "resolution": item.resolution,
        "resolved_by": item.resolved_by,
        "run_id": item.run,
        "at": to_ms(item.at),
        "resolved_at": maybe_ms(item.resolved_at),
    }


def _conflict(row: Row[Any]) -> Conflict:
    return Conflict(
        PortalId(row.portal_id),
        RecordId(row.record_id),
        ContactId(row.contact_id),
        row.field,
        row.local,
        row.remote,
        row.state,
        from_ms(row.at),
        maybe_moment(row.local_at),
        row.local_by,
        maybe_moment(row.remote_at),
        row.remote_by,
        row.resolution,
        row.resolved_by,
        None if row.run_id is None else RunId(row.run_id),
        maybe_moment(row.resolved_at),
        row.id,
    )
