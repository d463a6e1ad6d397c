"""Pending work and intents: rows written in the transaction of the change that causes them.

The outbox says that something has to be looked at; an intent says that a certain write to HubSpot is about to be sent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mercuri.core.contact import ContactId, PortalId, RecordId, RunId
from mercuri.store.database import Tx
from mercuri.store.schema import intent as intents
from mercuri.store.schema import outbox as table
from mercuri.store.schema import portal as portals
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class Pending:
    """One piece of pending work. `noted_at` (ms) grows with every note, so that one made during the work is kept."""

    id: int
    portal_id: PortalId
    kind: str  # contact | consent | tell | look | merge
    key: str
    payload: Mapping[str, Any]
    attempts: int
    noted_at: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A write to HubSpot as it was sent: property -> value, and what was read there just before."""

    contact_id: ContactId
    kind: str  # create | patch | archive | merge | consent
    payload: Mapping[str, str]
    observed: Mapping[str, str]
    record_id: RecordId | None = None
    run: RunId | None = None
    sent_at: datetime | None = None
    id: int = 0


_CONNECTED = Statement(
    select(portals.c.portal_id).where(portals.c.workspace_id == WORKSPACE, portals.c.state != "disconnected")
)
_DUE = Statement(
    select(table)
    .where(
        table.c.workspace_id == WORKSPACE,
        table.c.portal_id == bindparam("portal"),
        table.c.kind == bindparam("kind"),
        table.c.not_before <= bindparam("now"),
    )
    .order_by(table.c.id)
    .limit(bindparam("most"))
)
_AS_NOTED = and_(
    table.c.workspace_id == WORKSPACE, table.c.id == bindparam("this"), table.c.created_at == bindparam("noted_at")
)
_DONE = Statement(delete(table).where(_AS_NOTED))
#: Work that waits for its next try.
_POSTPONED = and_(table.c.kind.in_(["contact", "consent"]), table.c.not_before > 0)
_POSTPONE = Statement(
    update(table).where(_AS_NOTED).values(not_before=bindparam("until"), attempts=table.c.attempts + 1)
)


def note_contact(tx: Tx, contact: ContactId, at: datetime, *, but: PortalId | None = None) -> None:
    """Note that a contact changed here, for every connected portal `but` one."""
    note_contacts(tx, [contact], at, but=but)


def note_contacts(tx: Tx, contacts: Collection[ContactId], at: datetime, *, but: PortalId | None = None) -> None:
    """Note that contacts changed here, for every connected portal `but` one."""
    for row in tx.run(_CONNECTED):
        if row.portal_id != but:
            note_many(tx, PortalId(row.portal_id), "contact", {str(contact): {} for contact in contacts}, at)


def note_look(tx: Tx, portal: PortalId, record: RecordId, at: datetime, *, erased: bool = False) -> None:
    """Note a hint that a record should be looked at; `erased`: HubSpot told of a privacy deletion."""
    note_looks(tx, portal, {record: erased}, at)


def note_looks(tx: Tx, portal: PortalId, records: Mapping[RecordId, bool], at: datetime) -> None:
    """`note_look` for many records: record -> erased. A privacy deletion stays noted, whatever is hinted after it."""
    note_many(tx, portal, "look", {record: {} for record, erased in records.items() if not erased}, at, keep=True)
    note_many(tx, portal, "look", {record: {"erased": True} for record, erased in records.items() if erased}, at)


def looked_for(tx: Tx, now: datetime) -> set[PortalId]:
    """The portals in which hinted records may be looked at now."""
    ready = and_(table.c.workspace_id == tx.workspace, table.c.kind == "look", table.c.not_before <= to_ms(now))
    return {PortalId(row.portal_id) for row in tx.execute(select(table.c.portal_id).where(ready).distinct())}


def note(
    tx: Tx,
    portal: PortalId,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    at: datetime,
    *,
    not_before: datetime | None = None,
) -> None:
    """Note pending work; noted again it is one piece, with the newer payload."""
    note_many(tx, portal, kind, {key: payload}, at, not_before=not_before)


def note_many(
    tx: Tx,
    portal: PortalId,
    kind: str,
    items: Mapping[str, Mapping[str, Any]],
    at: datetime,
    *,
    not_before: datetime | None = None,
    keep: bool = False,
) -> None:
    """`note` for many keys of one kind; `keep`: work that is noted already keeps its payload."""
    if not items:
        return
    common = {"portal": portal, "kind": kind, "at": to_ms(at), "not_before": to_ms(not_before) if not_before else 0}
    tx.run_each(
        _note(tx.is_sqlite, keep),
        ({**common, "key": key, "payload": json.dumps(payload)} for key, payload in items.items()),
    )


@cache
def _note(is_sqlite: bool, keep: bool) -> Statement:
    statement = (sqlite if is_sqlite else postgresql).insert(table)
    newest = func.max if is_sqlite else func.greatest
    newer = {
        "payload": table.c.payload if keep else statement.excluded.payload,
        "not_before": statement.excluded.not_before,
        "attempts": 0,
        "created_at": newest(statement.excluded.created_at, table.c.created_at + 1),
    }
    given: dict[str, Any] = {name: bindparam(name) for name in ("kind", "key", "payload", "not_before")}
    return Statement(
        statement.values(
            workspace_id=WORKSPACE, portal_id=bindparam("portal"), created_at=bindparam("at"), **given
        ).on_conflict_do_update(index_elements=["workspace_id", "portal_id", "kind", "key"], set_=newer)
    )


def due(tx: Tx, portal: PortalId, kind: str, now: datetime, *, limit: int = 100) -> list[Pending]:
    """Pending work of one kind that may be done now, oldest first."""
    return [_pending(row) for row in tx.run(_DUE, portal=portal, kind=kind, now=to_ms(now), most=limit)]


