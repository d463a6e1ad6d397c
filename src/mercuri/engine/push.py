"""Our pending changes to HubSpot: opt-outs first and always, then erasures, then fields, where two-way is on.

A record is read again just before it is written, and merged again with what that shows: the outbox only says that
there may be something to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from mercuri.core.contact import ContactId, LinkState, Record, RecordId
from mercuri.core.mapping import fields_of
from mercuri.core.retry import FailureClass
from mercuri.engine import closer, creating, failing, follow, parting, preview, remote_merges, schema, sending
from mercuri.engine.consent import Observed
from mercuri.engine.failing import contact_key
from mercuri.engine.flights import Flight, ask, fly
from mercuri.engine.reconcile import Ledger, reconcile, refresh_emails
from mercuri.engine.sending import Sent
from mercuri.engine.shadow import kept
from mercuri.engine.work import Work
from mercuri.errors import BadRequest, MissingScope
from mercuri.hubspot.client import BATCH
from mercuri.hubspot.errors import refusals
from mercuri.store import contacts, failures, links, outbox
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.outbox import Intent, Pending

#: Batches under way at once: enough for the limits of every portal at 300 ms an answer (19 requests a second), and few,
#: since HubSpot answers many writes at once with 423 and 502 (community reports).
ABREAST = 8
#: The key of what keeps every contact of a portal from being written.
_ALL = "portal"
_AWAKE = (LinkState.LIVE, LinkState.BLOCKED)


def push_fields(work: Work) -> None:
    """Send what changed here, in batches, until nothing is due. Does nothing with two-way off."""
    if not work.two_way or work.preview:
        return
    parting.check_brake(work)
    before = work.client.calls.write
    try:
        fly(_Departures(work).next, ABREAST)
    except MissingScope as error:
        # It concerns every contact alike: one reason for all, and what waits goes on waiting.
        with work.step() as tx:
            failing.note(tx, work, _ALL, error)
        return
    if work.client.calls.write > before:
        with work.step() as tx:
            failures.clear(tx, work.portal_id, [_ALL])


@dataclass
class _Batch:
    """The contacts of one batch, with their links and their records as they are now."""

    pending: Mapping[ContactId, Pending]
    held: Mapping[ContactId, Held]
    links: Mapping[ContactId, Link]
    unsettled: set[ContactId]
    records: Mapping[RecordId, Record] = field(default_factory=dict)  # by the id that was asked for


class _Departures:
    """The batches that may leave: no contact is in two of them at once, and no e-mail, which HubSpot has only once."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._away: set[str] = set()

    def next(self) -> Flight[None] | None:
        """The flight of the next batch; None while all that is due is under way, or waits for what is."""
        work = self._work
        with work.look() as tx:
            due = outbox.due(tx, work.portal_id, "contact", work.now, limit=BATCH * (ABREAST + 1))
            free = [item for item in due if item.key not in self._away][:BATCH]
            held = contacts.held(tx, [ContactId(int(item.key)) for item in free])
            pending = {ContactId(int(item.key)): item for item in free if not self._email_of(item, held) & self._away}
            if not pending:
                return None
            found = links.of_contacts(tx, work.portal_id, pending)
            unsettled = outbox.open_for(tx, work.portal_id, pending)
        schema.renew(work)
        batch = _Batch(pending, {id_: held[id_] for id_ in pending if id_ in held}, found, unsettled)
        return self._flight(batch)

    def _flight(self, batch: _Batch) -> Flight[None]:
        keys = {item.key for item in batch.pending.values()}
        keys.update(*(self._email_of(item, batch.held) for item in batch.pending.values()))
        self._away |= keys
        try:
            yield from _push(self._work, batch)
        finally:
            self._away -= keys

    @staticmethod
    def _email_of(item: Pending, held: Mapping[ContactId, Held]) -> set[str]:
        person = held.get(ContactId(int(item.key)))
        email = person.fields.get("email", "").strip().casefold() if person else ""
        return {email} if email else set()


