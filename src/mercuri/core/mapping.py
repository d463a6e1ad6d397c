"""HubSpot property <-> our field, both ways, as data; and what a portal's schema still allows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from mercuri.core.contact import Record
from mercuri.core.diff import Rule
from mercuri.core.properties import Property
from mercuri.core.settings import (
    DEFAULT_MAPPING,
    OWN_ID_PROPERTY,
    Direction,
    MappingItem,
    PortalSettings,
)

#: Asked for with every record: its id and times, what was merged into it, further e-mails, and our own id there.
ALWAYS_ASKED = (
    "hs_object_id",
    "createdate",
    "lastmodifieddate",
    "hs_merged_object_ids",
    "hs_calculated_merged_vids",
    "hs_additional_emails",
    OWN_ID_PROPERTY,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a mapped property now: `what` is gone, type, read_only, option or new_option."""

    property: str
    what: str
    sentence: str


def properties_to_ask(settings: PortalSettings) -> tuple[str, ...]:
    """All properties that a read must name, each once: mapped, consent, and those the sync itself needs."""
    mapped = [item.property for item in settings.mapping]
    consent = [name for item in settings.consent_mapping for name in item.properties]
    return tuple(dict.fromkeys([*mapped, *consent, *ALWAYS_ASKED]))


def fields_of(record: Record, mapping: Iterable[MappingItem]) -> dict[str, str]:
    """The record's values by our field names. A property that was not asked for is left out: it is not empty."""
    return {item.field: record.properties[item.property] for item in mapping if item.property in record.properties}


def properties_of(fields: Mapping[str, str], mapping: Iterable[MappingItem]) -> dict[str, str]:
    """Our values by HubSpot's property names, where the direction allows writing there."""
    return {
        item.property: fields[item.field]
        for item in mapping
        if item.direction is not Direction.IN and item.field in fields
    }


def rules_for(
    settings: PortalSettings, mapping: Iterable[MappingItem], norm: Callable[[str, str], str]
) -> dict[str, Rule]:
    """The rule of each mapped field, for `three_way`. `norm(kind, raw)` gives the form for equality.

    `mapping` is the part of the settings' mapping that the portal's schema can carry now (`active_mapping`).
    """
    wanted = {item.field: item.direction for item in settings.mapping}
    return {
        item.field: Rule(
            norm=_norm_of(kind_of(item), norm),
            direction=item.direction,
            policy=item.policy or settings.conflict_policy,
            blanks=settings.blanks,
            is_locked=item.direction is Direction.IN is not wanted[item.field],
        )
        for item in mapping
    }


def kind_of(item: MappingItem) -> str:
    """How the field's values are compared: email, phone, name, number, date, datetime, bool, enumeration or text."""
    if item.field in ("email", "phone"):
        return item.field
    if item.field in ("first_name", "last_name"):
        return "name"
    return {"phone_number": "phone"}.get(item.type, item.type if item.type in _COMPARED_BY_TYPE else "text")


def with_types(mapping: Iterable[MappingItem], properties: Iterable[Property]) -> tuple[MappingItem, ...]:
    """The mapping with the types that the schema gives where they were not yet known; done once, when it is saved."""
    types = {p.name: p.type for p in properties if not p.archived}
    return tuple(item if item.type else replace(item, type=types.get(item.property, "")) for item in mapping)


def suggest_mapping(properties: Iterable[Property]) -> tuple[MappingItem, ...]:
    """The default mapping, as far as the portal has its properties."""
    there = {p.name: p for p in properties if not p.archived}
    return tuple(replace(item, type=there[item.property].type) for item in DEFAULT_MAPPING if item.property in there)


def mappable(properties: Iterable[Property]) -> tuple[Property, ...]:
    """The properties that a person may choose to map as a field, by label."""
    fit = (
        p
        for p in properties
        if not p.archived and not p.hidden and p.type not in _NOT_TEXT and p.name not in ALWAYS_ASKED
    )
    return tuple(sorted(fit, key=lambda p: (p.label.casefold(), p.name)))


def schema_problems(mapping: Iterable[MappingItem], properties: Iterable[Property]) -> list[Problem]:
    """What the portal's schema no longer allows of the mapping. Values stay untouched; the fields pause."""
    there = {p.name: p for p in properties if not p.archived}
    found = (_problem_of(item, there.get(item.property)) for item in mapping)
    return [problem for problem in found if problem]


def active_mapping(mapping: Iterable[MappingItem], properties: Iterable[Property]) -> tuple[MappingItem, ...]:
    """The mapping less what the schema cannot carry; a read-only property still comes in."""
    items = tuple(mapping)
    problems = {problem.property: problem.what for problem in schema_problems(items, properties)}
    readable = [item for item in items if problems.get(item.property) in (None, "read_only")]
    kept = [
        replace(item, direction=Direction.IN) if item.property in problems else item
        for item in readable
        if not (item.property in problems and item.direction is Direction.OUT)
    ]
    return tuple(kept)


_COMPARED_BY_TYPE = frozenset({"number", "date", "datetime", "bool", "enumeration"})
_NOT_TEXT = frozenset({"json", "object_coordinates"})


def _norm_of(kind: str, norm: Callable[[str, str], str]) -> Callable[[str], str]:
    return lambda raw: norm(kind, raw)


def _family(type_: str) -> str:
    return "string" if type_ == "phone_number" else type_


def _problem_of(item: MappingItem, found: Property | None) -> Problem | None:
    if found is None:
        gone = f"{item.property} no longer exists in HubSpot. {item.field} is paused and keeps its values; map it anew."
        return Problem(item.property, "gone", gone)
    if item.type and _family(found.type) != _family(item.type):
        changed = (
            f"{item.property} is now {found.type} in HubSpot (was {item.type}). {item.field} is paused: map it anew."
        )
        return Problem(item.property, "type", changed)
    if item.direction is not Direction.IN and (found.read_only or found.calculated):
        locked = f"{item.property} cannot be written in HubSpot. {item.field} only comes in."
        return Problem(item.property, "read_only", locked)
    return None
