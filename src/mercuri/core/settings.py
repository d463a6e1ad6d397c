"""What a person decides about a portal and a workspace, as data; strict in, plain JSON out.

A value that cannot be meant is refused with a sentence (`SettingRefused`), never corrected in silence: a mapping with a
slip in it writes to the wrong place in thousands of contacts. Which mapped pieces HubSpot's schema can still carry is
another question, answered by `mercuri.core.mapping`.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import phonenumbers

from mercuri.core.checks import SettingRefused as SettingRefused
from mercuri.core.checks import choice, flag, known, list_of, listed, number, text, whole
from mercuri.core.contact import STANDARD
from mercuri.core.keywords import IN_WORDS, NEUTRAL_WORDS, fold
from mercuri.core.match import CAPS, KeyKind

#: What a state of consent may speak of. A phone number has one state on `sms` and another on `whatsapp`.
CHANNELS = ("sms", "whatsapp", "email")
#: What a channel is called inside a sentence.
CHANNEL_NAMES: Mapping[str, str] = {"sms": "SMS", "whatsapp": "WhatsApp", "email": "e-mail"}
#: A property of ours in HubSpot: the contact's id, unique there, so that a repeated create makes no second record.
OWN_ID_PROPERTY = "mercuri_contact_id"
#: Properties that carry the sync itself and can never be a person's field.
RESERVED = frozenset(
    {
        "hs_object_id",
        "lastmodifieddate",
        "createdate",
        "hs_merged_object_ids",
        "hs_calculated_merged_vids",
        OWN_ID_PROPERTY,
    }
)


class Direction(enum.Enum):
    """Which way a field's values may travel."""

    BOTH = "both"
    IN = "in"  # only from HubSpot
    OUT = "out"  # only to HubSpot


class Policy(enum.Enum):
    """Who wins a true conflict: both sides changed one field, to different values."""

    HUBSPOT = "hubspot"
    MERCURI = "mercuri"
    RECENT = "recent"
    ASK = "ask"


class Blanks(enum.Enum):
    """What a value erased on one side does to the other: keep it, erase it too, or open a conflict."""

    KEEP = "keep"
    ERASE = "erase"
    ASK = "ask"


class MatchBy(enum.Enum):
    """How unlinked people are paired the first time."""

    EMAIL = "email"
    EMAIL_PHONE = "email_phone"
    NONE = "none"


class Deletions(enum.Enum):
    """What a deletion on one side does to the other."""

    KEEP = "keep"
    ARCHIVE = "archive"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class MappingItem:
    """One property paired with one field. `policy` None means the portal's; `type` "" means not yet looked up."""

    property: str
    field: str
    direction: Direction = Direction.BOTH
    policy: Policy | None = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class ConsentItem:
    """How one HubSpot property (or a pair of dates) speaks of consent on a channel.

    `values` says which options of an enumeration mean in or out; the first one listed as out is what an opt-out writes.
    `false_says_nothing` is for portals that fill an opt-in with false for everybody. `options` are those that an
    enumeration had when it was mapped: one that comes later is reported. () means that they are not known.
    """

    channel: str
    kind: str  # opt_in | opt_out | enumeration | date_pair
    property: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    in_property: str = ""
    out_property: str = ""
    false_says_nothing: bool = False
    options: tuple[str, ...] = ()

    @builtins.property  # `property` is a field here
    def properties(self) -> tuple[str, ...]:
        """The properties that it reads."""
        return (self.in_property, self.out_property) if self.kind == "date_pair" else (self.property,)


DEFAULT_MAPPING = (
    MappingItem("firstname", "first_name", type="string"),
    MappingItem("lastname", "last_name", type="string"),
    MappingItem("email", "email", type="string"),
    MappingItem("phone", "phone", type="string"),
)


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """The settings of one portal. Shares and brakes are in percent."""

    two_way: bool = False
    mapping: tuple[MappingItem, ...] = DEFAULT_MAPPING
    consent_mapping: tuple[ConsentItem, ...] = ()
    schedule: str = "off"
    journal: bool = False  # whether HubSpot's journal of events is read, where it cannot call us
    conflict_policy: Policy = Policy.HUBSPOT
    blanks: Blanks = Blanks.KEEP
    match_by: MatchBy = MatchBy.EMAIL
    deletions: Deletions = Deletions.KEEP
    delete_brake: float = 2
    burst_share: int = 90
    hold_hours: float = 24  # how long a merge waits before it is carried to HubSpot, where it cannot be undone


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """The settings of a workspace.

    Where phone numbers without a country code belong; the channel that labels show; further words that mean stop; the
    most contacts that one e-mail, or one phone number, still joins as duplicates.
    """

    default_region: str = "US"
    status_channel: str = "sms"
    stop_words: tuple[str, ...] = ()
    email_cap: int = CAPS[KeyKind.EMAIL]
    phone_cap: int = CAPS[KeyKind.PHONE]


