"""Numbers and times as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from mercuri.core.normalise import readable_form

_STEPS = ((timedelta(days=365), "y"), (timedelta(days=30), "mo"), (timedelta(days=1), "d"), (timedelta(hours=1), "h"))
#: What is younger than this is "just now".
_NOW = timedelta(seconds=45)


def number(value: int) -> str:
    """A count with its thousands apart.

    >>> number(1024331)
    '1,024,331'
    """
    return f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> counted(1, "contact"), counted(1204, "contact")
    ('1 contact', '1,204 contacts')
    """
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def at_least(value: int, is_exact: bool) -> str:
    """A count that may be a lower bound.

    >>> at_least(1204, True), at_least(10000, False)
    ('1,204', '10,000+')
    """
    return f"{number(value)}{'' if is_exact else '+'}"


def span(length: timedelta) -> str:
    """A length of time in its largest unit, a minute at least.

    >>> span(timedelta(seconds=50)), span(timedelta(hours=30))
    ('1 min', '1 d')
    """
    for size, word in _STEPS:
        if length >= size:
            return f"{length // size} {word}"
    return f"{max(1, length // timedelta(minutes=1))} min"


def lasted(length: timedelta) -> str:
    """How long something took, to the second.

    >>> lasted(timedelta(seconds=7.4)), lasted(timedelta(minutes=61, seconds=5))
    ('7 s', '61 min 5 s')
    """
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def ago(at: datetime, now: datetime, bare: bool = False) -> str:
    """How long ago something was, or how far ahead it is; `bare` leaves the word away.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    >>> ago(noon, noon), ago(noon - timedelta(hours=2), noon), ago(noon + timedelta(minutes=5), noon)
    ('just now', '2 h ago', 'in 5 min')
    """
    gone = now - at
    if abs(gone) < _NOW:
        return "just now"
    words = span(abs(gone))
    if bare:
        return words
    return f"{words} ago" if gone > timedelta() else f"in {words}"


def moment(at: datetime) -> str:
    """A moment in full.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 11, 30, 9, 5, tzinfo=UTC))
    '30 Nov 2026, 09:05 UTC'
    """
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def field_name(name: str) -> str:
    """A field as people call it.

    >>> field_name("first_name"), field_name("email"), field_name("custom.shoe_size"), field_name("*")
    ('First name', 'E-mail', 'Shoe size', 'Contact')
    """
    fixed = {"email": "E-mail", "*": "Contact"}
    plain = name.removeprefix("custom.").replace("_", " ")
    return fixed.get(name) or plain[:1].upper() + plain[1:]


def readable(value: str, kinds: Mapping[str, str], field: str) -> str:
    """A field's value as people read it, by the kinds of all fields."""
    return readable_form(kinds.get(field, ""), value)


def shared(value: str) -> str:
    """A value that contacts share, as people write it.

    >>> shared("+19713049235;ext=204"), shared("info@example.org")
    ('+19713049235 ext. 204', 'info@example.org')
    """
    return value.replace(";ext=", " ext. ")
