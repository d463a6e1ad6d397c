"""What a contact property is, and whether HubSpot takes a value for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mercuri.sandbox.answers import Refusal, invalid, to_text
from mercuri.sandbox.switches import Switches
from mercuri.sandbox.times import DAY_MS, is_date, iso, iso_date, parse_instant

TYPES: Mapping[str, tuple[str, ...]] = {
    "bool": ("booleancheckbox", "calculation_equation"),
    "enumeration": ("booleancheckbox", "checkbox", "radio", "select", "calculation_equation"),
    "date": ("date",),
    "datetime": ("date",),
    "string": ("text", "textarea", "html", "file", "phonenumber", "calculation_equation"),
    "number": ("number", "calculation_equation"),
    "phone_number": ("phonenumber",),
}
MOST_CHARACTERS = 65_536
_EMAIL = re.compile(r"[^@\s,;<>()]+@[^@\s,;<>()]+\.[A-Za-z0-9-]{2,}$")
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_E164 = re.compile(r"\+[\d\s().-]{8,}$")


@dataclass(frozen=True, slots=True)
class Property:
    """One property of contacts, as the properties API describes it."""

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    group: str = "contactinformation"
    description: str = ""
    options: tuple[tuple[str, str], ...] = ()
    unique: bool = False
    read_only: bool = False
    calculated: bool = False
    hidden: bool = False
    defined_by_hubspot: bool = True
    external_options: bool = False
    form_field: bool = False
    created_ms: int = 0
    updated_ms: int = 0
    archived_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The property object of the API."""
        body: dict[str, Any] = {
            "updatedAt": iso(self.updated_ms),
            "createdAt": iso(self.created_ms),
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [
                {"label": label, "value": value, "displayOrder": n, "hidden": False}
                for n, (label, value) in enumerate(self.options)
            ],
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": self.external_options,
            "archived": self.archived_ms is not None,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "hubspotDefined": self.defined_by_hubspot,
            "modificationMetadata": {
                "archivable": not self.defined_by_hubspot,
                "readOnlyDefinition": self.defined_by_hubspot,
                "readOnlyValue": self.read_only,
            },
            "formField": self.form_field,
            "dataSensitivity": "non_sensitive",
        }
        if self.type in ("enumeration", "bool"):
            body["modificationMetadata"]["readOnlyOptions"] = self.defined_by_hubspot
        if self.external_options:
            body["referencedObjectType"] = "OWNER"
        if self.archived_ms is not None:
            body["archivedAt"] = iso(self.archived_ms)
        return body


@dataclass(frozen=True, slots=True)
class BadValue:
    """Why a value was not taken, as an item of "Property values were not valid"."""

    name: str
    error: str
    message: str

    def to_json(self, portal_id: int) -> dict[str, Any]:
        """The item inside the message."""
        return {
            "isValid": False,
            "message": self.message,
            "error": self.error,
            "name": self.name,
            "localizedErrorMessage": self.message,
            "portalId": portal_id,
        }


def invalid_values(wrong: list[BadValue], portal_id: int) -> Refusal:
    """The 400 that names every bad value, as JSON inside its message and again in `errors`."""
    items = to_text([each.to_json(portal_id) for each in wrong])
    errors = [{"message": each.message, "code": each.error, "context": {"propertyName": [each.name]}} for each in wrong]
    return invalid(f"Property values were not valid: {items}", errors=errors)


def check_value(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    """The text as HubSpot would store it ("" clears), or why it is refused.

    `present` is the value that stands now: a multi-checkbox value with a leading `;` appends to it.
    """
    if prop.read_only:
        code = "READ_ONLY_VALUE" if switches.read_only_code == "READ_ONLY_VALUE" else "UNWRITABLE_PROPERTY"
        return BadValue(prop.name, code, f'"{prop.name}" is a calculated property; its value cannot be set.')
    if switches.rewriting == "trims":
        text = text.strip()
    if text == "":
        return ""
    return _BY_TYPE[prop.type](prop, text, present, switches)


def _string(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    if len(text) > MOST_CHARACTERS:
        return BadValue(
            prop.name, "PROPERTY_VALUE_TOO_LONG", f"{prop.name} is longer than {MOST_CHARACTERS} characters"
        )
    if prop.name == "email":
        address = text.strip().lower()
        return (
            address if _EMAIL.match(address) else BadValue("email", "INVALID_EMAIL", f"Email address {text} is invalid")
        )
    if prop.field_type == "phonenumber" and switches.rewriting == "trims" and _E164.match(text):
        return "+" + re.sub(r"\D", "", text)
    return text


def _number(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    # Kept as written: "5000.00" stands beside "3000" in captures.
    return text if _NUMBER.match(text) else BadValue(prop.name, "INVALID_INTEGER", f"{text} was not a valid number.")


def _date(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    if is_date(text):
        return text
    ms = parse_instant(text)
    if ms is None:
        return BadValue(prop.name, "INVALID_DATE", f"{text} was not a valid date.")
    if ms % DAY_MS:
        clock = iso(ms)[11:].rstrip("Z")
        return BadValue(prop.name, "INVALID_DATE", f"{text} is at {clock} UTC, not midnight!")
    return iso_date(ms)


def _datetime(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    ms = parse_instant(text)
    return BadValue(prop.name, "INVALID_DATE", f"{text} was not a valid datetime.") if ms is None else iso(ms)


def _bool(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    return text if text in ("true", "false") else _not_an_option(prop, text, ("true", "false"))


def _enumeration(prop: Property, text: str, present: str, switches: Switches) -> str | BadValue:
    allowed = tuple(value for _, value in prop.options)
    if prop.name == "hs_additional_emails":
        return _addresses(text, present)
    if prop.external_options:
        return text if text.isdigit() else _not_an_option(prop, text, allowed)
    if prop.field_type != "checkbox":
        return text if text in allowed else _not_an_option(prop, text, allowed)
    chosen = [each for each in text.split(";") if each]
    wrong = next((each for each in chosen if each not in allowed), None)
    if wrong is not None:
        return _not_an_option(prop, wrong, allowed)
    kept = [each for each in present.split(";") if each] if text.startswith(";") else []
    return ";".join(dict.fromkeys(kept + chosen))


def _addresses(text: str, present: str) -> str | BadValue:
    listed = [each.strip().lower() for each in (present + text if text.startswith(";") else text).split(";")]
    wrong = next((each for each in listed if each and not _EMAIL.match(each)), None)
    if wrong is not None:
        return BadValue("hs_additional_emails", "INVALID_EMAIL", f"Email address {wrong} is invalid")
    return ";".join(dict.fromkeys(filter(None, listed)))


def _not_an_option(prop: Property, text: str, allowed: tuple[str, ...]) -> BadValue:
    return BadValue(prop.name, "INVALID_OPTION", f"{text} was not one of the allowed options: [{', '.join(allowed)}]")


_BY_TYPE = {
    "string": _string,
    "phone_number": _string,
    "number": _number,
    "date": _date,
    "datetime": _datetime,
    "bool": _bool,
    "enumeration": _enumeration,
}
