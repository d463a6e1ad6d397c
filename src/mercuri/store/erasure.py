"""Remove what every table holds of a person, but for the numbers that counts and links need."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import and_, delete, or_, select, update

from mercuri.core.contact import ContactId
from mercuri.store import hubspot_merges, schema
from mercuri.store.database import Tx

_BY_CONTACT = (schema.change, schema.conflict, schema.failure, schema.intent)


def absorbed_by(tx: Tx, id_: ContactId) -> list[ContactId]:
    """Every contact that was merged into this one, through any chain, the contact itself first."""
    found, newest = [id_], [id_]
    while newest:
        mine = and_(schema.contact.c.workspace_id == tx.workspace, schema.contact.c.merged_into.in_(newest))
        rows = tx.execute(select(schema.contact.c.id).where(mine)).scalars()
        newest = [ContactId(row) for row in rows if row not in found]
        found += newest
    return found


def forget(tx: Tx, ids: Collection[ContactId]) -> None:
    """Delete the rows about these contacts. Links, contacts, outbox, keys and groups are the caller's business."""
    for table in _BY_CONTACT:
        tx.execute(delete(table).where(table.c.workspace_id == tx.workspace, table.c.contact_id.in_(list(ids))))
    pairs = schema.not_duplicate.c
    tx.execute(
        delete(schema.not_duplicate).where(
            pairs.workspace_id == tx.workspace, or_(pairs.a.in_(list(ids)), pairs.b.in_(list(ids)))
        )
    )
    _forget_merges(tx, ids)


def forget_addresses(tx: Tx, channels: Collection[str], addresses: Collection[str]) -> None:
    """Delete the evidence and the state of addresses that nobody has any more, and what waits because of them."""
    for table in (schema.consent_event, schema.consent_state):
        mine = and_(table.c.workspace_id == tx.workspace, table.c.channel.in_(list(channels)))
        tx.execute(delete(table).where(mine, table.c.address.in_(list(addresses))))
    waiting = schema.outbox.c
    names = [f"{channel}:{address}" for channel in channels for address in addresses]
    mine = and_(waiting.workspace_id == tx.workspace, waiting.kind == "consent", waiting.key.in_(names))
    tx.execute(delete(schema.outbox).where(mine))


def closed(tx: Tx, channels: Collection[str], addresses: Collection[str]) -> list[tuple[str, str]]:
    """Which of these addresses are closed, or wait for a decision about a message, as (channel, address)."""
    c = schema.consent_state.c
    mine = and_(c.workspace_id == tx.workspace, c.channel.in_(list(channels)), c.address.in_(list(addresses)))
    rows = tx.execute(select(c.channel, c.address).where(mine, or_(c.state == "unsubscribed", c.paused)))
    return [(row.channel, row.address) for row in rows]


def _forget_merges(tx: Tx, ids: Collection[ContactId]) -> None:
    """The journals of their merges hold every value: an erased person's merge cannot be undone any more."""
    c = schema.merge.c
    rows = tx.execute(select(c.id, c.survivor_id, c.absorbed).where(c.workspace_id == tx.workspace)).all()
    gone = [row.id for row in rows if {row.survivor_id, *json.loads(row.absorbed)} & set(ids)]
    if gone:
        mine = and_(c.workspace_id == tx.workspace, c.id.in_(gone))
        tx.execute(update(schema.merge).where(mine).values(journal="{}"))
        hubspot_merges.forget(tx, gone)
