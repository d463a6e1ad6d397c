"""Contacts that HubSpot does not have yet: found there by e-mail, or created once and never twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mercuri.core.contact import ContactId, LinkState, Record, RecordId
from mercuri.core.mapping import fields_of, properties_of
from mercuri.core.normalise import blank, normalise_email
from mercuri.core.retry import FailureClass
from mercuri.core.settings import OWN_ID_PROPERTY, MatchBy
from mercuri.engine import failing, follow
from mercuri.engine.consent import Observed
from mercuri.engine.failing import contact_key
from mercuri.engine.flights import Flight, ask
from mercuri.engine.matching import own_value
from mercuri.engine.portal import ensure_own_id
from mercuri.engine.reconcile import Ledger, reconcile
from mercuri.engine.sending import announced, link_created
from mercuri.engine.shadow import kept
from mercuri.engine.work import Work
from mercuri.errors import BadRequest, HubSpotError
from mercuri.hubspot.client import Outcome, Write
from mercuri.hubspot.errors import refusals
from mercuri.store import contacts, links, outbox
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.outbox import Intent, Pending

_ID = "hs_object_id"
_TAKEN = "Another contact here is linked to the HubSpot record with this e-mail."
_MERGE = "Merge the two contacts, or change the e-mail of one."
_FURTHER = "HubSpot holds this e-mail as a further address of another contact's record."
_TAKE_OFF = "Take it off that record in HubSpot, or merge the two contacts here; then retry."
_NOT_MATCHED = "HubSpot has a record with this e-mail, and matching is switched off."
_NEEDS_SCOPE = "Without an e-mail it could be created twice, unless the app may add its own property in HubSpot."
_GRANT = "Grant crm.schemas.contacts.write and connect again, or give the contact an e-mail."
_EMPTY = "There is nothing in it that HubSpot could hold."
_FILL = "Give it a name, an e-mail or a phone number."
_NAMELESS = "This HubSpot account takes no new contact that has neither an e-mail nor a name."
_NAME = "Give it an e-mail or a name."
#: HubSpot may ask for one of these to create a contact (contacts guide 2026-09).
_NAMING = ("email", "firstname", "lastname")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A contact to be created there; `email` is its normal form, "" without a usable one.

    `archived` is the record that it had until it was deleted here.
    """

    held: Held
    payload: Mapping[str, str]
    email: str
    archived: RecordId | None


def create(
    work: Work, people: Sequence[Held], archived: Mapping[ContactId, RecordId], pending: Mapping[ContactId, Pending]
) -> Flight[None]:
    """Create records for contacts without one, or link them with the record that has their e-mail.

    `archived`: the records that we archived when their contacts were deleted here. Only a person can restore those.
    """
    if not people:
        return
    work.portal = ensure_own_id(work.app, work.ws, work.portal, work.client)
    candidates = [_candidate(work, held, archived.get(held.id)) for held in people]
    emails = sorted({one.email for one in candidates if one.email})
    there: Mapping[str, Record] = {}
    if emails:
        there = yield from ask(partial(work.client.read_many, emails, work.ask, id_property="email"))
    with work.step() as tx:
        fresh = _adopt(tx, work, candidates, there, pending)
        intents = outbox.announce(tx, work.portal_id, [_intent(work, one) for one in fresh], work.now)
    if intents:
        yield from _send(work, intents, pending)


def _candidate(work: Work, held: Held, archived: RecordId | None) -> _Candidate:
    payload = {name: value for name, value in properties_of(held.fields, work.mapping).items() if not blank(value)}
    return _Candidate(held, payload, _email_of(payload), archived)


def _email_of(properties: Mapping[str, str]) -> str:
    """The e-mail in its normal form; "" without a usable one."""
    email = normalise_email(properties.get("email", ""))
    return email if isinstance(email, str) else ""


def _intent(work: Work, one: _Candidate) -> Intent:
    return Intent(one.held.id, "create", one.payload, {_ID: one.archived} if one.archived else {}, None, work.run.id)


def _adopt(
    tx: Tx,
    work: Work,
    candidates: Sequence[_Candidate],
    there: Mapping[str, Record],
    pending: Mapping[ContactId, Pending],
) -> list[_Candidate]:
    """Link those whose record exists; refuse those that cannot be told apart; the rest are to be created."""
    ledger, fresh = Ledger(work, work.now), []
    claimed: set[str] = set()
    for one in sorted(candidates, key=lambda c: c.held.id):
        problem = _problem(tx, work, one, claimed)
        record = there.get(one.email)
        if problem:
            _refuse(tx, work, one.held.id, *problem, pending)
        elif record is not None:
            adopt(tx, ledger, one.held, record, pending)
        else:
            fresh.append(one)
        claimed.update([one.email] if one.email else [])
    ledger.flush(tx)
    return fresh


