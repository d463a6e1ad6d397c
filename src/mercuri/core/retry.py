"""Given why something failed, and how often: when to try again, or what to wait for."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta

from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited, Unauthorised, Unavailable


class FailureClass(enum.Enum):
    """What kind of trouble it is; each has its own way out."""

    AUTH = "auth"
    SCOPE = "scope"
    VALIDATION = "validation"
    DUPLICATE_KEY = "duplicate_key"
    RATE = "rate"
    GONE = "gone"
    SERVER = "server"


#: Minutes before the next try, by the number of tries that failed. After the tenth it is tried once a night.
LADDER = (1, 5, 20, 60, 120, 180, 240, 360, 480, 720)
#: The hour of the nightly try, UTC.
NIGHT_HOUR = 2
#: How long to stand back from a limit that names no time: HubSpot's burst policy counts in ten seconds.
UNNAMED_LIMIT = timedelta(seconds=10)

#: What each class without a next time waits for.
WAITS_FOR: Mapping[FailureClass, str] = {
    FailureClass.AUTH: "Connect the portal again.",
    FailureClass.SCOPE: "Grant the missing permission in HubSpot.",
    FailureClass.VALIDATION: "Correct the value, or the property's options in HubSpot.",
    FailureClass.DUPLICATE_KEY: "Merge the two, or change the value that both have.",
    FailureClass.GONE: "Restore the record in HubSpot, or leave it.",
}


def next_try(
    kind: FailureClass, attempts: int, now: datetime, *, retry_after: timedelta | None = None
) -> datetime | None:
    """When to try again after `attempts` failed tries (1 or more), or None: it waits for a person or an edit.

    A mistake in the data is never tried again blindly. `retry_after` is the wait that HubSpot named, if it did.
    """
    if kind in WAITS_FOR:
        return None
    if kind is FailureClass.RATE:
        return now + (UNNAMED_LIMIT if retry_after is None else retry_after)
    if attempts > len(LADDER):
        return _next_night(now)
    return now + timedelta(minutes=LADDER[max(attempts, 1) - 1])


def class_of(error: HubSpotError) -> FailureClass:
    """The class of an error that HubSpot, or the way to it, gave."""
    for kind, failure in _CLASSES:
        if isinstance(error, kind):
            return failure
    return (
        FailureClass.DUPLICATE_KEY if isinstance(error, BadRequest) and error.status == 409 else FailureClass.VALIDATION
    )


_CLASSES: tuple[tuple[type[HubSpotError], FailureClass], ...] = (
    (Unauthorised, FailureClass.AUTH),
    (MissingScope, FailureClass.SCOPE),
    (RateLimited, FailureClass.RATE),
    (Unavailable, FailureClass.SERVER),
    (NotThere, FailureClass.GONE),
)


def _next_night(now: datetime) -> datetime:
    tonight = now.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return tonight if tonight > now else tonight + timedelta(days=1)
