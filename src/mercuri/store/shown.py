"""Contacts as people see them: with addresses, consent, HubSpot records and the group of duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mercuri.core.contact import Address, ConsentShown, Contact, ContactId, LinkShown
from mercuri.errors import NotFound
from mercuri.store import contact_rows as rows
from mercuri.store import schema
from mercuri.store.database import Tx
from mercuri.store.times import from_ms

_c = schema.contact.c
_EXTRA = (_c.subscribed, _c.created_at, _c.updated_at)
#: The channels on which an address of each kind can be written to.
_CHANNELS = {"phone": ("sms", "whatsapp"), "email": ("email",)}


def get(tx: Tx, id_: ContactId) -> Contact:
    """A contact as people see it, deleted and absorbed ones too. Raises NotFound."""
    found = many(tx, [id_])
    if not found:
        raise NotFound("There is no such contact.")
    return found[0]


def many(tx: Tx, ids: Sequence[ContactId]) -> list[Contact]:
    """Contacts as people see them, in the order asked; those that do not exist are left out."""
    found: dict[ContactId, Contact] = {}
    for chunk in rows.chunks(ids):
        found.update(_some(tx, chunk))
    return [found[id_] for id_ in ids if id_ in found]


def _some(tx: Tx, ids: list[ContactId]) -> dict[ContactId, Contact]:
    query = sa.select(*rows.HELD_COLUMNS, *_EXTRA).where(_c.workspace_id == tx.workspace, _c.id.in_(ids))
    found = tx.execute(query).all()
    addresses = rows.addresses(tx, ids)
    links, groups, consent = _links(tx, ids), _groups(tx, ids), _consent(tx, addresses)
    return {
        row[0]: _contact(row, addresses.get(row[0], ()), links.get(row[0], ()), groups.get(row[0]), consent)
        for row in found
    }


def _contact(
    row: Any,
    addresses: Sequence[Address],
    links: Sequence[LinkShown],
    group: ContactId | None,
    consent: Mapping[str, list[ConsentShown]],
) -> Contact:
    held = rows.held_of(row[: len(rows.HELD_COLUMNS)])
    subscribed, created, updated = row[len(rows.HELD_COLUMNS) :]
    normals = dict.fromkeys(a.normal for a in addresses if a.normal)
    return Contact(
        id=held.id,
        fields=held.fields,
        origins=held.origins,
        addresses=tuple(addresses),
        subscription_status="subscribed" if subscribed else "not_subscribed",
        consent=tuple(state for normal in normals for state in consent.get(normal, ())),
        hubspot=tuple(links),
        duplicate_group=group,
        version=held.version,
        created_at=from_ms(created),
        updated_at=from_ms(updated),
        deleted_at=held.deleted_at,
        merged_into=held.merged_into,
    )


def _links(tx: Tx, ids: list[ContactId]) -> dict[ContactId, list[LinkShown]]:
    link, failure = schema.link.c, schema.failure.c
    fails = sa.exists().where(
        failure.workspace_id == tx.workspace,
        failure.portal_id == link.portal_id,
        failure.contact_id == link.contact_id,
    )
    query = (
        sa.select(link.contact_id, link.portal_id, link.record_id, link.state, link.excluded, fails)
        .where(link.workspace_id == tx.workspace, link.contact_id.in_(ids))
        .where(link.state.in_(["live", "asleep", "blocked"]))
        .order_by(link.portal_id, link.record_id)
    )
    found: dict[ContactId, list[LinkShown]] = {}
    for id_, portal, record, state, excluded, is_failing in tx.execute(query):
        found.setdefault(id_, []).append(LinkShown(portal, record, _health(state, excluded, is_failing)))
    return found


def _health(state: str, excluded: str, is_failing: bool) -> str:
    if state == "asleep":
        return "asleep"
    if excluded:
        return "excluded"
    return "failing" if is_failing or state == "blocked" else "in_sync"


def _groups(tx: Tx, ids: list[ContactId]) -> dict[ContactId, ContactId]:
    member = schema.dup_member.c
    query = sa.select(member.contact_id, member.grp).where(
        member.workspace_id == tx.workspace, member.contact_id.in_(ids)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def _consent(tx: Tx, addresses: Mapping[ContactId, Sequence[Address]]) -> dict[str, list[ConsentShown]]:
    state = schema.consent_state.c
    found: dict[str, list[ConsentShown]] = {}
    for kind, channels in _CHANNELS.items():
        normals = {a.normal for items in addresses.values() for a in items if a.kind == kind and a.normal}
        for chunk in rows.chunks(normals):
            query = sa.select(state.channel, state.address, state.state, state.reason).where(
                state.workspace_id == tx.workspace, state.channel.in_(channels), state.address.in_(chunk)
            )
            for values in tx.execute(query.order_by(state.channel)):
                found.setdefault(values[1], []).append(ConsentShown(*values))
    return found
