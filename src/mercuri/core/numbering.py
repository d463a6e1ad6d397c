"""The world's numbering plans: typed text -> country code and national number, and whether such a number exists.

The plans are those of `phonenumbers`, and so are the answers: a test compares them. What is done here without its
parser is what most texts are, a number in plain digits as it is written abroad or at home, at a fraction of the cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

# Else the numbers of several countries drive each other's regular expressions out of Python's cache of 512.
phonenumbers.enable_pattern_cache()

_PLAIN = re.compile(r"(\+[1-9]|\(?[0-9])[0-9 ().-]*")
_Match = Callable[[str], re.Match[str] | None]
_PUNCTUATION = str.maketrans("", "", "+ ().-")
#: The kinds of numbers that a plan describes; most numbers are of the first two.
_KINDS = (
    *("mobile", "fixed_line", "toll_free", "voip", "shared_cost", "premium_rate", "personal_number", "pager", "uan"),
    "voicemail",
)


class Number(NamedTuple):
    """A number as parsed, valid or not: `national` is the significant number, with leading zeros that belong to it."""

    code: int
    national: str
    extension: str = ""

    @property
    def e164(self) -> str:
        """The whole number in international form."""
        return f"+{self.code}{self.national}"


class _Region(NamedTuple):
    """A region of a code: the leading digits that it claims for itself, and its kinds of numbers."""

    claims: Callable[[str], object] | None
    any_kind: Callable[[str], object]
    kinds: tuple[tuple[frozenset[int], Callable[[str], object]], ...]

    def has(self, national: str) -> bool:
        """Whether the number is of one of its kinds."""
        length = len(national)
        return bool(self.any_kind(national)) and any(
            length in lengths and matches(national) for lengths, matches in self.kinds
        )


def parse(text: str, region: str | None) -> Number | None:
    """Read a number; one without a country code belongs to `region`. None for what cannot be read as one."""
    if _PLAIN.fullmatch(text):
        digits = text.translate(_PUNCTUATION)
        number = _international(digits) if text[0] == "+" else _domestic(digits, region) if region else None
        if number is not None:
            return number
    try:
        found = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return Number(found.country_code or 0, phonenumbers.national_significant_number(found), found.extension or "")


def is_valid(number: Number) -> bool:
    """Whether the number exists in the plan of its country.

    Where several regions share a code, the one that claims the leading digits decides; else any of them.
    """
    for region in _regions(number.code):
        if region.claims is None:
            if region.has(number.national):
                return True
        elif region.claims(number.national):
            return region.has(number.national)
    return False


def _international(digits: str) -> Number | None:
    """The number behind a plus; None where its plan asks for more than to leave out a national prefix."""
    for end in (1, 2, 3):
        code = int(digits[:end])
        if code in COUNTRY_CODE_TO_REGION_CODE:
            national = digits[end:]
            dialling = _dialling(code, COUNTRY_CODE_TO_REGION_CODE[code][0])
            return _without_prefix(code, national, dialling) if len(national) > 1 else None
    return None


def _domestic(digits: str, region: str) -> Number | None:
    """The number as it is dialled in a region; None where it may be dialled abroad, and as above."""
    code = _code_of(region)
    dialling = _dialling(code, region)
    if dialling.abroad(digits) or digits.startswith(str(code)):
        return None
    return _without_prefix(code, digits, dialling)


def _without_prefix(code: int, digits: str, dialling: _Dialling) -> Number | None:
    prefix = dialling.prefix(digits)
    if not prefix or not prefix.end():
        return Number(code, digits)
    national = digits[prefix.end() :]
    is_plain = prefix.lastindex is None and len(national) in dialling.lengths and dialling.any_kind(national)
    return Number(code, national) if is_plain else None


class _Dialling(NamedTuple):
    """How numbers are dialled in a region: the prefixes for abroad and for the country, and what follows them."""

    abroad: _Match
    prefix: _Match
    lengths: frozenset[int]
    any_kind: _Match


@cache
def _dialling(code: int, region: str) -> _Dialling:
    plan = _plan(code, region)
    return _Dialling(
        re.compile(plan.international_prefix or "(?!)").match,
        re.compile(plan.national_prefix_for_parsing or "").match,
        frozenset(plan.general_desc.possible_length),
        re.compile(plan.general_desc.national_number_pattern).fullmatch,
    )


_code_of = cache(phonenumbers.country_code_for_region)


@cache
def _regions(code: int) -> tuple[_Region, ...]:
    names = COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    return tuple(_region(_plan(code, name), alone=len(names) == 1) for name in names)


def _region(plan: Any, *, alone: bool) -> _Region:
    claims = None if alone or plan.leading_digits is None else re.compile(plan.leading_digits).match
    every = plan.general_desc.possible_length
    described = [kind for name in _KINDS if (kind := getattr(plan, name)) and kind.national_number_pattern]
    kinds = [
        (frozenset(kind.possible_length or every), re.compile(kind.national_number_pattern).fullmatch)
        for kind in described
    ]
    return _Region(claims, re.compile(plan.general_desc.national_number_pattern).fullmatch, tuple(kinds))


def _plan(code: int, region: str) -> Any:
    """What `phonenumbers` knows of a region, or of a code that belongs to none; it comes without types."""
    return PhoneMetadata.metadata_for_region_or_calling_code(code, region)
