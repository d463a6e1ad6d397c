"""What the duplicates pages show: a list that keeps its filters, and members side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from mercuri.core.contact import STANDARD, Contact
from mercuri.core.survivor import Choice
from mercuri.engine.dedupe import GroupView, Proposal
from mercuri.store.duplicates import SORTS, GroupQuery

PAGE = 50
#: Fields whose values are all kept as addresses, whichever of them is the first one.
UNITED = frozenset({"phone", "email"})
REASONS = {
    "": "Any reason",
    "both": "E-mail and phone",
    "email": "Same e-mail",
    "phone": "Same phone number",
}
SORT_WORDS = {"certain": "Most certain first", "size": "Largest first", "newest": "Newest first"}
ONLY = {"": "All groups", "linked": "Several in HubSpot", "consent": "Consent differs"}
KIND_WORDS = {
    "email": "same e-mail",
    "phone": "same phone",
    "phone_variant": "one number with different extensions, or with and without one",
    "email_canonical": "one Gmail address, but for dots or a tag",
    "name_company": "same name and company",
}


@dataclass(frozen=True, slots=True)
class RecordsOf:
    """A portal in which several of the compared contacts have a record."""

    portal: str
    count: int
    two_way: bool
    hold_hours: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for; a value that nobody offers counts as none."""

    reason: str = ""
    only: str = ""
    sort: str = "certain"
    cursor: str = ""

    @property
    def query(self) -> GroupQuery:
        """The same for the store."""
        return GroupQuery(
            self.reason, self.only == "linked", self.only == "consent", self.sort, self.cursor or None, PAGE
        )

    @property
    def is_filtered(self) -> bool:
        """Whether some groups are left out."""
        return bool(self.reason or self.only)

    def address(self, path: str = "/duplicates", **other: str) -> str:
        """An address that keeps the filters and the order, as short as it can be."""
        parts = {"reason": self.reason, "only": self.only, "sort": "" if self.sort == "certain" else self.sort, **other}
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"{path}?{query}" if query else path


def read(parameters: Mapping[str, str]) -> Asked:
    """What an address asks for.

    >>> read({"reason": "email", "sort": "nonsense"}).address("/duplicates/7")
    '/duplicates/7?reason=email'
    """
    reason, only, sort = (parameters.get(name, "") for name in ("reason", "only", "sort"))
    return Asked(
        reason if reason in REASONS else "",
        only if only in ONLY else "",
        sort if sort in SORTS else "certain",
        parameters.get("cursor", "")[:100],
    )


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of the comparison: each member's value, and the one that is proposed."""

    name: str
    values: Sequence[str]
    choice: Choice
    differs: bool
    united: bool


def field_rows(people: Sequence[Contact], proposal: Proposal) -> list[FieldRow]:
    """The fields of all members, those that differ first."""
    names = dict.fromkeys((*STANDARD, *sorted(name for name in proposal.fields if name not in STANDARD)))
    rows = []
    for name in names:
        values = [contact.fields.get(name, "") for contact in people]
        if any(values):
            rows.append(FieldRow(name, values, proposal.fields[name], len(set(values)) > 1, name in UNITED))
    return sorted(rows, key=lambda row: not row.differs)


def picks(form: Mapping[str, str], proposal: Proposal) -> dict[str, int]:
    """The values that a person chose otherwise than proposed: field -> contact."""
    chosen = {
        name.removeprefix("field."): int(value)
        for name, value in form.items()
        if name.startswith("field.") and is_id(value)
    }
    return {
        name: id_
        for name, id_ in chosen.items()
        if name not in proposal.fields or proposal.fields[name].from_contact != id_
    }


def ids_in(text: str) -> list[int]:
    """The contact ids in a list separated by commas; anything else in it is left out.

    >>> ids_in("7,x,9")
    [7, 9]
    """
    return [int(part) for part in text.split(",") if is_id(part)]


def is_id(text: str) -> bool:
    """Whether a text is a contact's id."""
    return text.isascii() and text.isdigit() and len(text) < 19


def name_of(contact: Contact) -> str:
    """What a contact goes by."""
    return contact.name or contact.fields.get("email", "") or contact.fields.get("phone", "") or f"Contact {contact.id}"


def names_of(view: GroupView, most: int = 4) -> str:
    """The members of a group in a few words."""
    named = [name_of(contact) for contact in view.members[:most]]
    return ", ".join(named) + (f" and {view.size - most} more" if view.size > most else "")