DEFAULTS = PortalSettings()
PORTAL_KEYS = tuple(f.name for f in dataclasses.fields(PortalSettings))
WORKSPACE_KEYS = tuple(f.name for f in dataclasses.fields(WorkspaceSettings))


def from_json(key: str, text: str) -> object:
    """Read the value of one setting key from JSON text; a bare word is accepted where the value is a word.

    Raises SettingRefused with the reason.

    >>> from_json("conflict_policy", "ask")
    <Policy.ASK: 'ask'>
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        if key in ("mapping", "consent_mapping"):
            raise SettingRefused(f"{key} is not a JSON list. Nothing was saved.") from None
        value = text.strip()
    return parse(key, value)


def parse(key: str, value: object) -> object:
    """Check one setting as plain JSON data and return what it means. Raises SettingRefused with the reason."""
    reader = _READERS.get(key)
    if reader is None:
        raise SettingRefused(f"There is no setting {key!r}. Settings are: {', '.join(PORTAL_KEYS + WORKSPACE_KEYS)}.")
    return reader(key, value)


def with_json(settings: PortalSettings, key: str, text: str) -> PortalSettings:
    """The settings with one key set from JSON text, checked as a whole. Raises SettingRefused."""
    if key not in PORTAL_KEYS:
        raise SettingRefused(f"There is no portal setting {key!r}. Settings are: {', '.join(PORTAL_KEYS)}.")
    return checked(dataclasses.replace(settings, **{key: from_json(key, text)}))  # type: ignore[arg-type]  # parse() gives the key's type


def with_workspace_json(settings: WorkspaceSettings, key: str, text: str) -> WorkspaceSettings:
    """The workspace's settings with one key set from JSON text. Raises SettingRefused."""
    if key not in WORKSPACE_KEYS:
        raise SettingRefused(f"There is no workspace setting {key!r}. Settings are: {', '.join(WORKSPACE_KEYS)}.")
    return dataclasses.replace(settings, **{key: from_json(key, text)})  # type: ignore[arg-type]  # parse() gives the key's type


def from_document(document: Mapping[str, object], onto: PortalSettings = DEFAULTS) -> PortalSettings:
    """Settings from a JSON object that holds some or all keys; the rest stays as in `onto`. Raises SettingRefused."""
    unknown = [key for key in document if key not in PORTAL_KEYS]
    if unknown:
        raise SettingRefused(f"There is no portal setting {unknown[0]!r}. Settings are: {', '.join(PORTAL_KEYS)}.")
    read = {key: parse(key, value) for key, value in document.items()}
    return checked(dataclasses.replace(onto, **read))  # type: ignore[arg-type]  # parse() gives each key's type


def to_document(settings: PortalSettings | WorkspaceSettings) -> dict[str, object]:
    """All settings as plain JSON data; `from_document` reads it back to the same settings."""
    return {f.name: _plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)}


def to_json(settings: PortalSettings | WorkspaceSettings, key: str) -> str:
    """One setting as JSON text. Raises SettingRefused for an unknown key."""
    document = to_document(settings)
    if key not in document:
        raise SettingRefused(f"There is no setting {key!r}. Settings are: {', '.join(document)}.")
    return json.dumps(document[key], ensure_ascii=False)


def checked(settings: PortalSettings) -> PortalSettings:
    """The same settings, once what only shows between keys is in order. Raises SettingRefused."""
    consent = {name for item in settings.consent_mapping for name in item.properties}
    both = [item.property for item in settings.mapping if item.property in consent]
    if both:
        raise SettingRefused(
            f"{both[0]} is mapped as a field and as consent. Consent has its own rule and never travels as a field: "
            "take it out of one of the two. Nothing was saved."
        )
    return settings