def count(tx: Tx, portal: PortalId, kind: str) -> int:
    """How much work of one kind is pending, whether due or not."""
    return int(
        tx.execute(select(func.count()).select_from(table).where(_of(tx, portal), table.c.kind == kind)).scalar_one()
    )


def waits(tx: Tx, portal: PortalId, kind: str, keys: Collection[str]) -> set[str]:
    """Which of these keys have pending work."""
    if not keys:
        return set()
    found = select(table.c.key).where(_of(tx, portal), table.c.kind == kind, table.c.key.in_(list(keys)))
    return {row.key for row in tx.execute(found)}


def done(tx: Tx, items: Sequence[Pending]) -> None:
    """Take work off the list, unless it was noted again meanwhile."""
    for item in items:
        tx.run(_DONE, this=item.id, noted_at=item.noted_at)


def postpone(tx: Tx, items: Sequence[Pending], until: datetime) -> None:
    """Try work again later, unless it was noted again meanwhile."""
    for item in items:
        tx.run(_POSTPONE, this=item.id, noted_at=item.noted_at, until=to_ms(until))


def retry_now(tx: Tx, contacts: Collection[ContactId]) -> None:
    """Let these contacts be tried at once, in every portal, however often they failed."""
    keys = table.c.key.in_([str(contact) for contact in contacts])
    tx.execute(update(table).where(table.c.workspace_id == tx.workspace, _POSTPONED, keys).values(not_before=0))


def retry_all_now(tx: Tx, portal: PortalId, *, claimed_until: datetime) -> None:
    """Let what was postponed for a portal be tried at once, but for stops that someone may be telling it just now."""
    may = or_(table.c.kind != "consent", table.c.not_before > to_ms(claimed_until))
    tx.execute(update(table).where(_of(tx, portal), _POSTPONED, may).values(not_before=0))


# --- intents ----------------------------------------------------------------------------------------------------

_OPEN = and_(
    intents.c.workspace_id == WORKSPACE,
    intents.c.portal_id == bindparam("portal"),
    or_(intents.c.state == literal("planned"), intents.c.state == literal("sent")),
)
_OPEN_INTENTS = Statement(
    select(intents).where(_OPEN, intents.c.id > bindparam("after")).order_by(intents.c.id).limit(bindparam("most"))
)
_OPEN_FOR = Statement(
    select(intents.c.contact_id).where(_OPEN, intents.c.contact_id.in_(bindparam("contacts", expanding=True))),
    lists=["contacts"],
)
_ANNOUNCE = Statement(
    insert(intents).values({c.name: WORKSPACE if c.name == "workspace_id" else bindparam(c.name) for c in intents.c})
)
_CLOSE = Statement(
    update(intents)
    .where(intents.c.workspace_id == WORKSPACE, intents.c.id.in_(bindparam("ids", expanding=True)))
    .values(state=bindparam("as_")),
    lists=["ids"],
)


def announce(tx: Tx, portal: PortalId, items: Sequence[Intent], at: datetime) -> list[Intent]:
    """Write intents down before the request that they announce; the same intents with their ids."""
    if not items:
        return []
    ids = tx.reserve_ids(intents, len(items))
    rows = [
        {
            "id": number,
            "portal_id": portal,
            "contact_id": item.contact_id,
            "record_id": item.record_id,
            "kind": item.kind,
            "payload": json.dumps(dict(item.payload)),
            "observed": json.dumps(dict(item.observed)),
            "run_id": item.run,
            "sent_at": to_ms(at),
            "state": "sent",
            "created_at": to_ms(at),
        }
        for number, item in zip(ids, items, strict=True)
    ]
    tx.run_each(_ANNOUNCE, rows)
    return [_intent_from(row) for row in rows]


def open_intents(tx: Tx, portal: PortalId, *, limit: int = 100, after: int = 0) -> list[Intent]:
    """Writes that were announced and whose outcome is not known, oldest first."""
    rows = tx.run(_OPEN_INTENTS, portal=portal, after=after, most=limit)
    return [_intent_from(row._asdict()) for row in rows]


def open_for(tx: Tx, portal: PortalId, contacts: Collection[ContactId]) -> set[ContactId]:
    """Which of these contacts have an open intent: they have to be settled before anything else is sent."""
    return {ContactId(row.contact_id) for row in tx.run(_OPEN_FOR, portal=portal, contacts=list(contacts))}


def close(tx: Tx, ids: Collection[int], state: str) -> None:
    """End intents as `confirmed` or `dropped`."""
    if ids:
        tx.run(_CLOSE, ids=list(ids), as_=state)


def forget_settled(tx: Tx, before: datetime) -> None:
    """Forget intents that were ended, and announced before a moment: what they changed stands in the history."""
    settled = intents.c.state.in_(["confirmed", "dropped"])
    old = and_(intents.c.workspace_id == tx.workspace, intents.c.created_at < to_ms(before))
    tx.execute(delete(intents).where(old, settled))


def _of(tx: Tx, portal: PortalId) -> Any:
    return and_(table.c.workspace_id == tx.workspace, table.c.portal_id == portal)


def _pending(row: Row[Any]) -> Pending:
    return Pending(
        row.id, PortalId(row.portal_id), row.kind, row.key, json.loads(row.payload), row.attempts, row.created_at
    )


def _intent_from(row: Mapping[Any, Any]) -> Intent:
    return Intent(
        ContactId(row["contact_id"]),
        row["kind"],
        json.loads(row["payload"]),
        json.loads(row["observed"]),
        None if row["record_id"] is None else RecordId(row["record_id"]),
        None if row["run_id"] is None else RunId(row["run_id"]),
        from_ms(row["sent_at"]) if row["sent_at"] is not None else None,
        row["id"],
    )
