"""Set consent up: which properties speak, how many records say what before that is saved, our own properties there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mercuri.core.consent import ConsentEvent, Register, State, hear, shown
from mercuri.core.consent_values import Buckets, Unreadable, heard
from mercuri.core.contact import ContactId, PortalId, RecordId, WorkspaceId
from mercuri.core.mapping import Offer, Problem, consent_offers, consent_problems
from mercuri.core.properties import Option, Property
from mercuri.core.settings import (
    DEFAULTS,
    ConsentItem,
    SettingRefused,
    WorkspaceSettings,
    with_json,
    with_workspace_json,
)
from mercuri.engine import optouts
from mercuri.engine.app import Actor, App, require
from mercuri.engine.optout_plan import OWN_STATUS
from mercuri.engine.portal import change_settings, client_for, refresh_schema
from mercuri.engine.registers import whole
from mercuri.errors import BadRequest
from mercuri.hubspot.client import LIST_PAGE, Client
from mercuri.hubspot.pacing import Lane
from mercuri.store import consent as store
from mercuri.store import links, portals, users, workspaces
from mercuri.store.consent import KIND_OF, Held
from mercuri.store.database import Tx
from mercuri.store.portals import Portal

#: Most pages that are read from HubSpot to count the values of a property nobody has asked for yet.
PAGES = 150
#: A property that said nothing new for so long is reported: perhaps a form or an integration was switched off.
SILENCE = timedelta(days=90)
#: Records that are looked at together.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """What the records say through a mapping: in, out, nothing, unreadable; and how many labels here would change.

    `is_partial`: only the first `read` records were looked at.
    """

    buckets: Buckets
    label_changes: int
    read: int
    is_partial: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """What a person needs in order to map: offers and refusals, what is wrong with the mapping, what fell silent."""

    portal: Portal
    schema: Mapping[str, Property]
    offers: Sequence[Offer]
    problems: Sequence[Problem]
    silent: Mapping[str, datetime]
    has_own: bool


def setup_of(app: App, ws: WorkspaceId, portal_id: PortalId) -> Setup:
    """What is mapped and what could be. Raises NotFound."""
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
        schema = portals.schema(tx, portal_id)
        mapping = portal.settings.consent_mapping
        names = [name for item in mapping for name in item.properties]
        last = {name: at for name in names if (at := store.last_said(tx, portal_id, name)) is not None}
    mapped = {name for item in mapping for name in item.properties}
    offers = [offer for offer in consent_offers(schema) if offer.property.name not in mapped]
    return Setup(
        portal,
        {found.name: found for found in schema},
        offers,
        consent_problems(mapping, schema) if schema else (),
        {name: at for name, at in last.items() if app.now() - at > SILENCE},
        any(found.name == OWN_STATUS for found in schema),
    )


def item_from(value: Mapping[str, object]) -> ConsentItem:
    """One mapping item from plain data. Raises SettingRefused with the reason."""
    settings = with_json(DEFAULTS, "consent_mapping", json.dumps([dict(value)]))
    return settings.consent_mapping[0]


def save_mapping(
    app: App, ws: WorkspaceId, portal_id: PortalId, items: Sequence[Mapping[str, object]], actor: Actor
) -> None:
    """Let these properties speak from now on; the next run reads all records. By itself it opens and closes nothing.

    Raises SettingRefused for a property that the portal does not have, or that its kind cannot read.
    """
    require(actor, "manager")
    with app.db.read(ws) as tx:
        schema, before = portals.schema(tx, portal_id), portals.get(tx, portal_id).settings.consent_mapping
    for item in (item_from(value) for value in items):
        if item not in before:
            _check(item, schema)
    change_settings(app, ws, portal_id, {"consent_mapping": [dict(value) for value in items]}, actor)
    tell_again(app, ws, portal_id)


def tell_again(app: App, ws: WorkspaceId, portal_id: PortalId) -> None:
    """Note every closed address for a portal that can be told of it in another way now."""
    with app.db.write(ws) as tx:
        for channel in KIND_OF:
            for states in store.each_state(tx, channel):
                closed = {(channel, a): h for a, h in states.items() if shown(h.registers).closed_by is not None}
                optouts.note(tx, closed, app.now(), only=portal_id)
    app.wake()


def count(app: App, ws: WorkspaceId, portal_id: PortalId, item: ConsentItem) -> Counts:
    """What the portal's records say through an item, before it is saved.

    Counted from what we hold where the property is asked for already, else read from HubSpot, up to PAGES pages.
    """
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
        _check(item, portals.schema(tx, portal_id))
    asked = {name for known in portal.settings.consent_mapping for name in known.properties}
    if set(item.properties) <= asked - set(portal.reading.get("reread", ())):
        return _Counting(app, ws, portal, item).of(_from_shadows(app, ws, portal), is_partial=False)
    client = client_for(app, ws, portal, Lane.BUTTON)
    return _Counting(app, ws, portal, item).of(_from_hubspot(client, item))


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
        for states in store.each_state(tx, "sms"):
            optouts.note_all(tx, portal_id, [("sms", address) for address in states], app.now())
    app.wake()


def change_workspace(app: App, ws: WorkspaceId, key: str, text: str, actor: Actor) -> WorkspaceSettings:
    """Set one workspace setting from JSON text; contacts show another channel at once when that is what changed."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        before = workspaces.settings(tx)
        after = with_workspace_json(before, key, text)
        workspaces.save_settings(tx, after)
        users.note_audit(tx, actor.name, "workspace.settings", {"key": key}, app.now())
        if after.status_channel != before.status_channel:
            _relabel_all(tx, after.status_channel)
    return after


