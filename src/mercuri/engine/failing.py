"""Failures: why one contact or record could not be synced, in words, and when it is tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from mercuri.core.contact import ContactId, RecordId
from mercuri.core.retry import WAITS_FOR, FailureClass, class_of, next_try
from mercuri.engine.work import Work
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited
from mercuri.hubspot.errors import explain
from mercuri.store import failures, outbox
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
    told = explain(error)
    retry_after = timedelta(seconds=error.retry_after) if isinstance(error, RateLimited) else None
    raw = error.raw if isinstance(error, BadRequest) else ""
    kind = class_of(error)
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
    """Put down a failure in our own words."""
    tries = failures.attempts(tx, work.portal_id, [key]).get(key, 0) + 1
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
