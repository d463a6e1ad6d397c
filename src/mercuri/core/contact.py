"""The nouns: contacts and fields as we hold them, records and properties as HubSpot holds them.

Every value of a field or property is text. `""` is an empty one; a name that is absent was not asked for,
and the two must never be mixed up: sending `""` clears a property.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, NewType

WorkspaceId = NewType("WorkspaceId", int)
PortalId = NewType("PortalId", str)
ContactId = NewType("ContactId", int)
RecordId = NewType("RecordId", str)
RunId = NewType("RunId", int)

#: Fields of a contact by name: `first_name`, `last_name`, `phone`, `email`, and `custom.<name>`.
Fields = Mapping[str, str]
#: The four that every contact has.
STANDARD = ("first_name", "last_name", "phone", "email")


class LinkState(enum.Enum):
    """How a contact and a record are paired."""

    LIVE = "live"
    ASLEEP = "asleep"  # one side is archived or deleted; a restore wakes the same link
    BLOCKED = "blocked"  # a failing record: kept, shown, tried again by its ladder
    MERGED = "merged"  # the record went into another one in HubSpot
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True)
class PropertyVersion:
    """One entry of a property's history in HubSpot, newest first in a list of them."""

    value: str
    at: datetime | None
    source: str = ""  # HubSpot's sourceType: CRM_UI, INTEGRATION, ...
    source_id: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A contact as HubSpot holds it: only the properties that were asked for; null came as `""`."""

    id: RecordId
    properties: Mapping[str, str]
    created_at: datetime | None = None
    updated_at: datetime | None = None
    archived: bool = False
    archived_at: datetime | None = None
    history: Mapping[str, tuple[PropertyVersion, ...]] = field(default_factory=dict)
    merged_ids: tuple[RecordId, ...] = ()  # hs_merged_object_ids and hs_calculated_merged_vids, when asked for


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `kind` is hubspot, user, import, api, run or merge; `by` names who or what."""

    kind: str
    by: str
    at: datetime
    run: RunId | None = None


class Address(NamedTuple):
    """One phone number or e-mail of a contact. `normal` is E.164 or the canonical e-mail, None when unusable.

    A tuple, since a load makes several for each contact, at a quarter of what a frozen dataclass costs.
    """

    kind: str  # "phone" | "email"
    raw: str
    normal: str | None
    label: str = ""  # the field or property it came from
    primary: bool = False
    problem: str = ""  # why there is no normal form, in plain words
    extension: str = ""  # of a phone: not dialled by a message, but two extensions are two people


@dataclass(frozen=True, slots=True)
class ConsentShown:
    """The state of one address on one channel as a contact shows it."""

    channel: str
    address: str
    state: str  # subscribed | unsubscribed | never
    reason: str


@dataclass(frozen=True, slots=True)
class LinkShown:
    """One portal's record of a contact, as shown: state is in_sync, excluded, failing or asleep."""

    portal_id: PortalId
    record_id: RecordId
    state: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A person as we hold them."""

    id: ContactId
    fields: Fields
    origins: Mapping[str, Origin]
    addresses: tuple[Address, ...]
    subscription_status: str  # subscribed | not_subscribed
    consent: tuple[ConsentShown, ...]
    hubspot: tuple[LinkShown, ...]
    duplicate_group: ContactId | None
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    merged_into: ContactId | None = None

    @property
    def name(self) -> str:
        """First and last name as one text; empty when there is neither."""
        return " ".join(part for part in (self.fields.get("first_name", ""), self.fields.get("last_name", "")) if part)