def _relabel_all(tx: Tx, channel: str) -> None:
    store.lock(tx)
    last = ContactId(0)
    while ids := store.contacts_after(tx, last, limit=_BATCH):
        store.relabel(tx, channel, ids)
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


def _check(item: ConsentItem, schema: Sequence[Property]) -> None:
    """Raise SettingRefused unless the portal has the property and the kind can read it."""
    there = {found.name: found for found in schema if not found.archived}
    missing = [name for name in item.properties if name not in there]
    if missing:
        raise SettingRefused(f"This portal has no property {missing[0]}. Nothing was saved; refresh the properties.")
    wrong = [p for p in consent_problems([item], schema) if p.what in ("type", "option")]
    if wrong:
        raise SettingRefused(f"{wrong[0].sentence} Nothing was saved.")


_Row = tuple[RecordId, Mapping[str, str]]


def _from_shadows(app: App, ws: WorkspaceId, portal: Portal) -> Iterator[Sequence[_Row]]:
    last = RecordId("")
    while True:
        with app.db.read(ws) as tx:
            rows = store.shadows(tx, portal.id, last, limit=_BATCH)
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def _from_hubspot(client: Client, item: ConsentItem) -> Iterator[Sequence[_Row]]:
    after: str | None = None
    for _ in range(PAGES):
        page = client.list_contacts(item.properties, after)
        yield [(record.id, record.properties) for record in page.records]
        after = page.after
        if after is None:
            return


class _Counting:
    """The count of one item."""

    def __init__(self, app: App, ws: WorkspaceId, portal: Portal, item: ConsentItem) -> None:
        self.app, self.ws, self.portal, self.item = app, ws, portal, item
        self.now = whole(app.now())
        self.buckets, self.changes, self.read = Buckets(), 0, 0

    def of(self, batches: Iterator[Sequence[_Row]], *, is_partial: bool | None = None) -> Counts:
        last_size = 0
        for number, batch in enumerate(batches, start=1):
            said = {record: heard(self.item, values) for record, values in batch}
            self._add(list(said.values()))
            last_size = len(batch) if number == PAGES else 0
            with self.app.db.read(self.ws) as tx:
                self.changes += self._label_changes(tx, {r: s for r, s in said.items() if isinstance(s, State)})
        partial = last_size == LIST_PAGE if is_partial is None else is_partial
        return Counts(self.buckets, self.changes, self.read, partial)

    def _add(self, said: Sequence[object]) -> None:
        self.read += len(said)
        self.buckets = Buckets(
            self.buckets.said_in + said.count(State.IN),
            self.buckets.said_out + said.count(State.OUT),
            self.buckets.silent + said.count(None),
            self.buckets.unreadable + sum(isinstance(one, Unreadable) for one in said),
        )

    def _label_changes(self, tx: Tx, said: Mapping[RecordId, State]) -> int:
        """How many contacts would show something else if these records spoke now."""
        channel = workspaces.settings(tx).status_channel
        if self.item.channel != channel or not said:
            return 0
        linked = links.of_records(tx, self.portal.id, said)
        primary = {
            id_: address.normal
            for id_, found in store.addresses(tx, {link.contact_id for link in linked.values()}).items()
            for address in found
            if address.kind == KIND_OF[channel] and address.primary and address.normal
        }
        known = store.held(tx, channel, set(primary.values()))
        return sum(
            self._differs(record, state, known.get(primary[linked[record].contact_id], Held()), channel)
            for record, state in said.items()
            if record in linked and linked[record].contact_id in primary
        )

    def _differs(self, record: RecordId, state: State, held: Held, channel: str) -> bool:
        source = (self.portal.id, record, self.item.properties[-1])
        event = ConsentEvent(channel, "", Register.CRM, state, "property", self.now, self.now, source_key=source)
        crm = {key: entry for key, entry in held.registers.crm.items() if key != source}
        after = hear(replace(held.registers, crm=crm), event)
        return shown(after).sendable != shown(held.registers).sendable


def as_document(item: ConsentItem) -> dict[str, object]:
    """An item as plain data that `item_from` reads back."""
    names = ("in_property", "out_property") if item.kind == "date_pair" else ("property",)
    document: dict[str, object] = {"channel": item.channel, "kind": item.kind}
    document |= {name: getattr(item, name) for name in names}
    if item.kind == "enumeration":
        document["values"] = dict(item.values)
    if item.false_says_nothing:
        document["false_says_nothing"] = True
    return document
