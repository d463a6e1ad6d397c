"""Which texts are a schedule: `off`, `every 15m`, or a cron line of five fields."""

from __future__ import annotations

import re
from datetime import timedelta

_EVERY = re.compile(r"every\s+([1-9]\d{0,3})\s*([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Lowest and highest number of each field, and its names: minute, hour, day of the month, month, day of the week.
_CRON: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)


def is_schedule(text: str) -> bool:
    """Whether a schedule can be read from the text.

    >>> [is_schedule(text) for text in ("off", "every 15m", "0 6 * * mon-fri", "every day")]
    [True, True, True, False]
    """
    fields = text.lower().split()
    cron = len(fields) == len(_CRON) and all(_fits(field, *limits) for field, limits in zip(fields, _CRON, strict=True))
    return text.strip() == "off" or interval(text) is not None or cron


def interval(text: str) -> timedelta | None:
    """The time between two runs of an `every ...` schedule; None for any other text."""
    every = _EVERY.fullmatch(text.strip())
    return int(every[1]) * _UNITS[every[2]] if every else None


def _fits(field: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    return all(_fits_part(part, low, high, names) for part in field.split(","))


def _fits_part(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and 0 < int(step) <= high):
        return False
    if span == "*":
        return True
    ends = [_number(end, low, names) for end in span.split("-")]
    known = [end for end in ends if end is not None and low <= end <= high]
    return len(known) == len(ends) <= 2 and known == sorted(known)


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isascii() and text.isdigit() else None
