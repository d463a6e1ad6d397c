"""What a portal's records say through a mapping, counted before it is saved: an inverted one is seen there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mercuri.core.consent import ConsentEvent, Register, State, hear, shown
from mercuri.core.consent_mapping import checked
from mercuri.core.consent_values import Buckets, count_buckets, heard
from mercuri.core.contact import PortalId, RecordId, WorkspaceId
from mercuri.core.settings import ConsentItem
from mercuri.engine.app import App
from mercuri.engine.portal import client_for
from mercuri.hubspot.client import LIST_PAGE, Client
from mercuri.hubspot.pacing import Lane
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import links, portals, workspaces
from mercuri.store.consent import KIND_OF, Held
from mercuri.store.database import Tx
from mercuri.store.portals import Portal
from mercuri.store.times import whole

#: Most pages that are read from HubSpot to count the values of a property nobody has asked for yet.
PAGES = 150
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


def count(app: App, ws: WorkspaceId, portal_id: PortalId, item: ConsentItem) -> Counts:
    """What the portal's records say through an item, before it is saved.

    Counted from what we hold where the property is asked for already, else read from HubSpot, up to PAGES pages.
    """
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
        (item,) = checked([item], portal.settings.consent_mapping, portals.schema(tx, portal_id))
    asked = {name for known in portal.settings.consent_mapping for name in known.properties}
    if set(item.properties) <= asked - set(portal.reading.get("reread", ())):
        return _Counting(app, ws, portal, item).of(_from_shadows(app, ws, portal), is_partial=False)
    client = client_for(app, ws, portal, Lane.BUTTON)
    return _Counting(app, ws, portal, item).of(_from_hubspot(client, item))


_Row = tuple[RecordId, Mapping[str, str]]


def _from_shadows(app: App, ws: WorkspaceId, portal: Portal) -> Iterator[Sequence[_Row]]:
    last = RecordId("")
    while True:
        with app.db.read(ws) as tx:
            rows = holders.shadows(tx, portal.id, last, limit=_BATCH)
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
            self.buckets += count_buckets(list(said.values()))
            self.read += len(said)
            last_size = len(batch) if number == PAGES else 0
            with self.app.db.read(self.ws) as tx:
                self.changes += self._label_changes(tx, {r: s for r, s in said.items() if isinstance(s, State)})
        partial = last_size == LIST_PAGE if is_partial is None else is_partial
        return Counts(self.buckets, self.changes, self.read, partial)

    def _label_changes(self, tx: Tx, said: Mapping[RecordId, State]) -> int:
        """How many contacts would show something else if these records spoke now."""
        channel = workspaces.settings(tx).status_channel
        if self.item.channel != channel or not said:
            return 0
        linked = links.of_records(tx, self.portal.id, said)
        primary = {
            id_: address.normal
            for id_, found in holders.addresses(tx, {link.contact_id for link in linked.values()}).items()
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
        after = hear(held.registers._replace(crm=crm), event)
        return shown(after).sendable != shown(held.registers).sendable
