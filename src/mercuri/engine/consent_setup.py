"""Set consent up: which properties speak, how many records say what before that is saved, our own properties there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mercuri.core.consent_mapping import Offer, consent_offers, consent_problems
from mercuri.core.contact import ContactId, PortalId, WorkspaceId
from mercuri.core.properties import Option, Property
from mercuri.core.settings import (
    DEFAULTS,
    ConsentItem,
    WorkspaceSettings,
    with_json,
    with_workspace_json,
)
from mercuri.engine import optouts, regrouping, unreadable
from mercuri.engine.app import Actor, App, require
from mercuri.engine.optout_plan import OWN_STATUS
from mercuri.engine.portal import client_for, refresh_schema
from mercuri.errors import BadRequest
from mercuri.hubspot.pacing import Lane
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import portals, users, workspaces
from mercuri.store.database import Tx
from mercuri.store.failures import Failure
from mercuri.store.portals import Portal

#: A property that said nothing new for so long is reported: perhaps a form or an integration was switched off.
SILENCE = timedelta(days=90)
_SILENT = "{} has said nothing new since {:%d %B %Y}. Is it still filled in HubSpot?"
#: Records that are named where many hold something that cannot be read.
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Unread:
    """How many records hold something that cannot be read through a mapping, with some of them."""

    count: int
    examples: Sequence[Failure]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a person needs in order to map: offers and refusals, what is wrong with the mapping, what fell silent."""

    portal: Portal
    schema: Mapping[str, Property]
    offers: Sequence[Offer]
    warnings: Sequence[str]
    unread: Sequence[Unread]
    has_own: bool


def setup_of(app: App, ws: WorkspaceId, portal_id: PortalId) -> Setup:
    """What is mapped and what could be. Raises NotFound."""
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
        schema = portals.schema(tx, portal_id)
        mapping = portal.settings.consent_mapping
        unread = [Unread(*unreadable.of_item(tx, portal_id, item, limit=EXAMPLES)) for item in mapping]
        warnings = warnings_of(tx, portal, app.now())
    mapped = {name for item in mapping for name in item.properties}
    offers = [offer for offer in consent_offers(schema) if offer.property.name not in mapped]
    return Setup(
        portal,
        {found.name: found for found in schema},
        offers,
        warnings,
        [one for one in unread if one.count],
        any(found.name == OWN_STATUS for found in schema),
    )


def warnings_of(tx: Tx, portal: Portal, now: datetime) -> list[str]:
    """What is wrong with the mapped properties: vanished, of another type, other options, or nothing new for long."""
    mapping, schema = portal.settings.consent_mapping, portals.schema(tx, portal.id)
    problems = [problem.sentence for problem in consent_problems(mapping, schema)] if schema else []
    names = [item.properties[-1] for item in mapping]
    last = {name: at for name in names if (at := store.last_said(tx, portal.id, name)) is not None}
    silent = [_SILENT.format(name, at) for name, at in last.items() if now - at > SILENCE]
    return [*problems, *silent]


def item_from(value: Mapping[str, object]) -> ConsentItem:
    """One mapping item from plain data. Raises SettingRefused with the reason."""
    settings = with_json(DEFAULTS, "consent_mapping", json.dumps([dict(value)]))
    return settings.consent_mapping[0]


def make_own_properties(app: App, ws: WorkspaceId, portal_id: PortalId, actor: Actor) -> None:
    """Make `mercuri_sms_status`, `…_at` and `…_source` in HubSpot and carry our state there.

    Raises MissingScope when the connection may not make properties.
    """
    require(actor, "manager")
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
    client = client_for(app, ws, portal, Lane.BUTTON)
    for spec in _OWN:
        try:
            client.create_property(spec)
        except BadRequest as error:
            if error.status != 409:  # it is there already
                raise
    refresh_schema(app, ws, portal, client)
    with app.db.write(ws) as tx:
        users.note_audit(tx, actor.name, "consent.own_properties", {"portal": portal_id}, app.now())
        optouts.note_all(tx, portal_id, "sms", app.now())
    app.wake()


def change_workspace(app: App, ws: WorkspaceId, texts: Mapping[str, str], actor: Actor) -> WorkspaceSettings:
    """Set workspace settings, each from JSON text, all or none. Raises SettingRefused.

    Contacts show another channel at once, and the groups of duplicates follow other caps at once.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        before = after = workspaces.settings(tx)
        for key, text in texts.items():
            after = with_workspace_json(after, key, text)
            users.note_audit(tx, actor.name, "workspace.settings", {"key": key}, app.now())
        workspaces.save_settings(tx, after)
        if after.status_channel != before.status_channel:
            _relabel_all(tx, after.status_channel)
        if (after.email_cap, after.phone_cap) != (before.email_cap, before.phone_cap):
            regrouping.rebuild(tx, app.now())
    return after


def _relabel_all(tx: Tx, channel: str) -> None:
    store.lock(tx)
    last = ContactId(0)
    while ids := holders.contacts_after(tx, last, limit=500):
        holders.relabel(tx, channel, ids)
        last = ids[-1]


_OWN = (
    Property(
        OWN_STATUS,
        "SMS status (Mercuri)",
        "enumeration",
        "select",
        (Option("subscribed", "Subscribed"), Option("unsubscribed", "Not Subscribed"), Option("never", "Never asked")),
        description="Written by Mercuri. Do not edit.",
    ),
    Property(
        f"{OWN_STATUS}_at",
        "SMS status since (Mercuri)",
        "datetime",
        "date",
        description="Written by Mercuri. Do not edit.",
    ),
    Property(
        f"{OWN_STATUS}_source",
        "SMS status source (Mercuri)",
        "string",
        "text",
        description="Written by Mercuri. Do not edit.",
    ),
)


def as_document(item: ConsentItem) -> dict[str, object]:
    """An item as plain data that `item_from` reads back."""
    names = ("in_property", "out_property") if item.kind == "date_pair" else ("property",)
    document: dict[str, object] = {"channel": item.channel, "kind": item.kind}
    document |= {name: getattr(item, name) for name in names}
    if item.kind == "enumeration":
        document["values"] = dict(item.values)
        if item.options:
            document["options"] = list(item.options)
    if item.false_says_nothing:
        document["false_says_nothing"] = True
    return document
