"""Which columns the list of contacts shows, and in which order; the name stands first and always."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mercuri.web import words

#: Key -> its heading, and the order that pressing it gives.
FIXED = {
    "phone": ("Phone", ""),
    "email": ("E-mail", "email"),
    "status": ("Subscription", ""),
    "hubspot": ("HubSpot", ""),
    "updated": ("Updated", "updated"),
    "created": ("Created", "created"),
}
DEFAULT = ("phone", "email", "status", "hubspot", "updated")
#: The most that fit on a screen.
MOST = 10
#: What a card on a phone has room for beside the fields that were chosen.
_ON_CARDS = ("phone", "status")
#: How the names of own fields begin.
_OWN = "custom."


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it is shown."""

    key: str
    heading: str
    sort: str = ""

    @property
    def style(self) -> str:
        """Its CSS classes: one for its width, and whether a card leaves it out."""
        is_fixed = self.key in FIXED
        return f"of-{self.key if is_fixed else 'own'}{' optional' if is_fixed and self.key not in _ON_CARDS else ''}"


def read(text: str) -> tuple[str, ...]:
    """The columns that an address asks for, each once; the usual ones where it asks for none that there can be.

    >>> read("status,custom.city,nonsense,status"), read("")
    (('status', 'custom.city'), ('phone', 'email', 'status', 'hubspot', 'updated'))
    """
    asked = dict.fromkeys(key for key in text.split(",") if key in FIXED or key.startswith(_OWN))
    return tuple(asked)[:MOST] or DEFAULT


def moved(keys: Sequence[str], key: str) -> tuple[str, ...]:
    """The columns with one of them a place earlier.

    >>> moved(("phone", "email", "status"), "status")
    ('phone', 'status', 'email')
    """
    order = list(keys)
    place = order.index(key) if key in order else 0
    if place:
        order[place - 1 : place + 1] = [order[place], order[place - 1]]
    return tuple(order)


def shown(keys: Collection[str]) -> list[Column]:
    """The columns with these keys."""
    return [Column(key, *FIXED[key]) if key in FIXED else Column(key, words.field_name(key)) for key in keys]


def others(keys: Collection[str], own_fields: Collection[str]) -> list[Column]:
    """The columns that could be shown too; `own_fields` are the custom fields that contacts may have."""
    return shown([key for key in (*FIXED, *sorted(own_fields)) if key not in keys])
