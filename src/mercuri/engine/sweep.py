"""Records that are gone: looked at one by one, for lack of any sign that HubSpot gives by itself.

That something was not shown proves nothing. A link sleeps only when HubSpot knows no such record by its id, and a
complete read or a hint says so too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mercuri.core.brakes import deletions_brake, deletions_sentence, may_conclude_absence
from mercuri.core.contact import ContactId, LinkState, Record, RecordId
from mercuri.core.fate import Fate, fate_of_deletion
from mercuri.core.settings import Deletions
from mercuri.engine import erasure, follow, inbox, pull, remote_merges, schema
from mercuri.engine.app import SYSTEM
from mercuri.engine.reconcile import tell
from mercuri.engine.work import Work
from mercuri.errors import BadRequest, NotFound, SafetyStop
from mercuri.hubspot.client import BATCH, Page
from mercuri.store import changes, conflicts, contacts, links, outbox, portals
from mercuri.store.changes import WHOLE, Change
from mercuri.store.conflicts import Conflict
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.times import from_ms


@dataclass
class _Gone:
    """Records that HubSpot no longer has: in its recycle bin, or nowhere."""

    archived: list[RecordId] = field(default_factory=list)
    lost: list[RecordId] = field(default_factory=list)

    def add(self, asked: Collection[RecordId], there: Mapping[str, Record], in_bin: Mapping[str, Record]) -> None:
        for record in asked:
            if record not in there:
                (self.archived if record in in_bin else self.lost).append(record)


def sweep(work: Work) -> None:
    """After a complete read: look for the records of links that it did not show."""
    fetched = work.counts["fetched"]
    if work.preview or not may_conclude_absence(completed=True, fetched=fetched, met_errors=False):
        return
    gone, after = _Gone(), RecordId("")
    begun = from_ms(work.checkpoint["started"])
    while True:
        with work.look() as tx:
            batch = links.unseen(tx, work.portal_id, work.run.id, begun, after=after, limit=BATCH)
        if not batch:
            break
        _look(work, [link.record_id for link in batch], gone)
        after = batch[-1].record_id
    _part(work, gone)
    with work.step() as tx:
        portals.save(tx, work.portal_id, swept_at=work.now)


def look_at(work: Work, records: Sequence[RecordId]) -> None:
    """Look at records by id, and at nothing else: those that are there are taken, those that are gone are followed."""
    for start in range(0, len(records), BATCH):
        gone = _Gone()
        _look(work, records[start : start + BATCH], gone)
        _part(work, gone)


def look_at_hints(work: Work) -> None:
    """Look at the records that a webhook, or an edit here, pointed at."""
    if work.preview:
        return
    inbox.take_in(work.app)
    while True:
        with work.look() as tx:
            hints = outbox.due(tx, work.portal_id, "look", work.now, limit=BATCH)
        if not hints:
            return
        gone = _Gone()
        _look(work, [RecordId(hint.key) for hint in hints], gone)
        _erase(work, {RecordId(hint.key) for hint in hints if hint.payload.get("erased")} & set(gone.lost))
        _part(work, gone)
        with work.step() as tx:
            outbox.done(tx, hints)


def look_in_bin(work: Work) -> None:
    """Look for deletions that no webhook told of: one page of HubSpot's recycle bin in each run, round and round.

    Nothing says in which order the bin is listed, so its newest records cannot be asked for. Those in it that are
    linked are looked at by id before anything follows: they may have been restored meanwhile.
    """
    if work.preview or work.portal.watermark is None:
        return
    page = _page_of_bin(work)
    with work.look() as tx:
        known = links.of_records(tx, work.portal_id, [record.id for record in page.records])
    look_at(work, [link.record_id for link in known.values() if _is_awake(link)])
    if page.after != work.portal.reading.get("bin"):
        with work.step() as tx:
            work.note_reading(tx, bin=page.after)


def _page_of_bin(work: Work) -> Page:
    """The page after the last run's; the first one at the end, and where HubSpot no longer knows the place."""
    after = work.portal.reading.get("bin")
    try:
        return work.client.list_contacts(["hs_object_id"], after, archived=True)
    except BadRequest:
        if after is None:
            raise
        return work.client.list_contacts(["hs_object_id"], archived=True)


