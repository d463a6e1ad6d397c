"""Erase a person, here and in HubSpot, and keep no more than what stops them from coming back (GDPR Art. 17)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from mercuri.core.contact import Address, ContactId, LinkState, WorkspaceId
from mercuri.core.settings import CHANNELS
from mercuri.engine import dedupe
from mercuri.engine.app import Actor, App, require
from mercuri.errors import Clash, NotFound
from mercuri.store import contact_rows, contacts, erasure, links, outbox, shown, suppression, users
from mercuri.store.changes import WHOLE, Change, add_many
from mercuri.store.database import Tx
from mercuri.store.links import NOBODY

#: Why a record of HubSpot stays out of the contact list after its person was erased.
WHY = "This person was erased."


def erase_contact(app: App, ws: WorkspaceId, id_: ContactId, actor: Actor, *, version: int | None = None) -> None:
    """Remove a contact for good, with all that was merged into it; a deleted one too. It cannot be undone.

    Kept are keyed hashes of its addresses, so that no import or sync brings the person back, and of closed and paused
    ones, so that nobody messages them. Each linked record is erased in HubSpot by the next run.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        held = contacts.held(tx, [id_]).get(id_)
        if held is None:
            raise NotFound("There is no such contact.")
        if version is not None and version != held.version:
            raise Clash("Someone changed this contact meanwhile. Nothing was erased.", shown.get(tx, id_))
        ids = erasure.absorbed_by(tx, id_)
        found = [address for items in contact_rows.addresses(tx, ids).values() for address in items if address.normal]
        _suppress(app, tx, found)
        _release_records(app, tx, id_, ids)
        erasure.forget(tx, ids)
        for one in ids:
            contacts.mark_deleted(tx, one, app.now())
        dedupe.contacts_changed(tx, ids, app.now())
        for one in ids:
            contacts.erase(tx, one)
        _forget_evidence(tx, found)
        add_many(tx, [Change(id_, WHOLE, "mercuri", "", "erased", actor.name, "erased", app.now())])
        users.note_audit(tx, actor.name, "contact.erased", {"contact_id": id_}, app.now())
    app.wake()


def _suppress(app: App, tx: Tx, found: Sequence[Address]) -> None:
    texts = [suppression.erased_text(a.kind, a.normal) for a in found if a.normal]
    suppression.add(tx, [app.vault.keyed_hash(text) for text in texts], suppression.ERASED, app.now())
    closed = erasure.closed(tx, CHANNELS, [a.normal for a in found if a.normal])
    texts = [suppression.closed_text(channel, address) for channel, address in closed]
    suppression.add(tx, [app.vault.keyed_hash(text) for text in texts], suppression.CLOSED, app.now())


def _release_records(app: App, tx: Tx, id_: ContactId, ids: Collection[ContactId]) -> None:
    """Their records are kept out from now on, even when HubSpot shows them once more before they are erased there."""
    for portal, link in links.all_of_contacts(tx, ids):
        empty = replace(link, contact_id=NOBODY, state=LinkState.UNLINKED, base={}, shadow={}, excluded=WHY)
        links.save_many(tx, portal, [empty])
        outbox.note(tx, portal, "erase", link.record_id, {"contact_id": id_}, app.now())


def _forget_evidence(tx: Tx, found: Sequence[Address]) -> None:
    """Evidence belongs to an address: it stays as long as somebody else has it."""
    for kind in ("phone", "email"):
        normals = {a.normal for a in found if a.kind == kind and a.normal}
        others = contacts.holders(tx, kind, normals)
        erasure.forget_addresses(tx, CHANNELS, normals - others.keys())
