"""Filters by a time or a custom field: how they stand in the address, how they are said, what they ask the store.

`updated=7d` is the last seven days, `created=2026-11-01..2026-11-30` both days and what is between (in UTC), and
`custom.city=is:Paris`, `contains:par`, `filled` or `empty` what the field must be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from mercuri.store.conditions import FieldTest, Span
from mercuri.web import words

TIMES = {"updated": "Updated", "created": "Created"}
#: How a field can be judged; the first two need a value.
HOW: Mapping[Literal["is", "contains", "filled", "empty"], str] = {
    "is": "is",
    "contains": "contains",
    "filled": "is filled",
    "empty": "is empty",
}
#: Spans up to now.
LATEST = {"1d": "in the last 24 hours", "7d": "in the last 7 days", "30d": "in the last 30 days"}
#: Most fields of one list, and the longest value.
MOST, LONGEST = 5, 200
_FIELD = re.compile(r"custom\.[a-z][a-z0-9_]{0,62}")
_DAYS = re.compile(r"([1-9][0-9]{0,3})d")
#: A moment for those who only ask whether a text is a span.
_ANY = datetime(2026, 1, 1, tzinfo=UTC)


def read(parameters: Mapping[str, str]) -> dict[str, str]:
    """The conditions of an address by name; what makes no sense counts as none.

    >>> read({"updated": "7d", "created": "soon", "custom.city": "is:Paris", "custom.zip": "near:75001"})
    {'updated': '7d', 'custom.city': 'is:Paris'}
    """
    times = {name: parameters[name] for name in TIMES if name in parameters and span(parameters[name], _ANY)}
    fields = [(name, text) for name, text in parameters.items() if _FIELD.fullmatch(name) and field_test(name, text)]
    return times | dict(fields[:MOST])


def composed(form: Mapping[str, str]) -> dict[str, str]:
    """The condition that the form above the list asks for; a value or days that are missing take it away.

    >>> composed({"of": "custom.city", "how": "contains", "value": " par "})
    {'custom.city': 'contains:par'}
    >>> composed({"of": "updated", "last": "7d", "from": "2026-11-01"}), composed({"of": "created", "last": ""})
    ({'updated': '2026-11-01..'}, {'created': ''})
    >>> composed({"of": "path", "how": "https://example.com"})
    {}
    """
    of = form.get("of", "")
    if of in TIMES:
        days = f"{form.get('from', '')}..{form.get('until', '')}"
        return {of: days if days != ".." else form.get("last", "")}
    if not _FIELD.fullmatch(of):
        return {}
    how, value = form.get("how", ""), form.get("value", "").strip()
    needs_value = how in ("is", "contains")
    return {of: "" if needs_value and not value else f"{how}:{value}" if needs_value else how}


def span(text: str, now: datetime) -> Span | None:
    """The span that a text means, None where it means none.

    >>> span("2026-11-01..2026-11-30", _ANY).end.isoformat()
    '2026-12-01T00:00:00+00:00'
    """
    if days := _DAYS.fullmatch(text):
        return Span(now - timedelta(days=int(days[1])))
    first, dots, last = text.partition("..")
    try:
        start, end = (datetime.combine(date.fromisoformat(day), time(), UTC) if day else None for day in (first, last))
        return Span(start, end and end + timedelta(days=1)) if dots and (start or end) else None
    except (ValueError, OverflowError):
        return None


def field_test(name: str, text: str) -> FieldTest | None:
    """The test of a field that a text means, None where it means none."""
    word, _, value = text.partition(":")
    for how in HOW:
        if word == how and bool(value) == (how in ("is", "contains")) and len(value) <= LONGEST:
            return FieldTest(name.removeprefix("custom."), how, value)
    return None


def said(name: str, text: str) -> str:
    """A condition as people read it.

    >>> said("custom.shoe_size", "is:44"), said("custom.city", "empty"), said("updated", "7d")
    ('Shoe size is 44', 'City is empty', 'Updated in the last 7 days')
    >>> said("created", "2026-11-01.."), said("created", "2026-11-01..2026-11-30")
    ('Created from 2026-11-01', 'Created from 2026-11-01 until 2026-11-30')
    """
    if name not in TIMES:
        word, _, value = text.partition(":")
        known = {str(how): said for how, said in HOW.items()}
        return f"{words.field_name(name)} {known[word]} {value}".rstrip()
    if days := _DAYS.fullmatch(text):
        return f"{TIMES[name]} {LATEST.get(text, f'in the last {days[1]} days')}"
    first, _, last = text.partition("..")
    return " ".join([TIMES[name], *(f"{word} {day}" for word, day in (("from", first), ("until", last)) if day)])