def _problem(tx: Tx, work: Work, one: _Candidate, claimed: set[str]) -> tuple[FailureClass, str, str] | None:
    if not one.payload:
        return FailureClass.VALIDATION, _EMPTY, _FILL
    if one.email and (one.email in claimed or _is_linked_elsewhere(tx, work, one)):
        return FailureClass.DUPLICATE_KEY, _TAKEN, _MERGE
    if not has_own_id(work) and not one.email:
        return FailureClass.SCOPE, _NEEDS_SCOPE, _GRANT
    return None


def _is_linked_elsewhere(tx: Tx, work: Work, one: _Candidate) -> bool:
    """Whether another contact with this e-mail holds its record, or will: the older one is created first."""
    others = [c for c in contacts.holders(tx, "email", [one.email]).get(one.email, []) if c != one.held.id]
    linked = links.of_contacts(tx, work.portal_id, others)
    return any(other in linked and linked[other].shadow.get("email", "").casefold() == one.email for other in others)


def own_value_of(work: Work, intent: Intent) -> str:
    """What our own property holds in the record that a create makes."""
    return own_value(work, intent.contact_id, intent.observed.get(_ID, ""))


def has_own_id(work: Work) -> bool:
    """Whether the portal has our own unique property, so that a create can be repeated safely."""
    return bool(work.portal.account.get("own_id"))


def adopt(
    tx: Tx, ledger: Ledger, held: Held, record: Record, pending: Mapping[ContactId, Pending], *, by_key: bool = True
) -> None:
    """Link a contact with a record that exists, without a base: nothing is known to have changed."""
    work = ledger.work
    known = links.of_records(tx, work.portal_id, [record.id]).get(record.id)
    owner = contacts.held(tx, [known.contact_id]).get(known.contact_id) if known else None
    if known is not None and owner is not None and owner.deleted_at is None and owner.id != held.id:
        is_main = _email_of(record.properties) == _email_of(properties_of(held.fields, work.mapping))
        why, fix = (_TAKEN, _MERGE) if is_main else (_FURTHER, _TAKE_OFF)
        _refuse(tx, work, held.id, FailureClass.DUPLICATE_KEY, why, fix, pending)
        return
    if by_key and work.settings.match_by is MatchBy.NONE:
        _refuse(tx, work, held.id, FailureClass.DUPLICATE_KEY, _NOT_MATCHED, _MERGE, pending)
        return
    if known is not None:
        links.remove(tx, work.portal_id, [record.id])
    _leave(tx, work, held.id)
    link = Link(
        record.id, held.id, LinkState.LIVE, {}, kept(record.properties), record.updated_at, ledger.at, work.run.id
    )
    links.insert_many(tx, work.portal_id, [link])
    ledger.observed.append(Observed(held.id, record.id, link.shadow, changed_at=record.updated_at))
    ledger.links[link.record_id], changeset = reconcile(tx, ledger, link, held, fields_of(record, work.mapping))
    if held.id in pending and not changeset.to_remote:
        # Otherwise the note is needed: what the record has yet to get is sent with the next batch.
        outbox.done(tx, [pending[held.id]])
    failing.clear(tx, work, [held.id])


def _refuse(
    tx: Tx, work: Work, contact: ContactId, kind: FailureClass, why: str, fix: str, pending: Mapping[ContactId, Pending]
) -> None:
    failing.put(tx, work, contact_key(contact), kind, why, fix, contact=contact, pending=pending.get(contact))


def _send(work: Work, intents: Sequence[Intent], pending: Mapping[ContactId, Pending]) -> Flight[None]:
    with announced(work, intents):
        outcomes = yield from ask(partial(_upsert, work, intents))
    records = yield from ask(partial(_made, work, outcomes))
    with work.step() as tx:
        ledger = Ledger(work, work.now)
        held = contacts.held(tx, [intent.contact_id for intent in intents])
        for intent, outcome in zip(intents, outcomes, strict=True):
            _settle(tx, ledger, intent, outcome, held.get(intent.contact_id), records, pending)
        ledger.flush(tx)


