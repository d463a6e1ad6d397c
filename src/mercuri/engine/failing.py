"""Failures: why one contact or record could not be synced, in words, and when it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial

from mercuri.core.contact import ContactId, PortalId, RecordId
from mercuri.core.retry import WAITS_FOR, FailureClass, class_of, next_try
from mercuri.engine.work import Work
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited
from mercuri.hubspot.errors import GONE, explain, refusals
from mercuri.store import failures, links, outbox, portals
from mercuri.store.database import Tx
from mercuri.store.failures import Failure
from mercuri.store.outbox import Pending

Norm = Callable[[str], str]


def is_refusal(error: HubSpotError | None) -> bool:
    """Whether HubSpot answered that it did not do it; without an answer nobody knows."""
    return isinstance(error, (BadRequest, MissingScope, NotThere, RateLimited))


def note(
    tx: Tx,
    work: Work,
    key: str,
    error: HubSpotError,
    *,
    contact: ContactId | None = None,
    record: RecordId | None = None,
    pending: Pending | None = None,
) -> None:
    """Put down what HubSpot refused; the pending work is tried again by the ladder, or waits for an edit."""
    told = explain(error, partial(portals.property_of, tx, work.portal_id))
    retry_after = timedelta(seconds=error.retry_after) if isinstance(error, RateLimited) else None
    raw = error.raw if isinstance(error, BadRequest) else ""
    kind = class_of(error)
    if any(refusal.code == GONE for refusal in refusals(error)):
        work.note_reading(tx, schema_at=None)  # what we know of the properties is old: the next run asks
    put(tx, work, key, kind, told.message, told.fix, contact=contact, record=record, pending=pending, raw=raw,
        retry_after=retry_after)  # fmt: skip


def put(
    tx: Tx,
    work: Work,
    key: str,
    kind: FailureClass,
    message: str,
    fix: str = "",
    *,
    contact: ContactId | None = None,
    record: RecordId | None = None,
    pending: Pending | None = None,
    raw: str = "",
    retry_after: timedelta | None = None,
) -> None:
    """Put down a failure in our own words; a contact's is counted, once in each run."""
    known = failures.of_keys(tx, work.portal_id, [key]).get(key)
    if contact is not None and (known is None or known.run != work.run.id):
        _count(tx, work, contact)
    tries = known.attempts + 1 if known else 1
    again = next_try(kind, tries, work.now, retry_after=retry_after)
    failures.put(
        tx,
        Failure(
            work.portal_id,
            key,
            kind.value,
            message,
            fix or WAITS_FOR.get(kind, "Nothing to do: it is tried again."),
            work.now,
            contact,
            record,
            work.run.id,
            raw,
            tries,
            again,
        ),
    )
    if pending is not None:
        if again is None:
            outbox.done(tx, [pending])
        else:
            outbox.postpone(tx, [pending], again)


def _count(tx: Tx, work: Work, contact: ContactId) -> None:
    link = links.of_contacts(tx, work.portal_id, [contact]).get(contact)
    if link is not None and link.run == work.run.id:
        work.recount("failing")
    else:
        work.count("failing")


def clear(tx: Tx, work: Work, contacts: Collection[ContactId]) -> None:
    """These contacts work again, and those that the run counted as failing are counted as in sync."""
    known = failures.of_keys(tx, work.portal_id, [contact_key(contact) for contact in contacts])
    again = sum(failure.run == work.run.id for failure in known.values())
    work.counts["failing"] -= again
    work.counts["unchanged"] += again
    failures.clear(tx, work.portal_id, list(known))


def met(tx: Tx, work: Work, contacts: Collection[ContactId]) -> dict[ContactId, bool]:
    """Which of these contacts fail, and whether this run has counted that already; from now on it has."""
    known = failures.of_keys(tx, work.portal_id, [contact_key(contact) for contact in contacts])
    failures.met(tx, work.portal_id, [key for key, one in known.items() if one.run != work.run.id], work.run.id)
    return {one.contact_id: one.run == work.run.id for one in known.values() if one.contact_id is not None}


def try_again(tx: Tx, portal: PortalId, at: datetime) -> None:
    """HubSpot's properties or the mapping changed: values that were refused may be taken now."""
    waiting = failures.waiting(tx, portal, FailureClass.VALIDATION.value)
    outbox.note_many(tx, portal, "contact", {str(contact): {} for contact in waiting}, at)


def contact_key(contact: ContactId) -> str:
    """The key of a contact's failure."""
    return f"contact:{contact}"
