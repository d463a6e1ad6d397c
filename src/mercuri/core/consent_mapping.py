"""What a portal's schema allows of a consent mapping: which properties may speak, and which no longer can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mercuri.core.mapping import Problem
from mercuri.core.properties import Property
from mercuri.core.settings import CHANNEL_NAMES, ConsentItem, SettingRefused, consent_refusal


@dataclass(frozen=True, slots=True)
class Offer:
    """A property that may speak of consent, with the item to suggest, or the reason why it never can."""

    property: Property
    item: ConsentItem | None
    refusal: str | None


def checked(
    items: Iterable[ConsentItem], before: Sequence[ConsentItem], properties: Iterable[Property]
) -> tuple[ConsentItem, ...]:
    """The items, each knowing the options that its property has now; those that stand in `before` stay as they were.

    Raises SettingRefused for a new item that names a property the portal does not have, or one that its kind cannot
    read. Where nothing is known of the schema, nothing is refused.
    """
    there = {p.name: p for p in properties if not p.archived}
    return tuple(_same(item, before) or _learned(item, there) for item in items)


def names_unknown_option(
    items: Iterable[ConsentItem], before: Sequence[ConsentItem], properties: Iterable[Property]
) -> bool:
    """Whether an item that is not in `before` gives a meaning to an option that its property is not known to have.

    The option may be younger than what is known of the properties.
    """
    there = {p.name: p for p in properties if not p.archived and not p.external_options}
    new = [item for item in items if item.kind == "enumeration" and _same(item, before) is None]
    return any(_unknown_options(item, there[item.property]) for item in new if item.property in there)


def new_options(item: ConsentItem, found: Property) -> list[str]:
    """The options that a property got after it was mapped, and that have been given no meaning."""
    if not item.options or found.external_options:
        return []
    return [option.value for option in found.options if option.value not in {*item.values, *item.options}]


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


def _same(item: ConsentItem, before: Iterable[ConsentItem]) -> ConsentItem | None:
    return next((one for one in before if item in (one, replace(one, options=()))), None)


def _learned(item: ConsentItem, there: Mapping[str, Property]) -> ConsentItem:
    if not there:
        return item
    missing = [name for name in item.properties if name not in there]
    if missing:
        raise SettingRefused(f"This portal has no property {missing[0]}. Nothing was saved; refresh the properties.")
    learned = _with_options(item, there[item.properties[0]])
    wrong = [problem for problem in consent_problems([learned], there.values()) if problem.what in ("type", "option")]
    if wrong:
        raise SettingRefused(f"{wrong[0].sentence} Nothing was saved.")
    return learned


def _with_options(item: ConsentItem, found: Property) -> ConsentItem:
    if item.kind != "enumeration" or item.options or found.external_options:
        return item
    return replace(item, options=tuple(option.value for option in found.options))


def _consent_problems_of(item: ConsentItem, name: str, found: Property | None) -> list[Problem]:
    if found is None:
        channel = CHANNEL_NAMES[item.channel]
        gone = f"{name} no longer exists in HubSpot. What it said about {channel} stays; it says nothing new."
        return [Problem(name, "gone", gone)]
    problems = []
    if not _can_read(item, found):
        changed = f"{name} is {_type_of(found)} in HubSpot; kind {item.kind} cannot read that. It says nothing for now."
        problems.append(Problem(name, "type", changed))
    if found.read_only and name != item.in_property:
        locked = f"{name} cannot be written in HubSpot: an opt-out given here cannot be passed on through it."
        problems.append(Problem(name, "read_only", locked))
    if item.kind == "enumeration" and not found.external_options:
        problems += _option_problems(item, found)
    return problems


def _can_read(item: ConsentItem, found: Property) -> bool:
    if found.type not in _CONSENT_TYPES[item.kind]:
        return False
    is_flag = item.kind in ("opt_in", "opt_out") and found.type == "enumeration" and not found.external_options
    return not is_flag or {option.value for option in found.options} <= {"true", "false"}


def _type_of(found: Property) -> str:
    return "a list of options" if found.type == "enumeration" else found.type


def _option_problems(item: ConsentItem, found: Property) -> list[Problem]:
    problems, name, channel = [], found.name, CHANNEL_NAMES[item.channel]
    lost = _unknown_options(item, found)
    if lost:
        # Where the options of then are not known, it was one of them: it would not have been mapped otherwise.
        was_there = not item.options or lost[0] in item.options
        has = "no longer has the option" if was_there else "has no option"
        gone = f"{name} {has} {lost[0]!r}, which was to speak of {channel}."
        problems.append(Problem(name, "option", gone))
    new = new_options(item, found)
    if new:
        named = f"the new option {new[0]!r}" if len(new) == 1 else f"{len(new)} new options, {new[0]!r} among them"
        says = f"{name} has {named} in HubSpot. It says nothing about {channel} until it is given a meaning."
        problems.append(Problem(name, "new_option", says))
    return problems


def _unknown_options(item: ConsentItem, found: Property) -> list[str]:
    return sorted(set(item.values) - {option.value for option in found.options})


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