def _push(work: Work, batch: _Batch) -> Flight[None]:
    batch.records = yield from ask(partial(_read, work, batch))
    with work.step() as tx:
        intents = _plan(tx, work, batch)
    yield from parting.archive(work, [intent for intent in intents if intent.kind == "archive"], batch.pending)
    yield from _send(work, [intent for intent in intents if intent.kind == "patch"], batch.pending)
    yield from _create(work, _unlinked(batch), batch)


def _create(work: Work, people: Sequence[Held], batch: _Batch) -> Flight[None]:
    """Create those that may be; the next run finds the others again, without a note."""
    if not people:
        return
    with work.step() as tx:
        allowed = preview.may_create(tx, work, [held.id for held in people])
        outbox.done(tx, [batch.pending[held.id] for held in people if held.id not in allowed])
    archived = {contact: link.record_id for contact, link in batch.links.items()}
    yield from creating.create(work, [held for held in people if held.id in allowed], archived, batch.pending)


def _read(work: Work, batch: _Batch) -> Mapping[RecordId, Record]:
    wanted = [link.record_id for contact, link in batch.links.items() if contact in batch.held and _may_be_there(link)]
    history = [item.property for item in closer.by_time(work)]
    found = work.client.read_many(wanted, work.ask, history=history) if wanted else {}
    return {RecordId(key): record for key, record in found.items()}


def _may_be_there(link: Link) -> bool:
    return link.state in (*_AWAKE, LinkState.ASLEEP)


def is_alive(held: Held | None) -> bool:
    """Whether a contact is neither deleted nor absorbed."""
    return held is not None and held.deleted_at is None and held.merged_into is None


def _unlinked(batch: _Batch) -> list[Held]:
    return [
        held
        for contact, held in batch.held.items()
        if is_alive(held) and contact not in batch.unsettled and _has_no_record(batch.links.get(contact), batch.records)
    ]


def _has_no_record(link: Link | None, there: Collection[RecordId]) -> bool:
    """Whether a contact has no record, or one that we archived when it was deleted here and that is still gone."""
    return link is None or (link.excluded == follow.ARCHIVED_HERE and link.record_id not in there)


def _plan(tx: Tx, work: Work, batch: _Batch) -> list[Intent]:
    """Merge each linked contact with its record as it is now, and announce what is to be written there."""
    ledger = Ledger(work, work.now)
    known = links.of_records(tx, work.portal_id, [*batch.records, *(r.id for r in batch.records.values())], lock=True)
    for asked, record in batch.records.items():
        if asked != record.id:
            remote_merges.follow_merges(tx, work, record, known, asked)
    here = links.of_contacts(tx, work.portal_id, batch.pending, lock=True)
    # Values as they are now, under the same lock as the write that may follow.
    held = contacts.held(tx, batch.pending)
    there = {record.id: record for record in batch.records.values()}
    intents, done = [], []
    for contact, item in batch.pending.items():
        link, person = here.get(contact), held.get(contact)
        if contact in batch.unsettled:
            failing.put(tx, work, contact_key(contact), FailureClass.SERVER, _UNSETTLED, contact=contact, pending=item)
        elif link is None:
            if not is_alive(person):
                done.append(item)
        elif is_alive(person) and _has_no_record(link, there):
            continue  # it is created anew
        elif link.record_id in there and (
            intent := parting.archive_intent(work, link, person, there[link.record_id].properties)
        ):
            intents.append(intent)
        elif not is_alive(person) or link.record_id not in there:
            _put_to_sleep(ledger, link, person, is_there=link.record_id in there)
            done.append(item)
        elif _may_be_there(link):
            assert person is not None
            patch = _patch(tx, ledger, link, person, there[link.record_id])
            intents += [patch] if patch else []
            done += [] if patch else [item]
        else:
            done.append(item)
    # What was found to be sent is sent right now: it needs no further note.
    ledger.to_send.clear()
    ledger.flush(tx)
    failing.clear(tx, work, [ContactId(int(item.key)) for item in done])
    outbox.done(tx, done)
    return outbox.announce(tx, work.portal_id, intents, work.now)


_UNSETTLED = "HubSpot did not say what became of the last write. It is looked at again."


