"""Undo a run: put back what it changed and nobody touched since, newest change first, on both sides.

An undo is a run like any other: its changes are logged, so that it can be undone itself. The base is set to what then
stands on each side, so that the next sync does nothing. Consent is never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mercuri.core.contact import ContactId, LinkState, Origin, Record, RecordId
from mercuri.core.diff import Base
from mercuri.core.settings import MappingItem
from mercuri.engine import follow, sending
from mercuri.engine.reconcile import Ledger
from mercuri.engine.sending import Sent
from mercuri.engine.work import Work
from mercuri.engine.writes import Rules, addresses_after
from mercuri.hubspot.client import BATCH
from mercuri.store import changes, contacts, links, outbox, runs
from mercuri.store.changes import WHOLE, Change
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.outbox import Intent

#: How many skipped changes are named in the run's plan; the rest is counted.
_NAMED = 200


def undo_changes(work: Work) -> None:
    """Go back through the log of the run that is to be undone."""
    assert work.run.undo_of is not None
    while True:
        with work.look() as tx:
            batch = changes.newest_of_run(tx, work.run.undo_of, before=work.checkpoint.get("before"), limit=BATCH)
        if not batch:
            break
        _undo_here(work, [c for c in batch if c.side == "mercuri"])
        _undo_there(work, [c for c in batch if c.side == "hubspot" and c.record_id is not None])
        with work.step():
            work.checkpoint["before"] = batch[-1].id


def remove_created(work: Work) -> None:
    """Delete the contacts that the run imported, as far as nobody touched them since; their links remember it."""
    assert work.run.undo_of is not None
    while True:
        with work.step() as tx:
            after = ContactId(work.checkpoint.get("created", 0))
            made = contacts.created_by(tx, work.run.undo_of, after=after, limit=BATCH)
            _delete(tx, work, made)
            if made:
                work.checkpoint["created"] = made[-1].id
        if not made:
            break
    with work.step() as tx:
        runs.save(tx, work.run.undo_of, undone_by=work.run.id)
        runs.save(tx, work.run.id, plan=_skipped(work))


def _skipped(work: Work) -> dict[str, object]:
    return {"skipped": work.checkpoint.get("skipped", []), "skipped_total": work.checkpoint.get("skipped_total", 0)}


def _skip(work: Work, change: Change, why: str) -> None:
    """Say what stays as it is, and why."""
    work.checkpoint["skipped_total"] = work.checkpoint.get("skipped_total", 0) + 1
    named = work.checkpoint.get("skipped", [])
    if len(named) < _NAMED:
        row = {"contact_id": change.contact_id, "field": change.field, "side": change.side, "reason": why}
        work.checkpoint["skipped"] = [*named, row]


# --- here -------------------------------------------------------------------------------------------------------


def _undo_here(work: Work, batch: Sequence[Change]) -> None:
    if not batch:
        return
    with work.step() as tx:
        ledger = Ledger(work, work.now)
        for change in batch:
            if change.contact_id is not None:
                _put_back(tx, ledger, change, change.contact_id)
        # The values go back on this side only: HubSpot must not be told.
        ledger.flush(tx)


def _put_back(tx: Tx, ledger: Ledger, change: Change, contact: ContactId) -> None:
    work, held = ledger.work, contacts.held(tx, [contact]).get(contact)
    if held is None:
        _skip(work, change, "The contact no longer exists.")
    elif change.field == WHOLE:
        _undo_whole(tx, ledger, change, held)
    elif held.deleted_at is not None or held.merged_into is not None:
        _skip(work, change, "The contact was deleted or merged since.")
    elif held.fields.get(change.field, "") != change.after:
        _skip(work, change, f"Changed since by {held.author(change.field)}.")
    else:
        _restore_value(tx, ledger, change, held)


def _restore_value(tx: Tx, ledger: Ledger, change: Change, held: Held) -> None:
    work = ledger.work
    link = _link_of(tx, ledger, change, held.id)
    value = {change.field: change.before}
    found = addresses_after(tx, held, value, Rules(work.region, work.mapping))
    contacts.change_fields(tx, held.id, value, _origin(work), found, expect={change.field: change.after})
    base = link.base.get(change.field) if link else None
    if link is not None and base is not None:
        ledger.links[link.record_id] = link.moved({change.field: Base(change.before, base.remote, "undone")})
    ledger.changed.add(held.id)
    ledger.changes.append(_undone(work, change, change.after, change.before, base))


def _link_of(tx: Tx, ledger: Ledger, change: Change, contact: ContactId) -> Link | None:
    link = links.of_contacts(tx, ledger.work.portal_id, [contact], lock=True).get(contact)
    return ledger.links.get(link.record_id, link) if link else None


def _origin(work: Work) -> Origin:
    return Origin("run", f"undo of run {work.run.undo_of}", work.now, work.run.id)


def _undone(work: Work, change: Change, before: str, after: str, base: Base | None) -> Change:
    return replace(
        change,
        before=before,
        after=after,
        base_before=base,
        run=work.run.id,
        at=work.now,
        actor=work.run.requested_by or "mercuri",
        reason="undone",
        id=0,
    )


def _undo_whole(tx: Tx, ledger: Ledger, change: Change, held: Held) -> None:
    """A contact that the run deleted comes back; one that it brought back is deleted again."""
    work = ledger.work
    if change.after == "deleted" and held.deleted_at is not None:
        contacts.mark_restored(tx, held.id, work.now)
        link = _link_of(tx, ledger, change, held.id)
        if link is not None and link.excluded == follow.DELETED_HERE:
            was_gone = link.archived_at is not None and link.archived_at < held.deleted_at
            back = replace(link, excluded=follow.GONE_THERE) if was_gone else follow.awake(link)
            ledger.links[link.record_id] = back
    elif change.after == "live" and held.deleted_at is None:
        _bury(tx, ledger, held)
    else:
        _skip(work, change, "Changed since.")
        return
    ledger.changed.add(held.id)
    ledger.changes.append(_undone(work, change, change.after, change.before, None))


def _delete(tx: Tx, work: Work, made: Sequence[Held]) -> None:
    ledger = Ledger(work, work.now)
    for held in made:
        change = Change(held.id, WHOLE, "mercuri", "deleted", "live", "", "", work.now, portal_id=work.portal_id)
        if held.deleted_at is not None or held.merged_into is not None or held.version != 1:
            _skip(work, change, "Changed since.")
            continue
        _bury(tx, ledger, held)
        ledger.changed.add(held.id)
        ledger.changes.append(_undone(work, change, "live", "deleted", None))
    ledger.flush(tx)


def _bury(tx: Tx, ledger: Ledger, held: Held) -> None:
    contacts.mark_deleted(tx, held.id, ledger.at)
    link = links.of_contacts(tx, ledger.work.portal_id, [held.id]).get(held.id)
    if link is not None:
        # A record that was gone before stays so when the contact comes back: the link keeps the time.
        ledger.links[link.record_id] = follow.asleep(link, link.archived_at or ledger.at, follow.DELETED_HERE)


# --- in HubSpot ---------------------------------------------------------------------------------------------------


@dataclass
class _There:
    """What is to be put back in HubSpot, in one batch."""

    patches: dict[RecordId, dict[str, Change]] = field(default_factory=dict)
    archives: list[Change] = field(default_factory=list)


def _undo_there(work: Work, batch: Sequence[Change]) -> None:
    if not batch:
        return
    if not work.settings.two_way:
        with work.step():
            for change in batch:
                _skip(work, change, "Two-way is off: nothing is written to HubSpot.")
        return
    records = work.client.read_many(sorted({str(c.record_id) for c in batch}), work.ask)
    with work.step() as tx:
        todo = _plan(work, batch, {RecordId(key): record for key, record in records.items()})
        intents = _announce(tx, work, todo)
    patches = [intent for intent in intents if intent.kind == "patch"]
    sent = sending.update(work, patches)
    archives = [intent for intent in intents if intent.kind == "archive"]
    with sending.announced(work, archives):
        work.client.archive_many([str(intent.record_id) for intent in archives])
    with work.step() as tx:
        _confirm(tx, work, todo, sent)
        _confirm_archives(tx, work, todo, archives)


def _plan(work: Work, batch: Sequence[Change], records: dict[RecordId, Record]) -> _There:
    todo, items = _There(), {item.field: item for item in work.mapping}
    for change in batch:
        assert change.record_id is not None
        record, item = records.get(change.record_id), items.get(change.field)
        if record is None or record.id != change.record_id:
            _skip(work, change, "The record no longer exists in HubSpot.")
        elif change.field == WHOLE and change.after == "created":
            todo.archives.append(change)
        elif item is None:
            _skip(work, change, "The field is no longer mapped.")
        elif record.properties.get(item.property, "") != change.after:
            _skip(work, change, "Changed in HubSpot since.")
        else:
            todo.patches.setdefault(record.id, {})[item.property] = change
    return todo


def _announce(tx: Tx, work: Work, todo: _There) -> list[Intent]:
    patches = [
        Intent(
            next(iter(rows.values())).contact_id or links.NOBODY,
            "patch",
            {name: row.before for name, row in rows.items()},
            {name: row.after for name, row in rows.items()},
            record,
            work.run.id,
        )
        for record, rows in todo.patches.items()
    ]
    archives = [
        Intent(c.contact_id or links.NOBODY, "archive", {}, {}, c.record_id, work.run.id) for c in todo.archives
    ]
    return outbox.announce(tx, work.portal_id, [*patches, *archives], work.now)


def _confirm(tx: Tx, work: Work, todo: _There, sent: Sequence[Sent]) -> None:
    """The base of a value that was put back there is what stands on both sides now, however they differ."""
    ledger = Ledger(work, work.now)
    failed = sending.settle_patches(tx, ledger, sent)
    ledger.changes.clear()
    held = contacts.held(tx, [one.intent.contact_id for one in sent])
    items = {item.property: item for item in work.mapping}
    for one in sent:
        link = ledger.links.get(one.intent.record_id) if one.intent.record_id else None
        for name, change in todo.patches.get(one.intent.record_id or RecordId(""), {}).items():
            if one in failed or link is None or name not in items:
                _skip(work, change, one.error.message if one.error else "HubSpot did not take the value.")
                continue
            link = _settled(ledger, link, held.get(one.intent.contact_id), items[name], change)
    ledger.flush(tx)


def _settled(ledger: Ledger, link: Link, held: Held | None, item: MappingItem, change: Change) -> Link:
    before, stored = link.base.get(item.field), link.shadow.get(item.property, "")
    local = held.fields.get(item.field, "") if held else ""
    moved = link.moved({item.field: Base(local, stored, "undone")})
    ledger.links[link.record_id] = moved
    ledger.changes.append(_undone(ledger.work, change, change.after, stored, before))
    ledger.work.counts["pushed_updated"] += 1
    return moved


def _confirm_archives(tx: Tx, work: Work, todo: _There, intents: Sequence[Intent]) -> None:
    """A record that the run created is archived again; its contact stays, and is not created there once more."""
    outbox.close(tx, [intent.id for intent in intents], "confirmed")
    known = links.of_records(tx, work.portal_id, [c.record_id for c in todo.archives if c.record_id])
    links.save_many(tx, work.portal_id, [_archived(link, work) for link in known.values()])
    changes.add_many(tx, [_undone(work, change, "created", "archived", None) for change in todo.archives])
    work.counts["archived"] += len(todo.archives)


def _archived(link: Link, work: Work) -> Link:
    asleep = follow.asleep(link, work.now, follow.GONE_THERE)
    return replace(asleep, state=LinkState.ASLEEP, written_at=work.now)
