"""What travels over the API, in and out. Names follow the program's words; times are UTC, ISO 8601."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from mercuri.core.contact import STANDARD
from mercuri.core.contact import Address as CoreAddress
from mercuri.core.contact import Contact as CoreContact

Text = Annotated[str, Field(max_length=65_536)]
#: A database keeps ids in 64 bits.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Out(BaseModel):
    """An answer; read from the attributes of the program's own values."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """A request body; a key that is not known is refused, since a misspelt one would be silently ignored."""

    model_config = ConfigDict(extra="forbid")


# --- contacts ---------------------------------------------------------------------------------------------------


class PhoneOut(Out):
    """A phone number: as typed, and its normal form where it has one."""

    raw: str
    e164: str | None
    label: str = ""
    primary: bool = False
    extension: str = ""
    problem: str = ""


class EmailOut(Out):
    """An e-mail: as typed, and its normal form where it has one."""

    raw: str
    normal: str | None
    label: str = ""
    primary: bool = False
    problem: str = ""


class ConsentLine(Out):
    """The state of one address of a contact on one channel."""

    channel: str
    address: str
    state: str
    reason: str


class HubSpotLink(Out):
    """One portal's record of a contact."""

    portal_id: str
    record_id: str
    state: str


class Contact(Out):
    """A person as Mercuri holds them."""

    id: int
    first_name: str
    last_name: str
    phone: str
    email: str
    phones: list[PhoneOut]
    emails: list[EmailOut]
    subscription_status: Literal["subscribed", "not_subscribed"]
    consent: list[ConsentLine]
    custom: dict[str, str]
    hubspot: list[HubSpotLink]
    duplicate_group: int | None
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @classmethod
    def of(cls, contact: CoreContact) -> Contact:
        """The contact as the API shows it."""
        standard = {name: contact.fields.get(name, "") for name in STANDARD}
        custom = {n.removeprefix("custom."): v for n, v in contact.fields.items() if n.startswith("custom.")}
        return cls(
            id=contact.id,
            **standard,
            phones=[_phone(a) for a in contact.addresses if a.kind == "phone"],
            emails=[_email(a) for a in contact.addresses if a.kind == "email"],
            subscription_status="subscribed" if contact.subscription_status == "subscribed" else "not_subscribed",
            consent=[ConsentLine.model_validate(line) for line in contact.consent],
            custom=custom,
            hubspot=[HubSpotLink.model_validate(link) for link in contact.hubspot],
            duplicate_group=contact.duplicate_group,
            version=contact.version,
            created_at=contact.created_at,
            updated_at=contact.updated_at,
            deleted_at=contact.deleted_at,
        )


def _phone(address: CoreAddress) -> PhoneOut:
    return PhoneOut(
        raw=address.raw,
        e164=address.normal,
        label=address.label,
        primary=address.primary,
        extension=address.extension,
        problem=address.problem,
    )


def _email(address: CoreAddress) -> EmailOut:
    return EmailOut(
        raw=address.raw, normal=address.normal, label=address.label, primary=address.primary, problem=address.problem
    )


class ContactPage(Out):
    """One page; `next_cursor` is null on the last one. `total` counts to 10,000 and says when it stopped."""

    items: list[Contact]
    next_cursor: str | None
    total: int
    total_is_exact: bool


class ContactIn(In):
    """Values to set. A field that is left out keeps its value; an empty text clears it."""

    first_name: Text | None = None
    last_name: Text | None = None
    phone: Text | None = None
    email: Text | None = None
    custom: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], Text] = {}

    def fields(self) -> dict[str, str]:
        """The values by our field names, only those that were given."""
        given = {name: getattr(self, name) for name in STANDARD if getattr(self, name) is not None}
        return given | {f"custom.{name}": value for name, value in self.custom.items()}


class ContactChange(ContactIn):
    """Values to change. Null is refused: it could mean to clear the field, or that nothing is known of it."""

    @field_validator(*STANDARD)
    @classmethod
    def _is_said(cls, value: str | None) -> str:
        if value is None:
            raise ValueError('null says nothing: leave the field out to keep its value, send "" to clear it')
        return value


class ChangeOut(Out):
    """One value that changed on one side; field "*" is the contact or record as a whole."""

    contact_id: int | None
    record_id: str | None
    field: str
    side: Literal["mercuri", "hubspot"]
    before: str
    after: str
    reason: str
    actor: str = ""
    run_id: int | None = Field(default=None, validation_alias="run")
    at: datetime | None = None
    planned: bool = False