def consent_refusal(property_name: str, channel: str) -> str | None:
    """Why a property can never speak of consent on a channel, or None when it can."""
    if property_name.startswith("hs_marketable_"):
        return f"{property_name} is HubSpot's billing status, not consent: paying for a contact gives no permission."
    if property_name == "hs_legal_basis":
        return "hs_legal_basis is a basis for processing data; it names no channel, so it permits no message."
    if property_name.startswith(("lifecyclestage", "hs_lifecyclestage", "hs_lead_status", "hs_list_")):
        return f"{property_name} says where a sale stands, not what the person agreed to."
    if property_name.startswith("mercuri_"):
        return f"{property_name} is written by Mercuri itself: listening to it would be hearing our own voice."
    if property_name.startswith("hs_email_optout") and channel != "email":
        return f"{property_name} speaks of e-mail only; it says nothing about {channel}."
    return None


_FIELD = re.compile(r"custom\.[a-z][a-z0-9_]{0,62}")
_PROPERTY = re.compile(r"[a-zA-Z0-9_.\-]{1,200}")


def _no_constant(name: str) -> object:
    raise SettingRefused(f"{name} is not a number that a setting can have. Nothing was saved.")


def _schedule(key: str, value: object) -> str:
    """Whether it names times is for the library to say that computes them; here it only has to be one line of text."""
    if not isinstance(value, str) or not value.strip() or len(value) > 100:
        raise SettingRefused(f"{key}: use off, every 15m, every 2h, or a cron line of five fields. Nothing was saved.")
    return " ".join(value.split())


def _region(key: str, value: object) -> str:
    if not isinstance(value, str) or value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise SettingRefused(
            f"{key} is a country code of two letters, such as US or FR, not {value!r}. Nothing was saved."
        )
    return value.upper()


def _channel(key: str, value: object) -> str:
    if value not in CHANNELS:
        raise SettingRefused(f"{key} is one of {listed(CHANNELS)}, not {value!r}. Nothing was saved.")
    return str(value)


