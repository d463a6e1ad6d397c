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
    ConsentItem,
    Direction,
    MappingItem,
    PortalSettings,
    consent_refusal,
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
    """Why a mapped property cannot carry values now: `what` is gone, type, read_only or option."""

    property: str
    what: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A property that may speak of consent, with the item to suggest, or the reason why it never can."""

    property: Property
    item: ConsentItem | None
    refusal: str | None


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
    return {
        item.field: Rule(
            norm=_norm_of(kind_of(item), norm),
            direction=item.direction,
            policy=item.policy or settings.conflict_policy,
            blanks=settings.blanks,
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


def consent_problems(mapping: Iterable[ConsentItem], properties: Iterable[Property]) -> list[Problem]:
    """What the schema no longer allows of the consent mapping. Nothing opens or closes by that alone."""
    there = {p.name: p for p in properties if not p.archived}
    return [
        problem
        for item in mapping
        for name in item.properties
        for problem in _consent_problems_of(item, name, there.get(name))
    ]


def consent_offers(properties: Iterable[Property]) -> list[Offer]:
    """The properties that may speak of consent: opt-ins, opt-outs, enumerations, date pairs, then the refused."""
    there = {p.name: p for p in properties if not p.archived}
    offers = [offer for p in there.values() if (offer := _offer(p, there)) is not None]
    return sorted(offers, key=lambda offer: (_rank(offer), offer.property.label.casefold(), offer.property.name))


_COMPARED_BY_TYPE = frozenset({"number", "date", "datetime", "bool", "enumeration"})
_NOT_TEXT = frozenset({"json", "object_coordinates"})
_ORDER = ("opt_in", "opt_out", "enumeration", "date_pair")
_SPEAKING: tuple[str, ...] = (
    *("sms", "text", "whatsapp", "mobile", "consent", "permission", "subscribe"),
    *("opt-in", "opt in", "opt_in", "optin", "opted", "opt-out", "opt out", "opt_out", "optout"),
)
_OUT_WORDS = (
    "opt-out",
    "opt out",
    "opt_out",
    "optout",
    "opted_out",
    "opted out",
    "unsubscribe",
    "do not",
    "do_not",
    "stop",
)


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


def _consent_problems_of(item: ConsentItem, name: str, found: Property | None) -> list[Problem]:
    if found is None:
        gone = f"{name} no longer exists in HubSpot. What it said about {item.channel} stays; it says nothing new."
        return [Problem(name, "gone", gone)]
    problems = []
    if found.type not in _CONSENT_TYPES[item.kind]:
        changed = f"{name} is {found.type} in HubSpot; kind {item.kind} cannot read that. It says nothing for now."
        problems.append(Problem(name, "type", changed))
    if found.read_only and name != item.in_property:
        locked = f"{name} cannot be written in HubSpot: an opt-out given here cannot be passed on through it."
        problems.append(Problem(name, "read_only", locked))
    missing = sorted(set(item.values) - {option.value for option in found.options})
    if missing and not found.external_options:
        lost = f"{name} no longer has the option {missing[0]!r}, which was to speak of {item.channel}."
        problems.append(Problem(name, "option", lost))
    return problems


#: The types of property that each kind can read (`hs_email_optout_<id>` are enumerations of true and false).
_CONSENT_TYPES: Mapping[str, tuple[str, ...]] = {
    "opt_in": ("bool", "enumeration"),
    "opt_out": ("bool", "enumeration"),
    "enumeration": ("enumeration",),
    "date_pair": ("date", "datetime"),
}


def _offer(found: Property, there: Mapping[str, Property]) -> Offer | None:
    text = f"{found.name} {found.label}".casefold()
    channel = _channel_of(found, text)
    refusal = consent_refusal(found.name, channel)
    if refusal:
        return Offer(found, None, refusal)
    if not any(word in text for word in _SPEAKING) or (found.hubspot_defined and channel != "email"):
        return None
    item = _suggestion(found, text, channel, there)
    return Offer(found, item, None) if item else None


def _suggestion(found: Property, text: str, channel: str, there: Mapping[str, Property]) -> ConsentItem | None:
    says_out = any(word in text for word in _OUT_WORDS)
    if found.type == "bool" or found.name.startswith("hs_email_optout"):
        return ConsentItem(channel, "opt_out" if says_out else "opt_in", found.name)
    if found.type == "enumeration":
        # Which option means what is for a person to say: a guess here would message people who said no.
        return ConsentItem(channel, "enumeration", found.name)
    partner = found.name.replace("opted_in", "opted_out")
    if found.type in _CONSENT_TYPES["date_pair"] and partner != found.name and partner in there:
        return ConsentItem(channel, "date_pair", in_property=found.name, out_property=partner)
    return None


def _channel_of(found: Property, text: str) -> str:
    if found.name.startswith("hs_email_optout") or "email" in text or "e-mail" in text:
        return "email"
    return "whatsapp" if "whatsapp" in text else "sms"


def _rank(offer: Offer) -> int:
    return _ORDER.index(offer.item.kind) if offer.item else len(_ORDER)
