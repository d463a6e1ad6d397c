"""Plain JSON data -> a checked value, or a sentence that says what is wrong with it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from mercuri.errors import UserError

_Item = TypeVar("_Item")
_Choice = TypeVar("_Choice", bound=enum.Enum)


class SettingRefused(UserError):
    """A setting that cannot be meant; the message says why, and nothing was saved."""


def flag(key: str, value: object) -> bool:
    """A true or false; text and numbers are refused."""
    if not isinstance(value, bool):
        raise SettingRefused(f"{key} is true or false, not {value!r}. Nothing was saved.")
    return value


def number(low: float, high: float) -> Callable[[str, object], float]:
    """A reader of numbers within two limits, both included."""

    def read(key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise SettingRefused(f"{key} is a number from {low:g} to {high:g}, not {value!r}. Nothing was saved.")
        return value

    return read


def whole(low: int, high: int) -> Callable[[str, object], int]:
    """A reader of whole numbers within two limits, both included."""

    def read(key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise SettingRefused(f"{key} is a whole number from {low} to {high}, not {value!r}. Nothing was saved.")
        return value

    return read


def choice(kind: type[_Choice]) -> Callable[[str, object], _Choice]:
    """A reader of one word out of a closed set."""

    def read(key: str, value: object) -> _Choice:
        for member in kind:
            if member.value == value:
                return member
        raise SettingRefused(f"{key} is one of {listed(m.value for m in kind)}, not {value!r}. Nothing was saved.")

    return read


def list_of(read_one: Callable[[str, Mapping[str, object]], _Item]) -> Callable[[str, object], tuple[_Item, ...]]:
    """A reader of a list of objects; `read_one` is told where it stands, for its message."""

    def read(key: str, value: object) -> tuple[_Item, ...]:
        if not isinstance(value, list):
            raise SettingRefused(f"{key} is a list. Nothing was saved.")
        items = []
        for number, item in enumerate(value, start=1):
            if not isinstance(item, dict):
                raise SettingRefused(f"{key}, item {number}: each item is an object. Nothing was saved.")
            items.append(read_one(f"{key}, item {number}", item))
        return tuple(items)

    return read


def known(where: str, item: Mapping[str, object], names: Iterable[str]) -> None:
    """Refuse an object with a key that nobody reads: it is a slip of the pen."""
    unknown = [key for key in item if key not in names]
    if unknown:
        raise SettingRefused(f"{where}: unknown key {unknown[0]!r}. Nothing was saved.")


def text(where: str, key: str, item: Mapping[str, object]) -> str:
    """The text under a key, "" when there is none."""
    value = item.get(key, "")
    if not isinstance(value, str):
        raise SettingRefused(f"{where}: {key} is text. Nothing was saved.")
    return value


def listed(names: Iterable[str]) -> str:
    """Names as they stand in a sentence."""
    return ", ".join(names)
