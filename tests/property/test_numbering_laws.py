"""Laws of the numbering plans: what is read without the library's parser is what the library reads."""

from __future__ import annotations

import phonenumbers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberFormat, PhoneNumberType

from mercuri.core import numbering

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = sorted(PhoneNumberType.values())


def _an_example(region: str, kind: int) -> str:
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert number is not None
    return f"{number.country_code} {phonenumbers.national_significant_number(number)}"


def _national(region: str, kind: int) -> str:
    return _an_example(region, kind).partition(" ")[2]


valid = st.builds(_an_example, st.sampled_from(REGIONS), st.sampled_from(KINDS))
digits = st.text("0123456789", max_size=3)
#: Numbers of every country with a few digits too many, too few, or in front, as people type them and otherwise.
texts = st.builds(
    lambda front, text, cut, back: f"{front}{text[: len(text) - cut]}{back}",
    st.sampled_from(["+", "+", "+", "+ ", "(+", "00", ""]),
    valid | st.text("0123456789 ().-", max_size=16),
    st.integers(0, 2),
    digits,
) | st.builds(lambda code, rest: f"+{code} {rest}", st.sampled_from(sorted(COUNTRY_CODE_TO_REGION_CODE)), digits)

#: The same as they are dialled at home.
at_home = st.sampled_from(REGIONS).flatmap(
    lambda region: st.tuples(
        st.builds(
            lambda front, kind, cut, back: f"{front}{_national(region, kind)[cut:]}{back}",
            st.sampled_from(["", "", "0", "(0)", "1-", "8 ", "011", "00"]) | digits,
            st.sampled_from(KINDS),
            st.integers(0, 2),
            digits,
        ),
        st.just(region),
    )
)


def _by_the_library(text: str, region: str | None) -> tuple[str, str] | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164), number.extension or ""


@given(st.tuples(texts, st.sampled_from([None, *REGIONS])) | at_home)
@settings(max_examples=1_000)
@example(("+44 (0)7911 123456", None))
@example(("+39 06 1234 5678", "US"))
@example(("+7 701 234 5678", "RU"))
@example(("+800 1234 5678", None))
@example(("+54 11 15 2345-6789", None))
@example(("(415) 555-2671", "US"))
@example(("07911 123456", "GB"))
@example(("039 06 1234", "IT"))
@example(("011 15 2345 6789", "AR"))
@example(("8 701 234 56 78", "KZ"))
@example(("64 830 123 59", "NZ"))
@example(("801 123 4561", "BY"))
@example(("00800 1234 1231", "BZ"))
@example(("+1 1310 1242", "CA"))
@example(("0037918022789", "JP"))
def test_a_number_is_read_and_judged_as_the_library_does(typed):
    text, region = typed
    number = numbering.parse(text, region)

    found = (number.e164, number.extension) if number and numbering.is_valid(number) else None

    assert found == _by_the_library(text, region)