def _upsert(work: Work, intents: Sequence[Intent]) -> list[Outcome]:
    """By our own property where the portal has it, so that a repeated create makes no second record; else by e-mail."""
    if has_own_id(work):
        return work.client.upsert_many(
            [Write(own_value_of(work, intent), intent.payload) for intent in intents], OWN_ID_PROPERTY
        )
    names = [item.property for item in work.mapping if item.direction.value != "in"]
    # By e-mail, HubSpot blanks what is not sent: every mapped property goes, and only to a record that is new.
    return work.client.upsert_many(
        [Write(i.payload["email"], {name: i.payload.get(name, "") for name in names}) for i in intents], "email"
    )


def _made(work: Work, outcomes: Sequence[Outcome]) -> Mapping[str, Record]:
    """The records that HubSpot made, and those that stand in the way."""
    made = [str(outcome.record.id) for outcome in outcomes if outcome.record is not None]
    clashing = [o.error.existing_id for o in outcomes if isinstance(o.error, BadRequest) and o.error.existing_id]
    return work.client.read_many([*made, *clashing], work.ask) if made or clashing else {}


def _settle(
    tx: Tx,
    ledger: Ledger,
    intent: Intent,
    outcome: Outcome,
    held: Held | None,
    records: Mapping[str, Record],
    pending: Mapping[ContactId, Pending],
) -> None:
    work, item = ledger.work, pending.get(intent.contact_id)
    if outcome.record is not None:
        record = records.get(str(outcome.record.id), outcome.record)
        confirm(tx, ledger, intent, record, held, created=outcome.created is not False)
        outbox.done(tx, [item] if item else [])
        return
    error = outcome.error
    assert error is not None
    if not failing.is_refusal(error):
        # It may have happened: the intent stays open, and the next run looks.
        failing.note(tx, work, contact_key(intent.contact_id), error, contact=intent.contact_id, pending=item)
        return
    outbox.close(tx, [intent.id], "dropped")
    existing = records.get(error.existing_id or "") if isinstance(error, BadRequest) else None
    if existing is not None and held is not None:
        adopt(tx, ledger, held, existing, pending)
    elif isinstance(error, BadRequest) and _is_nameless(intent, error):
        failing.put(
            tx, work, contact_key(intent.contact_id), FailureClass.VALIDATION, _NAMELESS, _NAME,
            contact=intent.contact_id, pending=item, raw=error.raw,
        )  # fmt: skip
    else:
        _note(tx, work, intent.contact_id, error, item)


def _is_nameless(intent: Intent, error: BadRequest) -> bool:
    """Whether a contact was refused for want of a name or an e-mail: it has none, and no value is wrong."""
    wrong = {refusal.property for refusal in refusals(error)} & intent.payload.keys()
    return error.status == 400 and not wrong and intent.payload.keys().isdisjoint(_NAMING)


def _note(tx: Tx, work: Work, contact: ContactId, error: HubSpotError, item: Pending | None) -> None:
    failing.note(tx, work, contact_key(contact), error, contact=contact, pending=item)


def confirm(tx: Tx, ledger: Ledger, intent: Intent, record: Record, held: Held | None, *, created: bool) -> None:
    """A create came about: link the two, with what was sent and what HubSpot kept of it as the base."""
    work = ledger.work
    link = link_created(ledger, intent, record, held, created=created)
    known = links.of_records(tx, work.portal_id, [record.id]).get(record.id)
    if known is not None and known.contact_id not in (intent.contact_id, links.NOBODY):
        failing.put(
            tx, work, contact_key(intent.contact_id), FailureClass.DUPLICATE_KEY, _TAKEN, _MERGE,
            contact=intent.contact_id, record=RecordId(record.id),
        )  # fmt: skip
    else:
        links.remove(tx, work.portal_id, [record.id])
        if _ID in intent.observed:
            _leave(tx, work, intent.contact_id)
        links.insert_many(tx, work.portal_id, [replace(link, base={**link.base})])
        ledger.observed.append(Observed(intent.contact_id, record.id, link.shadow, changed_at=record.updated_at))
        failing.clear(tx, work, [intent.contact_id])
        work.counts["pushed_created"] += 1
    outbox.close(tx, [intent.id], "confirmed")


def _leave(tx: Tx, work: Work, contact: ContactId) -> None:
    """A contact that gets a record now leaves the one that was archived."""
    old = links.of_contacts(tx, work.portal_id, [contact]).get(contact)
    if old is not None:
        links.save_many(tx, work.portal_id, [follow.left(old)])