def _put_to_sleep(ledger: Ledger, link: Link, person: Held | None, *, is_there: bool) -> None:
    """The link of a contact or record that is gone; what a deletion does to the other side is `parting`'s."""
    if link.state is LinkState.MERGED:
        return
    why = follow.DELETED_HERE if person is not None and person.deleted_at else follow.GONE_THERE
    if person is not None and person.merged_into is not None:
        why = follow.MERGED_HERE
    if is_there or link.state in _AWAKE:
        ledger.links[link.record_id] = follow.asleep(link, ledger.at, why)


def _patch(tx: Tx, ledger: Ledger, link: Link, person: Held, record: Record) -> Intent | None:
    work = ledger.work
    awake = replace(follow.awake(link), shadow=kept(record.properties), remote_at=record.updated_at, seen_at=ledger.at)
    ledger.observed.append(Observed(person.id, record.id, awake.shadow, link.shadow, changed_at=record.updated_at))
    seen, changeset = reconcile(
        tx, ledger, awake, person, fields_of(record, work.mapping), closer.times_of(work, record)
    )
    ledger.links[seen.record_id] = seen
    refresh_emails(tx, ledger, seen, link)
    payload = {
        item.property: changeset.to_remote[item.field] for item in work.mapping if item.field in changeset.to_remote
    }
    if not payload:
        return None
    observed = {name: record.properties[name] for name in payload} | sending.moment_of(record)
    return Intent(person.id, "patch", payload, observed, record.id, work.run.id)


def _send(work: Work, intents: Sequence[Intent], pending: Mapping[ContactId, Pending]) -> Flight[None]:
    """Send patches; one whose values were partly refused is sent again without those."""
    if not intents:
        return
    sent = yield from _update(work, intents)
    with work.step() as tx:
        again = _store(tx, work, sent, pending)
    if again:
        sent = yield from _update(work, again)
        with work.step() as tx:
            _store(tx, work, sent, pending, last=True)


def _update(work: Work, intents: Sequence[Intent]) -> Flight[list[Sent]]:
    with sending.announced(work, intents):
        outcomes = yield from ask(partial(sending.write, work, intents))
    return (yield from ask(partial(sending.read_back, work, intents, outcomes)))


def _store(
    tx: Tx, work: Work, sent: Sequence[Sent], pending: Mapping[ContactId, Pending], *, last: bool = False
) -> list[Intent]:
    """Settle what was sent; the intents that are left to send, without the values that HubSpot does not take."""
    ledger = Ledger(work, work.now)
    failed = sending.settle_patches(tx, ledger, sent)
    ledger.flush(tx)
    done = [one for one in sent if one not in failed]
    work.counts["pushed_updated"] += len({one.intent.contact_id for one in done})
    clean = [] if last else [one.intent.contact_id for one in done]
    failing.clear(tx, work, clean)
    outbox.done(tx, [pending[one.intent.contact_id] for one in done if one.intent.contact_id in pending])
    again = []
    for one in failed:
        rest = {} if last else _taken(one)
        _note_failure(tx, work, one, None if rest else pending.get(one.intent.contact_id))
        if rest:
            again.append(replace(one.intent, payload=rest))
    return outbox.announce(tx, work.portal_id, again, work.now)


def _taken(one: Sent) -> dict[str, str]:
    """The values of a refused patch that HubSpot did not name: one bad value does not hold back the others."""
    if not isinstance(one.error, BadRequest):
        return {}
    # A conflict names no property: it is the e-mail, which no two records may share.
    refused = {"email"} if one.error.status == 409 else {refusal.property for refusal in refusals(one.error)}
    rest = {name: value for name, value in one.intent.payload.items() if name not in refused}
    return rest if len(rest) < len(one.intent.payload) else {}


def _note_failure(tx: Tx, work: Work, one: Sent, item: Pending | None) -> None:
    contact, record = one.intent.contact_id, one.intent.record_id
    if one.error is not None:
        failing.note(tx, work, contact_key(contact), one.error, contact=contact, record=record, pending=item)
    else:
        why, kind = "HubSpot shows no trace of the last write.", FailureClass.SERVER
        failing.put(tx, work, contact_key(contact), kind, why, contact=contact, record=record, pending=item)
