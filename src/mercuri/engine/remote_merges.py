"""A merge that somebody made in HubSpot: links follow it, and the contacts are merged here, with a journal."""

from __future__ import annotations

from mercuri.core.contact import ContactId, LinkState, Record, RecordId
from mercuri.engine import follow, merging
from mercuri.engine.work import Work
from mercuri.store.database import Tx
from mercuri.store.links import NOBODY, Link


def follow_merges(
    tx: Tx, work: Work, record: Record, known: dict[RecordId, Link], asked: RecordId | None = None
) -> bool:
    """`follow.merges`, and of several contacts that share the record now, one remains; it can be taken back."""
    before = {id_: link for id_, link in known.items() if link.state is not LinkState.MERGED}
    if not follow.merges(tx, work, record, known, asked):
        return False
    lost = {known[id_].contact_id for id_ in before if id_ in known and known[id_].state is LinkState.MERGED}
    kept = known.get(record.id)
    if kept is not None and kept.contact_id != NOBODY:
        absorbed: list[ContactId] = sorted(lost - {kept.contact_id, NOBODY})
        merging.merged_remotely(tx, work.portal_id, record.id, kept.contact_id, absorbed, work.now)
    return True
