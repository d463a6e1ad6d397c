"""Contacts as people see them: with addresses, consent, HubSpot records and the group of duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from mercuri.core.contact import Address, ConsentShown, Contact, ContactId, LinkShown
from mercuri.errors import NotFound
from mercuri.store import contact_rows as rows
from mercuri.store import schema
from mercuri.store.consent import CHANNELS_OF
from mercuri.store.database import Tx
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms

_c = schema.contact.c
_EXTRA = (_c.subscribed, _c.created_at, _c.updated_at)

_IDS: sa.BindParameter[Any] = bindparam("ids", expanding=True)
_CONTACTS = Statement(
    sa.select(*rows.HELD_COLUMNS, *_EXTRA).where(_c.workspace_id == WORKSPACE, _c.id.in_(_IDS)), lists=["ids"]
)
_l, _f = schema.link.c, schema.failure.c
_FAILS = sa.exists().where(_f.workspace_id == WORKSPACE, _f.portal_id == _l.portal_id, _f.contact_id == _l.contact_id)
_LINKS = Statement(
    sa.select(_l.contact_id, _l.portal_id, _l.record_id, _l.state, _l.excluded, _FAILS)
    .where(_l.workspace_id == WORKSPACE, _l.contact_id.in_(_IDS), _l.state.in_(["live", "asleep", "blocked"]))
    .order_by(_l.portal_id, _l.record_id),
    lists=["ids"],
)
_m = schema.dup_member.c
_GROUPS = Statement(
    sa.select(_m.contact_id, _m.grp).where(_m.workspace_id == WORKSPACE, _m.contact_id.in_(_IDS)), lists=["ids"]
)
_s = schema.consent_state.c
_CHANNELS = [channel for channels in CHANNELS_OF.values() for channel in channels]
_CONSENT = Statement(
    sa.select(_s.channel, _s.address, _s.state, _s.reason)
    .where(
        _s.workspace_id == WORKSPACE,
        _s.channel.in_(bindparam("channels", expanding=True)),
        _s.address.in_(bindparam("addresses", expanding=True)),
    )
    .order_by(_s.channel),
    lists=["channels", "addresses"],
)


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
    found = tx.run(_CONTACTS, ids=ids)
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
    found: dict[ContactId, list[LinkShown]] = {}
    for id_, portal, record, state, excluded, is_failing in tx.run(_LINKS, ids=ids):
        found.setdefault(id_, []).append(LinkShown(portal, record, _health(state, excluded, is_failing)))
    return found


def _health(state: str, excluded: str, is_failing: bool) -> str:
    if state == "asleep":
        return "asleep"
    if excluded:
        return "excluded"
    return "failing" if is_failing or state == "blocked" else "in_sync"


def _groups(tx: Tx, ids: list[ContactId]) -> dict[ContactId, ContactId]:
    return {row[0]: row[1] for row in tx.run(_GROUPS, ids=ids)}


def _consent(tx: Tx, addresses: Mapping[ContactId, Sequence[Address]]) -> dict[str, list[ConsentShown]]:
    found: dict[str, list[ConsentShown]] = {}
    kinds = {a.normal: a.kind for items in addresses.values() for a in items if a.normal}
    for chunk in rows.chunks(kinds):
        for values in tx.run(_CONSENT, channels=_CHANNELS, addresses=chunk):
            channel, address, *_ = values
            if channel in CHANNELS_OF[kinds[address]]:
                found.setdefault(address, []).append(ConsentShown(*values))
    return found