def _look(work: Work, asked: Sequence[RecordId], gone: _Gone) -> None:
    """Read records by id: those that are there are taken, also under a new id; the others are found out about."""
    schema.renew(work)
    there = work.client.read_many(asked, work.ask)
    missing = [record for record in asked if record not in there]
    in_bin = work.client.read_many(missing, ["hs_object_id"], archived=True) if missing else {}
    look = pull.look_closer(work, there.values())
    with work.step() as tx:
        known = links.of_records(tx, work.portal_id, [*asked, *(r.id for r in there.values())], lock=True)
        for key, record in there.items():
            if key != record.id:
                remote_merges.follow_merges(tx, work, record, known, RecordId(key))
        pull.store_records(tx, work, there.values(), look)
    gone.add(asked, there, in_bin)


def _erase(work: Work, records: Collection[RecordId]) -> None:
    """HubSpot erased these people at their own wish: so do we."""
    with work.look() as tx:
        known = links.of_records(tx, work.portal_id, records)
    for link in known.values():
        if link.contact_id != links.NOBODY:
            try:
                erasure.erase_contact(work.app, work.ws, link.contact_id, SYSTEM)
            except NotFound:
                continue


def _part(work: Work, gone: _Gone) -> None:
    """Let the links of records that are gone sleep, and do to their contacts what the settings say."""
    records = [*gone.archived, *gone.lost]
    _check_brake(work, records)
    for start in range(0, len(records), BATCH):
        with work.step() as tx:
            _part_batch(tx, work, records[start : start + BATCH])


def _check_brake(work: Work, records: Sequence[RecordId]) -> None:
    if work.settings.deletions is not Deletions.ARCHIVE or not work.two_way:
        return
    with work.look() as tx:
        linked = links.count(tx, work.portal_id)
        going = sum(_is_awake(link) for link in links.of_records(tx, work.portal_id, records).values())
    if deletions_brake(going, linked, work.settings.delete_brake):
        raise SafetyStop(deletions_sentence(going, linked, work.settings.delete_brake))


def _part_batch(tx: Tx, work: Work, records: Sequence[RecordId]) -> None:
    known = [link for link in links.of_records(tx, work.portal_id, records, lock=True).values() if _is_awake(link)]
    held = contacts.held(tx, [link.contact_id for link in known])
    links.save_many(tx, work.portal_id, [follow.asleep(link, work.now, follow.GONE_THERE) for link in known])
    deleted: list[ContactId] = []
    for link in known:
        person = held.get(link.contact_id)
        if person is None or person.deleted_at is not None or not work.two_way:
            continue
        fate = fate_of_deletion(work.settings.deletions, edited_on_the_other_side=_edited(work, link, person))
        if fate is Fate.ARCHIVE:
            contacts.mark_deleted(tx, person.id, work.now)
            deleted.append(person.id)
            work.counts["archived"] += 1
            changes.add_many(tx, [_deleted(work, link)])
        elif fate is Fate.ASK:
            conflicts.add_many(tx, [_question(work, link)])
            work.counts["conflicts"] += 1
    tell(tx, deleted, work.now)


def _is_awake(link: Link) -> bool:
    return link.state in (LinkState.LIVE, LinkState.BLOCKED)


def _edited(work: Work, link: Link, person: Held) -> bool:
    """Whether the contact was edited here since the two sides last agreed: such an edit is never lost.

    A field whose property carries no values at present counts as well: what was typed in it has arrived nowhere. Where
    the sides never agreed, the value of the record as it was last seen counts.
    """
    norms = {name: rule.norm for name, rule in work.rules.items()}
    agreed = {item.field: link.shadow.get(item.property, "") for item in work.mapping}
    agreed |= {name: base.local for name, base in link.base.items()}
    return any(
        norms.get(name, str.strip)(person.fields.get(name, "")) != norms.get(name, str.strip)(value)
        for name, value in agreed.items()
    )


def _deleted(work: Work, link: Link) -> Change:
    return Change(
        contact_id=link.contact_id,
        field=WHOLE,
        side="mercuri",
        before="live",
        after="deleted",
        actor=f"portal {work.portal_id}",
        reason="deleted in HubSpot",
        at=work.now,
        record_id=link.record_id,
        portal_id=work.portal_id,
        run=work.run.id,
    )


def _question(work: Work, link: Link) -> Conflict:
    """Deleted there, kept here: a person decides."""
    return Conflict(
        work.portal_id, link.record_id, link.contact_id, WHOLE, "live", "deleted", "open", work.now, run=work.run.id
    )
