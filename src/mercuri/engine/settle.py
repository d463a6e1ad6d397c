"""Open intents are settled by looking, never by sending again: the first step of every run."""

from __future__ import annotations

from collections.abc import Sequence

from mercuri.core.contact import Record
from mercuri.core.normalise import normalise_email
from mercuri.core.settings import OWN_ID_PROPERTY
from mercuri.engine import creating, parting, schema, sending
from mercuri.engine.reconcile import Ledger
from mercuri.engine.sending import Sent
from mercuri.engine.work import Work
from mercuri.store import contacts, outbox
from mercuri.store.outbox import Intent


def settle_intents(work: Work) -> None:
    """Find out what became of every write that was announced and not concluded."""
    if work.preview:
        return
    after = 0
    while True:
        with work.look() as tx:
            batch = outbox.open_intents(tx, work.portal_id, after=after)
        if not batch:
            return
        after = batch[-1].id
        schema.renew(work)
        _settle_creates(work, [intent for intent in batch if intent.kind == "create"])
        _settle_archives(work, [intent for intent in batch if intent.kind == "archive" and intent.record_id])
        _settle_patches(work, [intent for intent in batch if intent.kind == "patch" and intent.record_id])


def _settle_patches(work: Work, intents: Sequence[Intent]) -> None:
    if not intents:
        return
    names = sorted({name for intent in intents for name in intent.payload})
    found = work.client.read_many([str(intent.record_id) for intent in intents], work.ask, history=names)
    sent = [Sent(intent, None, found.get(str(intent.record_id))) for intent in intents]
    with work.step() as tx:
        ledger = Ledger(work, work.now)
        dropped = sending.settle_patches(tx, ledger, sent)
        ledger.flush(tx)
        work.counts["pushed_updated"] += len(sent) - len(dropped)


def _settle_archives(work: Work, intents: Sequence[Intent]) -> None:
    if not intents:
        return
    found = work.client.read_many([str(intent.record_id) for intent in intents], ["hs_object_id"])
    with work.step() as tx:
        gone = [intent for intent in intents if str(intent.record_id) not in found]
        parting.confirm_archives(tx, work, gone)
        over = [one.id for one in intents if one not in gone and not sending.may_come(one, work.now)]
        outbox.close(tx, over, "dropped")


def _settle_creates(work: Work, intents: Sequence[Intent]) -> None:
    if not intents:
        return
    found = _created(work, intents)
    with work.step() as tx:
        ledger = Ledger(work, work.now)
        held = contacts.held(tx, [intent.contact_id for intent in intents])
        for intent in intents:
            record = found.get(intent.id)
            if record is not None:
                creating.confirm(tx, ledger, intent, record, held.get(intent.contact_id), created=True)
            elif not sending.may_come(intent, work.now):
                outbox.close(tx, [intent.id], "dropped")
        ledger.flush(tx)


def _created(work: Work, intents: Sequence[Intent]) -> dict[int, Record]:
    """The records that creates made, by intent; a look by a unique value, which no index delays."""
    if creating.has_own_id(work):
        values = {creating.own_value_of(work, intent): intent.id for intent in intents}
        records = work.client.read_many(values, work.ask, id_property=OWN_ID_PROPERTY)
    else:
        emails = {normalise_email(intent.payload["email"]): intent.id for intent in intents}
        values = {email: number for email, number in emails.items() if isinstance(email, str)}
        records = work.client.read_many(values, work.ask, id_property="email")
    return {values[key]: record for key, record in records.items()}
