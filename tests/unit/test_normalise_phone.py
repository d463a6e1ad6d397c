"""Phone numbers: what is read, what is refused, and what two numbers in one field become."""

import phonenumbers
import pytest

from mercuri.core.normalise import Phone, Refused, normalise_phone, normalise_phones, phones_in


def numbers(raw: str, region: str) -> list[str]:
    return [phone.key for phone in phones_in(raw, region) if isinstance(phone, Phone)]


def reason(raw: str, region: str = "US") -> str:
    refused = normalise_phone(raw, region)
    assert isinstance(refused, Refused)
    return refused.reason


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("+44 7911 123456", "US", "+447911123456"),
        ("07911 123456", "GB", "+447911123456"),
        ("(415) 555-2671", "us", "+14155552671"),
        ("+44 (0)20 7946 0958", "US", "+442079460958"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+39 06 1234 5678", "", "+390612345678"),
        ("tel:+14155552671", "", "+14155552671"),
        ("٠٧٩١١١٢٣٤٥٦", "GB", "+447911123456"),
        ("＋４４ ７９１１ １２３４５６", "", "+447911123456"),
        ("\u202a+44 7911 123456\u202c", "", "+447911123456"),
        ("415\x005552671", "US", "+14155552671"),
        ("0171/123 4567", "DE", "+491711234567"),
    ],
)
def test_a_number_is_read_however_it_is_typed(raw, region, e164):
    assert numbers(raw, region) == [e164]


@pytest.mark.parametrize("raw", ["0044 7911 123456", "(0044) 7911-123456", "٠٠٤٤ 7911 123456"])
def test_a_double_zero_is_read_as_plus_where_it_is_no_number_of_the_country(raw):
    assert numbers(raw, "US") == ["+447911123456"]


def test_a_double_zero_leaves_the_extension_alone():
    assert numbers("0044 20 7946 0958 ext 5", "US") == ["+442079460958;ext=5"]


@pytest.mark.parametrize(
    ("raw", "region"), [("+5215512345678", ""), ("521 55 1234 5678", "MX"), ("55 1234 5678", "MX")]
)
def test_an_old_mexican_mobile_loses_its_1(raw, region):
    assert numbers(raw, region) == ["+525512345678"]


@pytest.mark.parametrize(
    ("raw", "region"), [("+55 31 8888-8888", ""), ("(31) 8888-8888", "BR"), ("+55 31 98888-8888", "")]
)
def test_an_old_brazilian_mobile_gains_its_9(raw, region):
    assert numbers(raw, region) == ["+5531988888888"]


@pytest.mark.parametrize("first", "2345")
def test_a_brazilian_landline_stays_as_it_is(first):
    assert numbers(f"+5531{first}8218123", "") == [f"+5531{first}8218123"]


def test_both_argentinian_forms_stay_as_they_are():
    assert numbers("+5491123456789", "") == ["+5491123456789"]
    assert numbers("+541123456789", "") == ["+541123456789"]


@pytest.mark.parametrize("raw", ["0000000000", "5555555555", "+447777777777", "9999"])
def test_one_digit_repeated_is_a_placeholder(raw):
    assert reason(raw) == "a placeholder: one digit repeated"


def test_a_number_that_is_only_possible_is_refused():
    number = phonenumbers.parse("+22507123456", None)
    assert not phonenumbers.is_valid_number(number)

    assert reason("+225 07 12 34 56") == "not a valid phone number"


def test_a_national_number_needs_a_country():
    assert reason("415 555 2671", "") == "no country code, and no country to assume"
    assert reason("415 555 2671", "XX") == "no country code, and no country to assume"


@pytest.mark.parametrize(
    ("raw", "words"), [("n/a", "no digits in it"), ("  ", "empty"), ("9" * 300, "too long to be a phone number")]
)
def test_a_refusal_says_why(raw, words):
    assert reason(raw) == words


@pytest.mark.parametrize("separator", [", ", ";", " / ", "|", " or ", "\n"])
def test_two_numbers_in_one_text_are_both_found(separator):
    assert numbers(f"415-555-2671{separator}415-555-2672", "US") == ["+14155552671", "+14155552672"]


@pytest.mark.parametrize("separator", [", ", ";", " / "])
def test_the_second_of_two_short_numbers_is_not_an_extension(separator):
    assert numbers(f"612345678{separator}612345679", "ES") == ["+34612345678", "+34612345679"]


def test_only_the_valid_parts_of_a_split_text_remain():
    assert phones_in("4155552671/2", "US") == (Phone("+14155552671"),)


def test_a_repeated_number_is_found_once():
    assert numbers("415 555 2671; +1 415 555 2671", "US") == ["+14155552671"]


def test_an_extension_is_kept_apart():
    phone = normalise_phone("(415) 555-2671 x5", "US")

    assert isinstance(phone, Phone)
    assert (phone.e164, phone.extension, phone.key) == ("+14155552671", "5", "+14155552671;ext=5")


def test_an_empty_text_holds_no_number_and_gives_no_reason():
    assert phones_in(" \x00 ", "US") == ()


def test_a_batch_answers_in_the_order_asked_and_as_one_by_one():
    items = [
        ("07911 123456", "GB"),
        ("n/a", "US"),
        ("", ""),
        ("+5215512345678", "GB"),
        ("0044 7911 123456", "US"),
        ("612345678, 612345679", "ES"),
        ("07911 123456", "GB"),
    ]

    assert normalise_phones(items) == [phones_in(*item) for item in items]


def test_numbers_of_many_countries_drive_no_expression_out_of_the_cache(monkeypatch):
    """phonenumbers' regular expressions fit Python's own cache only country by country; mixed, each costs ten times."""
    texts = [
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        if (number := phonenumbers.example_number(region))
    ]
    normalise_phones([(text, "US") for text in texts])
    compiled = []
    compile_ = phonenumbers.re_util.re.compile
    monkeypatch.setattr(phonenumbers.re_util.re, "compile", lambda *given: compiled.append(given) or compile_(*given))

    normalise_phones([(f"{text} ", "GB") for text in texts])

    assert compiled == []
