"""Moments as the database keeps them: whole milliseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch; what is finer is cut off. The moment must be aware.

    >>> to_ms(datetime(2026, 1, 1, tzinfo=UTC))
    1767225600000
    """
    return (moment - _EPOCH) // _MS


def from_ms(value: int) -> datetime:
    """The moment in UTC.

    >>> from_ms(1767225600001).isoformat()
    '2026-01-01T00:00:00.001000+00:00'
    """
    return _EPOCH + value * _MS


def maybe_ms(moment: datetime | None) -> int | None:
    """`to_ms` where there may be no moment."""
    return None if moment is None else to_ms(moment)


def maybe_moment(value: int | None) -> datetime | None:
    """`from_ms` where there may be no moment."""
    return None if value is None else from_ms(value)


def whole(moment: datetime) -> datetime:
    """A moment as the database keeps it, so that what is read back is the same.

    >>> whole(datetime(2026, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)).isoformat()
    '2026-01-01T00:00:00.001000+00:00'
    """
    return moment if moment.tzinfo is UTC and not moment.microsecond % 1000 else from_ms(to_ms(moment))
