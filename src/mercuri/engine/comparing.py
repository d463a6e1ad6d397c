"""Compare all links at once on what was last observed: after a change of the rules, and for a preview."""

from __future__ import annotations

from mercuri.core.contact import ContactId, RecordId
from mercuri.engine import follow
from mercuri.engine.reconcile import Ledger, reconcile
from mercuri.engine.work import Work
from mercuri.store import contacts, links, outbox, portals
from mercuri.store.database import Tx

#: Links in one step.
_BATCH = 500


def compare_all(work: Work) -> None:
    """Merge every link on its shadow, without a request; what HubSpot has to get is noted for `push`.

    Done when the rules changed since the last time, always in a preview, never with two-way off.
    """
    with work.look() as tx:
        asked = portals.get(tx, work.portal_id).reading.get("compare")
    if not work.two_way or not (asked or work.preview):
        return
    # A first load has compared all that there is, record by record.
    while work.preview or work.portal.watermark is not None:
        with work.step() as tx:
            if not _compare_batch(tx, work):
                break
    _note_unlinked(work)
    with work.step() as tx:
        work.checkpoint.pop("compared", None)
        # Rules that changed meanwhile are compared in the next run, and so is what the applied preview did not show.
        is_partial = work.preview or "apply_of" in work.run.options
        if not is_partial and portals.get(tx, work.portal_id).reading.get("compare") == asked:
            work.note_reading(tx, compare=None)


def _compare_batch(tx: Tx, work: Work) -> bool:
    """The next links; False when there are none left."""
    after = RecordId(work.checkpoint.get("compared", ""))
    batch = links.each(tx, work.portal_id, after=after, limit=_BATCH)
    held = contacts.held(tx, [link.contact_id for link in batch])
    ledger = Ledger(work, work.now)
    for link in batch:
        person = held.get(link.contact_id)
        if person is None or person.deleted_at is not None or person.merged_into is not None:
            continue
        remote = {item.field: link.shadow[item.property] for item in work.mapping if item.property in link.shadow}
        moved, changeset = reconcile(tx, ledger, link, person, remote)
        if moved is not link:
            ledger.links[link.record_id] = moved
        if changeset.to_local and not work.preview:
            work.count_updated(link)
    ledger.flush(tx)
    if batch:
        work.checkpoint["compared"] = batch[-1].record_id
    return bool(batch)


def _note_unlinked(work: Work) -> None:
    """Contacts that HubSpot does not have yet are to be created there."""
    if work.preview:
        return
    after = ContactId(0)
    while True:
        with work.step() as tx:
            found = links.unlinked_contacts(tx, work.portal_id, but=follow.ARCHIVED_HERE, after=after)
            outbox.note_many(tx, work.portal_id, "contact", {str(contact): {} for contact in found}, work.now)
        if not found:
            return
        after = found[-1]
