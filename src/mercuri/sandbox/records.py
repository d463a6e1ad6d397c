"""One contact as the portal keeps it, its history, and who changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something: an app by API, a person on the screen, or HubSpot itself."""

    source: str
    source_id: str = ""
    user_id: int | None = None


def person(user_id: int = 28604240) -> Author:
    """A user at HubSpot's screen."""
    return Author("CRM_UI", f"userId:{user_id}", user_id)


HUBSPOT = Author("CALCULATED", "RecalculationJob")
IMPORT = Author("IMPORT", "1")


class Entry(NamedTuple):
    """One value a property once had."""

    value: str
    at_ms: int
    author: Author


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a record: `kind` is HubSpot's word for it (creation, merge, ...)."""

    kind: str
    record_id: int
    at_ms: int
    author: Author
    name: str = ""
    value: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


class Record:
    """A contact. `values` holds filled properties only; a write replaces it, so that a reader may keep it."""

    __slots__ = ("archived_ms", "created_by", "created_ms", "history", "id", "modified_ms", "text_id", "values")

    def __init__(
        self, record_id: int, values: dict[str, str], created_ms: int, modified_ms: int, created_by: Author
    ) -> None:
        self.id = record_id
        self.text_id = str(record_id)
        self.values = values
        self.created_ms = created_ms
        self.modified_ms = modified_ms
        self.created_by = created_by
        self.archived_ms: int | None = None
        #: Newest first, only for properties that changed since the record was made.
        self.history: dict[str, list[Entry]] = {}

    def entries(self, name: str) -> list[Entry]:
        """History of one property, newest first."""
        known = self.history.get(name)
        if known is not None:
            return known
        value = self.values.get(name)
        return [Entry(value, self.created_ms, self.created_by)] if value is not None else []

    def note(self, name: str, value: str, at_ms: int, author: Author) -> None:
        """Remember that the property now has this value; call it before `values` is replaced."""
        self.history[name] = [Entry(value, at_ms, author), *self.entries(name)]

    @property
    def addresses(self) -> list[str]:
        """Primary and additional e-mail addresses."""
        values = self.values
        more = values.get("hs_additional_emails", "")
        return [each for each in (values.get("email", ""), *more.split(";")) if each]
