"""What a mapped HubSpot property says of consent, and what is written there for an opt-out.

Reading is strict: what is not understood says nothing and is reported. A blank always says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from mercuri.core.consent import State
from mercuri.core.properties import Property
from mercuri.core.settings import ConsentItem


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that the mapping cannot read; it says nothing."""

    property: str
    value: str


@dataclass(frozen=True, slots=True)
class Buckets:
    """How many values of a property say in, out, nothing, or cannot be read: what shows an inverted mapping."""

    said_in: int = 0
    said_out: int = 0
    silent: int = 0
    unreadable: int = 0

    def __add__(self, other: Buckets) -> Buckets:
        """Both counts together."""
        return Buckets(
            self.said_in + other.said_in,
            self.said_out + other.said_out,
            self.silent + other.silent,
            self.unreadable + other.unreadable,
        )


def heard(item: ConsentItem, properties: Mapping[str, str]) -> State | Unreadable | None:
    """What the values say: in, out, nothing (None), or something that cannot be read.

    A property that is blank, or was not asked for, says nothing.
    """
    if item.kind == "date_pair":
        return _heard_dates(item, properties)
    value = properties.get(item.property, "").strip()
    if not value:
        return None
    return _heard_options(item, value) if item.kind == "enumeration" else _heard_flag(item, value)


def speaks_for(said: State, set_at: datetime | None, held_since: datetime | None) -> bool:
    """Whether a record's value counts for an address that its contact holds since a moment.

    Opt-outs follow a person to a new number, opt-ins do not: an `in` counts only when it was set after the change.
    `held_since` None means that the address has not changed as far as is known; `set_at` None, that the time of the
    value is unknown.
    """
    if said is State.OUT or held_since is None:
        return True
    return set_at is not None and set_at >= held_since


def count_buckets(said: Collection[State | Unreadable | None]) -> Buckets:
    """Count what the values of many records say, before a mapping is saved."""
    return Buckets(
        said_in=sum(one is State.IN for one in said),
        said_out=sum(one is State.OUT for one in said),
        silent=sum(one is None for one in said),
        unreadable=sum(isinstance(one, Unreadable) for one in said),
    )


def out_value(
    item: ConsentItem, found: Property | None, at: datetime, there: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, str] | None:
    """The property and value that tell HubSpot of an opt-out; None when it cannot be told through this item.

    `found` is what the schema says of the property written (for a pair of dates, of `out_property`), None when the
    schema is not known. An enumeration is set to the first option listed as out that still exists; a pair of dates, of
    which `there` may have an opt-in in the future, to no earlier one, so that the pair says no.
    """
    if found is not None and (found.read_only or found.archived or found.calculated):
        return None
    if item.kind == "date_pair":
        opened = _moment(there.get(item.in_property, "").strip())
        return item.out_property, _written(found, max(at, opened) if opened else at)
    value = {"opt_in": "false", "opt_out": "true"}.get(item.kind) or _option(item, "out", found)
    return (item.property, value) if value else None


def in_value(item: ConsentItem, found: Property | None, at: datetime) -> tuple[str, str] | None:
    """The property and value that tell HubSpot of an opt-in; None when it cannot be told through this item.

    A pair of plain dates cannot say it: on the day of an opt-out the opt-out would still win.
    """
    if found is not None and (found.read_only or found.archived or found.calculated):
        return None
    if item.kind == "date_pair":
        return (item.in_property, _written(found, at)) if found is not None and found.type == "datetime" else None
    value = {"opt_in": "true", "opt_out": "false"}.get(item.kind) or _option(item, "in", found)
    return (item.property, value) if value else None


def _heard_flag(item: ConsentItem, value: str) -> State | Unreadable | None:
    if value not in ("true", "false"):
        return Unreadable(item.property, value)
    if value == "false" and item.false_says_nothing:
        return None
    return State.IN if (value == "true") == (item.kind == "opt_in") else State.OUT


def _heard_options(item: ConsentItem, value: str) -> State | Unreadable | None:
    # Several options may be ticked at once; one that says out is enough, and none opens beside one of unknown meaning.
    ticked = {option.strip() for option in value.split(";")}
    said = {item.values.get(option) for option in ticked}
    if "out" in said:
        return State.OUT
    if item.options and ticked - {"", *item.options, *item.values}:
        return Unreadable(item.property, value)
    return State.IN if "in" in said else None


def _heard_dates(item: ConsentItem, properties: Mapping[str, str]) -> State | Unreadable | None:
    times = {}
    for name in item.properties:
        value = properties.get(name, "").strip()
        times[name] = _moment(value) if value else None
        if value and times[name] is None:
            return Unreadable(name, value)
    opened, closed = times[item.in_property], times[item.out_property]
    if closed is not None and (opened is None or opened <= closed):
        return State.OUT
    return None if opened is None else State.IN


def _moment(value: str) -> datetime | None:
    """A date, an ISO date and time, or milliseconds since the epoch: what HubSpot writes (`hubspot` properties API)."""
    try:
        if value.lstrip("-").isdigit():
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(value))
        moment = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _written(found: Property | None, at: datetime) -> str:
    moment = at.astimezone(UTC)
    if found is not None and found.type == "datetime":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return moment.strftime("%Y-%m-%d")


def _option(item: ConsentItem, meaning: str, found: Property | None) -> str | None:
    listed = [option for option, said in item.values.items() if said == meaning]
    if found is None or found.external_options:
        return listed[0] if listed else None
    existing = {option.value for option in found.options}
    return next((option for option in listed if option in existing), None)
