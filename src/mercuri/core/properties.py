"""What a HubSpot property is: type, options, read-only; and what may be done with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of an enumeration: `value` travels on the wire, `label` is for people."""

    value: str
    label: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a portal's contacts, as its schema describes it (HubSpot properties API 2026-09)."""

    name: str
    label: str
    type: str  # bool, enumeration, date, datetime, string, number, phone_number, json, object_coordinates
    field_type: str = ""
    options: tuple[Option, ...] = ()
    read_only: bool = False
    calculated: bool = False
    hidden: bool = False
    unique: bool = False
    archived: bool = False
    external_options: bool = False
    description: str = ""
    group: str = ""
    hubspot_defined: bool = False
