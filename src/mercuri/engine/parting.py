"""Deletions and erasures, from here to HubSpot: archived there where the settings say so, within the brake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from mercuri.core.brakes import deletions_brake, deletions_sentence
from mercuri.core.contact import ContactId, LinkState, RecordId
from mercuri.core.fate import Fate, fate_of_deletion
from mercuri.core.settings import Deletions, MappingItem
from mercuri.engine import failing, follow, sending
from mercuri.engine.flights import Flight, ask
from mercuri.engine.work import Work
from mercuri.errors import BadRequest, MissingScope, NotThere, SafetyStop
from mercuri.store import changes, contacts, links, outbox
from mercuri.store.changes import WHOLE, Change
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.outbox import Intent, Pending

#: Most pending contacts that the brake looks at: far more than it lets through.
_LOOKED_AT = 1_000_000


def check_brake(work: Work) -> None:
    """Raise SafetyStop when the deletions that wait here would archive more records than was agreed."""
    if work.settings.deletions is not Deletions.ARCHIVE:
        return
    with work.look() as tx:
        waiting = outbox.due(tx, work.portal_id, "contact", work.now, limit=_LOOKED_AT)
        ids = [ContactId(int(item.key)) for item in waiting]
        gone = {contact for contact, held in contacts.held(tx, ids).items() if held.deleted_at is not None}
        known = links.of_contacts(tx, work.portal_id, gone)
        # A page may have put links of deleted contacts to sleep already: they count as linked all the same.
        asleep = sum(link.state is LinkState.ASLEEP for link in known.values() if _is_there(link))
        linked = links.count(tx, work.portal_id) + asleep
    to_archive = sum(_is_there(link) for link in known.values())
    if deletions_brake(to_archive, linked, work.settings.delete_brake):
        raise SafetyStop(deletions_sentence(to_archive, linked, work.settings.delete_brake))


def archive_intent(work: Work, link: Link, held: Held | None, properties: Mapping[str, str]) -> Intent | None:
    """What archives a record whose contact was deleted here; None where the record stays: an edit there survives."""
    if held is None or held.deleted_at is None or not _is_there(link):
        return None
    edited = any(_is_edited_there(work, link, held, item, properties) for item in work.mapping)
    fate = fate_of_deletion(work.settings.deletions, edited_on_the_other_side=edited)
    return Intent(held.id, "archive", {}, {}, link.record_id, work.run.id) if fate is Fate.ARCHIVE else None


def _is_edited_there(work: Work, link: Link, held: Held, item: MappingItem, properties: Mapping[str, str]) -> bool:
    """Whether a value there is not the one that the two sides agreed on; without one, whether it is not ours."""
    norm, base = work.rules[item.field].norm, link.base.get(item.field)
    agreed = base.remote if base is not None else held.fields.get(item.field, "")
    return norm(properties.get(item.property, "")) != norm(agreed)


def _is_there(link: Link) -> bool:
    """Whether the record of a deleted contact may still be there: a page may have put its link to sleep already."""
    return link.state is LinkState.LIVE or (link.state is LinkState.ASLEEP and link.excluded == follow.DELETED_HERE)


def archive(work: Work, intents: Sequence[Intent], pending: Mapping[ContactId, Pending]) -> Flight[None]:
    """Archive the records that announced intents name."""
    if not intents:
        return
    with sending.announced(work, intents):
        yield from ask(partial(work.client.archive_many, [str(intent.record_id) for intent in intents]))
    with work.step() as tx:
        confirm_archives(tx, work, intents)
        outbox.done(tx, [pending[intent.contact_id] for intent in intents if intent.contact_id in pending])


def confirm_archives(tx: Tx, work: Work, intents: Sequence[Intent]) -> None:
    """The records are archived: their links sleep."""
    outbox.close(tx, [intent.id for intent in intents], "confirmed")
    now = links.of_records(tx, work.portal_id, [intent.record_id for intent in intents if intent.record_id])
    links.save_many(tx, work.portal_id, [follow.asleep(link, work.now, follow.ARCHIVED_HERE) for link in now.values()])
    changes.add_many(tx, [_archived(work, link) for link in now.values()])
    work.counts["archived"] += len(now)


def _archived(work: Work, link: Link) -> Change:
    return Change(
        contact_id=link.contact_id,
        field=WHOLE,
        side="hubspot",
        before="live",
        after="archived",
        actor="mercuri",
        reason="deleted here",
        at=work.now,
        record_id=link.record_id,
        portal_id=work.portal_id,
        run=work.run.id,
    )


def erase_pending(work: Work) -> None:
    """Erase in HubSpot the people who were erased here; the law asks for it whatever the settings say."""
    if work.preview:
        return
    while True:
        with work.look() as tx:
            due = outbox.due(tx, work.portal_id, "erase", work.now)
        if not due:
            return
        for item in due:
            _erase(work, item)


def _erase(work: Work, item: Pending) -> None:
    key = f"record:{item.key}"
    try:
        work.client.erase(item.key)
    except NotThere:
        pass
    except (BadRequest, MissingScope) as error:
        with work.step() as tx:
            failing.note(tx, work, key, error, record=RecordId(item.key), pending=item)
            outbox.done(tx, [item])
        return
    with work.step() as tx:
        outbox.done(tx, [item])
