"""Which contacts a list shows, in which order, with which columns: all of it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from mercuri.core.contact import PortalId
from mercuri.store.pages import Query
from mercuri.web.pages import contact_columns, contact_filters

#: Rows of one page.
PAGE = 50
#: What can be chosen, by name in the address: key -> how it is said. The first choice is "any".
CHOICES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "status": (
        "Subscription",
        {"": "Any subscription", "subscribed": "Subscribed", "not_subscribed": "Not Subscribed"},
    ),
    "health": (
        "HubSpot state",
        {"": "Any HubSpot state", "in_sync": "In sync", "excluded": "Excluded", "failing": "Failing"},
    ),
    "duplicate": ("Duplicates", {"": "Duplicates or not", "true": "Duplicates", "false": "No duplicates"}),
    "reach": (
        "Phone and e-mail",
        {
            "": "Any address",
            "phone": "Has a phone",
            "-phone": "No phone",
            "email": "Has an e-mail",
            "-email": "No e-mail",
        },
    ),
}
SORTS = ("name", "-name", "updated", "-updated", "created", "-created", "email", "-email")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; a value that nobody offers counts as none."""

    choices: Mapping[str, str]
    conditions: Mapping[str, str]
    q: str = ""
    sort: str = "name"
    cursor: str = ""
    shown: int = 0
    portal: str = ""
    columns: tuple[str, ...] = contact_columns.DEFAULT

    def query(self, now: datetime) -> Query:
        """The same for the store."""
        reach = self.choices["reach"]
        tests = [contact_filters.field_test(*item) for item in self.conditions.items()]
        return Query(
            q=self.q,
            status=self.choices["status"] or None,
            duplicate={"true": True, "false": False}.get(self.choices["duplicate"]),
            portal=PortalId(self.portal) if self.portal else None,
            health=self.choices["health"] or None,
            has_phone={"phone": True, "-phone": False}.get(reach),
            has_email={"email": True, "-email": False}.get(reach),
            created=contact_filters.span(self.conditions.get("created", ""), now),
            updated=contact_filters.span(self.conditions.get("updated", ""), now),
            fields=tuple(test for test in tests if test),
            sort=self.sort,
            cursor=self.cursor or None,
            limit=PAGE,
        )

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the order is asked for."""
        return bool(self.q or self.portal or self.conditions or any(self.choices.values()))

    @property
    def unlisted(self) -> dict[str, str]:
        """The parts that the boxes above the list do not show."""
        return {"portal": self.portal, **self.conditions} if self.portal else dict(self.conditions)

    @property
    def cleared(self) -> dict[str, str]:
        """What takes the search and all filters away, for `address`."""
        return dict.fromkeys(("q", *CHOICES, "portal", *self.conditions), "")

    @property
    def parts(self) -> dict[str, str]:
        """The parts of the address by name, but for the columns; those left out are as usual."""
        sort = "" if self.sort == "name" else self.sort
        given = {"q": self.q, **self.choices, "portal": self.portal, **self.conditions, "sort": sort}
        return {name: value for name, value in given.items() if value}

    @property
    def text(self) -> str:
        """What stands behind the `?` of the address, as short as it can be."""
        return self.address().partition("?")[2]

    def address(self, path: str = "/contacts", **other: str | int) -> str:
        """The address of this list with some parts replaced, as short as it can be; it starts at the first page."""
        parts = {**self.parts, "columns": ",".join(self.columns)} | {name: str(value) for name, value in other.items()}
        usual = {"sort": "name", "columns": ",".join(contact_columns.DEFAULT)}
        query = {name: value for name, value in parts.items() if value and value != usual.get(name)}
        return f"{path}?{urlencode(query, safe=',:')}" if query else path


def read(parameters: Mapping[str, str]) -> Asked:
    """What an address asks for.

    >>> read({"q": " ana ", "status": "subscribed", "sort": "nonsense"}).address()
    '/contacts?q=ana&status=subscribed'
    """
    choices = {name: parameters.get(name, "") for name in CHOICES}
    shown = parameters.get("shown", "")
    return Asked(
        q=parameters.get("q", "").strip()[:200],
        sort=sort if (sort := parameters.get("sort", "name")) in SORTS else "name",
        cursor=parameters.get("cursor", ""),
        shown=int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 7 else 0,
        portal=parameters.get("portal", "")[:50],
        columns=contact_columns.read(parameters.get("columns", "")[:1000]),
        conditions=contact_filters.read(parameters),
        choices={name: value if value in CHOICES[name][1] else "" for name, value in choices.items()},
    )
