"""One filter of a search: compared by the property's type, ignoring case where HubSpot does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mercuri.sandbox.answers import invalid
from mercuri.sandbox.properties import Property
from mercuri.sandbox.times import parse_instant

Test = Callable[[str | None], bool]
_FAR = 1 << 60


@dataclass(frozen=True, slots=True)
class Range:
    """A closed range of whole numbers."""

    low: int = -_FAR
    high: int = _FAR

    def within(self, other: Range) -> Range:
        """What both hold."""
        return Range(max(self.low, other.low), min(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Filter:
    """A test of one property's value (None when empty); `range` is set for ranges of ids and modification times."""

    name: str
    test: Test
    range: Range | None = None


def parse_filter(item: Mapping[str, Any], properties: Mapping[str, Property], survivors: Mapping[int, int]) -> Filter:
    """Read one filter; `survivors` says which record an old id stands for, where search knows.

    Raises Refusal for an unknown property or operator, a missing value, or a value of the wrong type.
    """
    name, operator = item.get("propertyName"), item.get("operator")
    prop = properties.get(name) if isinstance(name, str) else None
    if prop is None or prop.archived_ms is not None:
        raise invalid(
            "There was a problem with the request.",
            errors=[{"message": f"Property {name} does not exist", "code": "PROPERTY_DOESNT_EXIST"}],
        )
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return Filter(prop.name, _presence(operator == "HAS_PROPERTY"))
    if operator in ("IN", "NOT_IN"):
        return Filter(prop.name, _membership(prop, _texts(item.get("values"), operator), operator == "IN"))
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        return Filter(prop.name, _tokens(_text(item.get("value"), operator), operator == "CONTAINS_TOKEN"))
    if operator not in _COMPARISONS and operator != "BETWEEN":
        raise invalid(f"Invalid operator: {operator}")
    low = _typed(prop, _text(item.get("value"), operator))
    high = _typed(prop, _text(item.get("highValue"), operator)) if operator == "BETWEEN" else low
    while prop.name == "hs_object_id" and operator == "EQ" and low in survivors:
        low = high = survivors[low]
    if prop.name in ("hs_object_id", "lastmodifieddate") and operator != "NEQ":
        return Filter(prop.name, _presence(True), _range(str(operator), int(low), int(high)))
    return Filter(prop.name, _comparison(prop, str(operator), low, high))


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda value, wanted: value == wanted,
    "NEQ": lambda value, wanted: value != wanted,
    "LT": lambda value, wanted: value < wanted,
    "LTE": lambda value, wanted: value <= wanted,
    "GT": lambda value, wanted: value > wanted,
    "GTE": lambda value, wanted: value >= wanted,
}


def _range(operator: str, low: int, high: int) -> Range:
    ranges = {
        "EQ": Range(low, low),
        "LT": Range(high=low - 1),
        "LTE": Range(high=low),
        "GT": Range(low=low + 1),
        "GTE": Range(low=low),
    }
    return ranges.get(operator, Range(low, high))


def _comparison(prop: Property, operator: str, low: Any, high: Any) -> Test:
    convert = _converter(prop)
    if operator == "BETWEEN":
        return lambda text: text is not None and low <= convert(text) <= high
    compare = _COMPARISONS[operator]
    return lambda text: text is not None and compare(convert(text), low)


def _presence(wanted: bool) -> Test:
    return lambda text: (text is not None) is wanted


def _membership(prop: Property, wanted: list[str], inside: bool) -> Test:
    """Strings in lower case against the values as sent: a value with a capital letter matches nothing."""
    if prop.type in ("number", "date", "datetime"):
        convert = _converter(prop)
        chosen = {_typed(prop, each) for each in wanted}
        return lambda text: text is not None and (convert(text) in chosen) is inside
    plain = set(wanted)
    if prop.type in ("enumeration", "bool"):
        return lambda text: text is not None and (not plain.isdisjoint(text.split(";"))) is inside
    return lambda text: text is not None and (text.lower() in plain) is inside


def _tokens(wanted: str, inside: bool) -> Test:
    pattern = wanted.lower()
    needed = [pattern] if "*" in pattern else _split(pattern)

    def test(text: str | None) -> bool:
        if text is None:
            return False
        tokens = {text.lower(), *_split(text.lower()), *re.split(r"[;\s]+", text.lower())}
        return all(any(fnmatchcase(token, each) for token in tokens) for each in needed) is inside

    return test


def _split(text: str) -> list[str]:
    return [each for each in re.split(r"[^\w]+", text) if each]


def _converter(prop: Property) -> Callable[[str], Any]:
    if prop.type == "number":
        return float
    if prop.type in ("date", "datetime"):
        return lambda text: parse_instant(text) or 0
    if prop.type in ("enumeration", "bool"):
        return str
    return str.lower


def _typed(prop: Property, text: str) -> Any:
    try:
        if prop.type == "number":
            return int(text) if prop.name == "hs_object_id" else float(text)
    except ValueError:
        raise invalid(f"Invalid value for {prop.name}: {text} is not a number") from None
    if prop.type in ("date", "datetime"):
        ms = parse_instant(text)
        if ms is None:
            raise invalid(f"Invalid value for {prop.name}: {text} is not a date")
        return ms
    return _converter(prop)(text)


def _text(value: object, operator: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise invalid(f"A value is required for operator {operator}")
    return str(value)


def _texts(values: object, operator: object) -> list[str]:
    if not isinstance(values, list) or not values:
        raise invalid(f"Values are required for operator {operator}")
    return [_text(each, operator) for each in values]
