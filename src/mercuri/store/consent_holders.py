"""Whose the addresses of consent are, and what those contacts show of them."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from mercuri.core.contact import Address, ContactId, PortalId, RecordId
from mercuri.store.among import among
from mercuri.store.consent import KIND_OF, Key
from mercuri.store.database import Tx
from mercuri.store.jsons import loads


def addresses(tx: Tx, ids: Collection[ContactId]) -> dict[ContactId, list[Address]]:
    """The usable addresses of contacts, the primary ones marked; without raw text that is not needed to compare."""
    found: dict[ContactId, list[Address]] = {}
    for id_, kind, raw, normal, label, is_primary in among(tx, _ADDRESSES, ids):
        found.setdefault(id_, []).append(Address(kind, raw, normal, label, bool(is_primary)))
    return found


def edited(tx: Tx, ids: Collection[ContactId]) -> list[ContactId]:
    """Which of these contacts are no longer as they were made."""
    return [row[0] for row in among(tx, _EDITED, ids)]


def owners(tx: Tx, channel: str, addresses: Collection[str]) -> dict[str, list[ContactId]]:
    """Every contact that has these addresses, deleted and absorbed ones too."""
    found: dict[str, list[ContactId]] = {}
    for normal, id_ in among(tx, _OWNERS, addresses, kind=KIND_OF[channel]):
        found.setdefault(normal, []).append(id_)
    return found


def closed_of(tx: Tx, ids: Collection[ContactId]) -> set[Key]:
    """The closed addresses of these contacts."""
    return {(channel, address) for channel, address in among(tx, _CLOSED_OF, ids)}


def lock_owners(tx: Tx, channel: str, addresses: Collection[str]) -> None:
    """Take hold of the contacts that show these addresses, before `consent.lock`."""
    if not tx.is_sqlite:
        among(tx, _LOCK_OWNERS, addresses, kind=KIND_OF[channel])


def contacts_after(tx: Tx, after: ContactId, *, limit: int) -> list[ContactId]:
    """The next contacts after an id, deleted and absorbed ones too."""
    rows = tx.execute(_CONTACTS_AFTER, {"ws": tx.workspace, "after": after, "limit": limit})
    return [ContactId(row[0]) for row in rows]


def shadows(tx: Tx, portal: PortalId, after: RecordId, *, limit: int) -> list[tuple[RecordId, dict[str, str]]]:
    """What the next linked records after an id said when they were last seen."""
    asked = {"ws": tx.workspace, "portal": portal, "after": after, "limit": limit}
    return [(RecordId(record), loads(shadow)) for record, shadow in tx.execute(_SHADOWS, asked)]


def relabel(tx: Tx, channel: str, ids: Collection[ContactId]) -> int:
    """Make contacts show the state of their primary address of this channel; the answer is how many changed."""
    changed = []
    for id_, was_in, was_why, state, paused, why in among(tx, _LABELS, ids, channel=channel, kind=KIND_OF[channel]):
        label = (state == "subscribed" and not paused, why or "")
        if label != (bool(was_in), was_why):
            changed.append((*label, tx.workspace, id_))
    if tx.is_sqlite:
        tx.raw().executemany(_RELABEL, changed)
    elif changed:
        subscribed, why, _, contacts = map(list, zip(*changed, strict=True))
        tx.execute(_RELABEL_MANY, {"ws": tx.workspace, "subscribed": subscribed, "why": why, "ids": contacts})
    return len(changed)


def relabel_owners(tx: Tx, channel: str, addresses: Collection[str]) -> int:
    """`relabel` whoever has these addresses."""
    return relabel(tx, channel, {id_ for ids in owners(tx, channel, addresses).values() for id_ in ids})


_CONTACTS_AFTER = sa.text("SELECT id FROM contact WHERE workspace_id = :ws AND id > :after ORDER BY id LIMIT :limit")
_SHADOWS = sa.text(
    "SELECT record_id, shadow FROM link WHERE workspace_id = :ws AND portal_id = :portal AND record_id > :after"
    " AND state IN ('live', 'blocked') ORDER BY record_id LIMIT :limit"
)
_ADDRESSES = (
    "SELECT contact_id, kind, raw, normal, label, is_primary FROM contact_address"
    " WHERE workspace_id = :ws AND normal IS NOT NULL AND contact_id"
)
_EDITED = "SELECT id FROM contact WHERE workspace_id = :ws AND version > 1 AND id"
_OWNERS = "SELECT normal, contact_id FROM contact_address WHERE workspace_id = :ws AND kind = :kind AND normal"
#: Written so that SQLite begins with the contacts asked for: CROSS JOIN keeps it from every closed address there is,
#: and `raw`, which no index covers, from the index of every address.
_CLOSED_OF = (
    "SELECT s.channel, s.address FROM contact_address a CROSS JOIN consent_state s"
    " WHERE s.workspace_id = a.workspace_id AND s.channel IN ('sms', 'whatsapp', 'email') AND s.address = a.normal"
    " AND s.state = 'unsubscribed' AND a.raw IS NOT NULL AND a.workspace_id = :ws AND a.contact_id"
)
_LOCK_OWNERS = (
    "SELECT c.id FROM contact c WHERE c.workspace_id = :ws AND c.id IN (SELECT a.contact_id FROM contact_address a"
    " WHERE a.workspace_id = :ws AND a.kind = :kind AND a.normal = ANY(:list)) ORDER BY c.id FOR NO KEY UPDATE"
)
_LABELS = (
    "SELECT c.id, c.subscribed, c.status_reason, s.state, s.paused, s.reason FROM contact c"
    " LEFT JOIN contact_address a ON a.workspace_id = c.workspace_id AND a.contact_id = c.id AND a.kind = :kind"
    " AND a.is_primary LEFT JOIN consent_state s ON s.workspace_id = c.workspace_id AND s.channel = :channel"
    " AND s.address = a.normal WHERE c.workspace_id = :ws AND c.id"
)
_RELABEL = "UPDATE contact SET subscribed = ?, status_reason = ? WHERE workspace_id = ? AND id = ?"
_RELABEL_MANY = sa.text(
    "UPDATE contact SET subscribed = new.subscribed, status_reason = new.why"
    " FROM unnest(CAST(:subscribed AS boolean[]), CAST(:why AS text[]), CAST(:ids AS bigint[]))"
    " AS new (subscribed, why, id) WHERE contact.workspace_id = :ws AND contact.id = new.id"
)