class ChangePage(Out):
    """Changes, oldest first in a run and newest first of a contact."""

    items: list[ChangeOut]
    next_cursor: str | None


# --- runs -------------------------------------------------------------------------------------------------------


class Counts(Out):
    """What a run did; fetched = created + updated + unchanged + excluded + failing."""

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    excluded: int = 0
    failing: int = 0
    pushed_created: int = 0
    pushed_updated: int = 0
    conflicts: int = 0
    archived: int = 0


class Calls(Out):
    """Requests sent to HubSpot, by kind."""

    list: int = 0
    search: int = 0
    read: int = 0
    write: int = 0
    other: int = 0
    throttled: int = 0


class Plan(Out):
    """What a preview would do: contacts here, records in HubSpot, conflicts, requests."""

    here: int = 0
    hubspot: int = 0
    conflicts: int = 0
    api_calls: int = 0


def _plan(value: object) -> object:
    """Only a preview has a plan; any other run's is empty."""
    return value or None


class Run(Out):
    """One execution, with an end and counts."""

    id: int
    portal_id: str
    kind: Literal["full", "incremental", "undo"]
    trigger: str
    preview: bool
    state: Literal["queued", "running", "waiting", "done", "failed", "cancelled", "stopped"]
    stage: str = ""
    counts: Counts
    api_calls: Calls = Field(validation_alias="calls")
    expected: int | None = None
    plan: Annotated[Plan | None, BeforeValidator(_plan)] = None
    undo_of: int | None = None
    undone_by: int | None = None
    requested_by: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    resume_at: datetime | None = None
    message: str = ""


class RunPage(Out):
    """Runs, newest first."""

    items: list[Run]
    next_cursor: str | None


class RunIn(In):
    """A run to ask for; `portal_id` may be left out where one portal is connected."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    portal_id: str | None = None
    full: bool = False
    preview: bool = False


class FailureOut(Out):
    """A record that does not sync: why, what to fix, and when it is tried next (null: after an edit)."""

    id: int | None = None
    contact_id: int | None
    record_id: str | None
    kind: str = Field(serialization_alias="class")
    message: str
    fix: str
    raw: str = ""
    attempts: int
    next_at: datetime | None


class FailurePage(Out):
    """Failures, the oldest first."""

    items: list[FailureOut]
    next_cursor: str | None = None


# --- conflicts --------------------------------------------------------------------------------------------------


class ConflictSide(Out):
    """One side's value: since when, and who set it."""

    value: str
    changed_at: datetime | None
    by: str


class ConflictOut(Out):
    """Two values of one field, both changed since they last agreed."""

    id: int
    contact_id: int
    field: str
    mercuri: ConflictSide
    hubspot: ConflictSide
    state: str
    portal_id: str = ""
    record_id: str = ""
    resolution: str = ""
    resolved_by: str = ""


class ConflictPage(Out):
    """Conflicts, newest first."""

    items: list[ConflictOut]
    next_cursor: str | None


class ResolveIn(In):
    """The choice: one side's value, or `other` with a third."""

    take: Literal["hubspot", "mercuri", "other"]
    value: Text | None = None


# --- portals ----------------------------------------------------------------------------------------------------


class PortalOut(Out):
    """One connected HubSpot account. Tokens are never shown."""

    portal_id: str
    name: str
    kind: Literal["oauth", "static"]
    state: str
    problem: str = ""
    scopes: list[str] = []
    watermark: datetime | None = None
    next_at: datetime | None = None
    hint_at: datetime | None = None


class PortalIn(In):
    """A static token to connect with."""

    token: Annotated[str, Field(min_length=1, max_length=1000)]


class OptionOut(Out):
    """One choice of an enumeration."""

    value: str
    label: str
    hidden: bool = False


class PropertyOut(Out):
    """A property of the portal's contacts."""

    name: str
    label: str
    type: str
    field_type: str = ""
    options: list[OptionOut] = []
    read_only: bool = False
    calculated: bool = False
    hidden: bool = False
    archived: bool = False
    description: str = ""
    group: str = ""


Settings = Mapping[str, object]


class Problem(BaseModel):
    """What went wrong (RFC 9457); `present` is the thing as it is now, where it changed meanwhile."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    present: object | None = None
    errors: list[dict[str, object]] | None = None