def _stop_words(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 200 or not all(isinstance(word, str) for word in value):
        raise SettingRefused(f"{key} is a list of at most 200 words. Nothing was saved.")
    words = tuple(dict.fromkeys(" ".join(word.split()) for word in value))
    for word in words:
        said = fold(word)
        if not said or len(word) > 100:
            raise SettingRefused(f"{key}: a word has letters or digits, and at most 100 of them. Nothing was saved.")
        if said in IN_WORDS | NEUTRAL_WORDS:
            raise SettingRefused(f"{key}: {word!r} has a meaning of its own and cannot mean stop. Nothing was saved.")
    return words


def _mapping_item(where: str, item: Mapping[str, object]) -> MappingItem:
    known(where, item, {f.name for f in dataclasses.fields(MappingItem)})
    name, ours = _property_name(where, "property", item), item.get("field")
    if not isinstance(ours, str) or not (ours in STANDARD or _FIELD.fullmatch(ours)):
        raise SettingRefused(
            f"{where}: field is one of {listed(STANDARD)} or custom.<name>, not {ours!r}. Nothing was saved."
        )
    if name in RESERVED:
        raise SettingRefused(f"{where}: {name} carries the sync itself and cannot be a field. Nothing was saved.")
    policy = item.get("policy")
    return MappingItem(
        property=name,
        field=ours,
        direction=choice(Direction)(f"{where}: direction", item.get("direction", "both")),
        policy=None if policy is None else choice(Policy)(f"{where}: policy", policy),
        type=text(where, "type", item),
    )


def _mapping(key: str, value: object) -> tuple[MappingItem, ...]:
    items = list_of(_mapping_item)(key, value)
    for what, names in (("property", [i.property for i in items]), ("field", [i.field for i in items])):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise SettingRefused(
                f"{key}: the {what} {twice[0]} is mapped twice; it can follow only one. Nothing was saved."
            )
    return items


def _consent_item(where: str, item: Mapping[str, object]) -> ConsentItem:
    known(where, item, {f.name for f in dataclasses.fields(ConsentItem)})
    channel = _channel(f"{where}: channel", item.get("channel"))
    # First what can never be mapped: no other shape of the item would help.
    _refuse_silent(where, channel, item)
    kind = item.get("kind")
    if kind not in ("opt_in", "opt_out", "enumeration", "date_pair"):
        raise SettingRefused(
            f"{where}: kind is one of opt_in, opt_out, enumeration or date_pair, not {kind!r}. Nothing was saved."
        )
    pair = kind == "date_pair"
    result = ConsentItem(
        channel=channel,
        kind=str(kind),
        property="" if pair else _property_name(where, "property", item),
        values=_values(where, item) if kind == "enumeration" else {},
        in_property=_property_name(where, "in_property", item) if pair else "",
        out_property=_property_name(where, "out_property", item) if pair else "",
        false_says_nothing=flag(f"{where}: false_says_nothing", item.get("false_says_nothing", False)),
        options=_options(where, item),
    )
    _refuse_unfit(where, result)
    return result


def _refuse_silent(where: str, channel: str, item: Mapping[str, object]) -> None:
    for key in ("property", "in_property", "out_property"):
        reason = consent_refusal(str(item.get(key, "")), channel)
        if reason:
            raise SettingRefused(f"{where}: {reason} Nothing was saved.")


def _refuse_unfit(where: str, item: ConsentItem) -> None:
    if item.kind == "opt_in" and item.property.startswith("hs_email_optout"):
        raise SettingRefused(
            f"{where}: {item.property} is true for those who opted out: its kind is opt_out. Nothing was saved."
        )
    if item.kind == "date_pair" and item.in_property == item.out_property:
        raise SettingRefused(f"{where}: in_property and out_property must be two properties. Nothing was saved.")
    if item.false_says_nothing and item.kind != "opt_in":
        raise SettingRefused(f"{where}: false_says_nothing is for kind opt_in only. Nothing was saved.")


def _values(where: str, item: Mapping[str, object]) -> Mapping[str, str]:
    values = item.get("values")
    if not isinstance(values, dict) or not values or not all(meaning in ("in", "out") for meaning in values.values()):
        raise SettingRefused(f'{where}: values says for each option that speaks "in" or "out". Nothing was saved.')
    if any(not isinstance(option, str) or not option.strip() or ";" in option for option in values):
        raise SettingRefused(f"{where}: an option of values is empty or holds a semicolon. Nothing was saved.")
    return {str(option): str(meaning) for option, meaning in values.items()}


def _options(where: str, item: Mapping[str, object]) -> tuple[str, ...]:
    options = item.get("options", [])
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise SettingRefused(f"{where}: options is a list of texts. Nothing was saved.")
    return tuple(options)


def _consent_mapping(key: str, value: object) -> tuple[ConsentItem, ...]:
    items = list_of(_consent_item)(key, value)
    names = Counter((item.channel, name) for item in items for name in item.properties)
    twice = [pair for pair, count in names.items() if count > 1]
    if twice:
        raise SettingRefused(f"{key}: {twice[0][1]} speaks twice of {twice[0][0]}. Nothing was saved.")
    return items


def _property_name(where: str, key: str, item: Mapping[str, object]) -> str:
    name = item.get(key)
    if not isinstance(name, str) or not _PROPERTY.fullmatch(name):
        raise SettingRefused(f"{where}: {key} is a HubSpot property's internal name, not {name!r}. Nothing was saved.")
    return name


def _plain(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, (MappingItem, ConsentItem)):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return dict(value) if isinstance(value, Mapping) else value


_READERS: Mapping[str, Callable[[str, object], object]] = {
    "two_way": flag,
    "mapping": _mapping,
    "consent_mapping": _consent_mapping,
    "schedule": _schedule,
    "journal": flag,
    "conflict_policy": choice(Policy),
    "blanks": choice(Blanks),
    "match_by": choice(MatchBy),
    "deletions": choice(Deletions),
    "delete_brake": number(0, 100),
    "burst_share": whole(1, 100),
    "hold_hours": number(0, 24 * 365),
    "default_region": _region,
    "status_channel": _channel,
    "stop_words": _stop_words,
    "email_cap": whole(2, 100),
    "phone_cap": whole(2, 100),
}
