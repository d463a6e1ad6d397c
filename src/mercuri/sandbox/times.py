"""Instants as HubSpot writes them: milliseconds since the epoch inside, ISO 8601 UTC on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}$", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}$", re.ASCII)
#: Year 9999, as far as calendars go.
_LAST_MS = 253_402_300_799_999
DAY_MS = 86_400_000


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since the epoch of an aware datetime."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=65_536)
def iso(ms: int) -> str:
    """The instant in ISO 8601 with milliseconds, which are left out when they are zero.

    >>> iso(0), iso(1500)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500Z')
    """
    moment = _EPOCH + timedelta(milliseconds=ms)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}Z" if ms % 1000 else f"{text}Z"


@lru_cache(maxsize=262_144)
def parse_instant(text: str) -> int | None:
    """Milliseconds of an ISO text, a date or a text of epoch milliseconds; None when it is none of them.

    >>> parse_instant("1970-01-02"), parse_instant("1500"), parse_instant("soon")
    (86400000, 1500, None)
    """
    if _WHOLE.match(text):
        ms = int(text)
        return ms if 0 <= ms <= _LAST_MS else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return to_ms(moment)


def iso_date(ms: int) -> str:
    """The UTC day of an instant, `YYYY-MM-DD`."""
    return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%d")


def is_date(text: str) -> bool:
    """Is it written `YYYY-MM-DD` (and a real day)?"""
    return bool(_DATE.match(text)) and parse_instant(text) is not None
