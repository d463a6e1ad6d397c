"""Follow a record that HubSpot merged, archived, brought back or erased. Nothing here destroys a contact by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mercuri.core.contact import LinkState, Record, RecordId
from mercuri.core.fate import after_archive, after_restore, follow_merges
from mercuri.engine import optouts
from mercuri.engine.work import Work
from mercuri.store import links
from mercuri.store.database import Tx
from mercuri.store.links import NOBODY, Link

GONE_THERE = "Its record was deleted in HubSpot. Restore it there to sync the contact again."
DELETED_HERE = "It was deleted here. Restore the contact to sync it again."
ARCHIVED_HERE = "It was deleted here, and its record archived in HubSpot. Restore the contact to create it there anew."
LEFT = "Its contact was deleted and restored here, and has a newer record in HubSpot."
ERASED_HERE = "This person asked to be forgotten."
MERGED_HERE = "Its contact was merged into another one here."

_KEPT = (LinkState.LIVE, LinkState.BLOCKED, LinkState.ASLEEP)
_AWAKE = (LinkState.LIVE, LinkState.BLOCKED)


def merges(tx: Tx, work: Work, record: Record, known: dict[RecordId, Link], asked: RecordId | None = None) -> bool:
    """Let the links of records that went into this one follow it; `known` is brought up to date.

    `asked` is the id that was asked for and led to this record. Of several links one keeps the record; the contacts of
    the others stay, their links are marked merged.
    """
    olds = {old for old in (*record.merged_ids, asked) if old and old != record.id and old in known}
    pool = {i: known[i] for i in (*olds, record.id) if i in known and known[i].state in _KEPT}
    if not olds & pool.keys():
        return False
    awake = {i: link for i, link in pool.items() if link.state in _AWAKE} or pool
    followed = follow_merges({i: awake[i].contact_id for i in awake}, dict.fromkeys(olds, record.id), {})
    at = work.now
    for old in pool.keys() - followed.moved.keys() - {record.id}:
        _mark_merged(tx, work, known, old, record.id, at)
    # A merge there can lose a no that HubSpot knew: whatever is closed is told again.
    optouts.note_contacts(tx, sorted({link.contact_id for link in pool.values()}), at)
    for old, new in followed.moved.items():
        if new in known:
            links.remove(tx, work.portal_id, [new])
        links.repoint(tx, work.portal_id, old, new, at)
        known[new] = replace(known.pop(old), record_id=new)
    if record.id in known:
        # A merge may put an older time in place: the survivor is not outdated by what either was seen with.
        known[record.id] = replace(known[record.id], remote_at=None)
        links.save_many(tx, work.portal_id, [known[record.id]])
    return True


def _mark_merged(tx: Tx, work: Work, known: dict[RecordId, Link], old: RecordId, new: RecordId, at: datetime) -> None:
    known[old] = replace(
        known[old], state=LinkState.MERGED, archived_at=at, excluded="Its record was merged in HubSpot."
    )
    links.save_many(tx, work.portal_id, [known[old]])
    links.add_alias(tx, work.portal_id, old, new, at)


def asleep(link: Link, at: datetime, why: str) -> Link:
    """The link once one side is gone; its base stays, so that a restore goes on from where it was."""
    return replace(link, state=after_archive(link.state), archived_at=at, excluded=why)


def awake(link: Link) -> Link:
    """The link once both sides are there again."""
    return replace(link, state=after_restore(link.state), archived_at=None, excluded="")


def left(link: Link) -> Link:
    """The link of a record that we archived, once its contact has another one: kept out, should it ever come back."""
    return replace(link, contact_id=NOBODY, state=LinkState.UNLINKED, base={}, shadow={}, excluded=LEFT)


def nobodys(record: Record, at: datetime, work: Work, why: str = "") -> Link:
    """A row for a record without a contact: kept out (`why`), or put aside to be matched at the end of the read.

    A record that is kept out leaves none of its values here.
    """
    shadow = {} if why else dict(record.properties)
    return Link(record.id, NOBODY, LinkState.UNLINKED, {}, shadow, record.updated_at, at, work.run.id, excluded=why)
