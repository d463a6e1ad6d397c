"""Names, blanks, stored text, the forms in which values are equal, and the addresses of a contact."""

import pytest

from mercuri.core.normalise import addresses_of, blank, clean_text, equal_form, fold_name, normalise_name


def test_a_name_keeps_its_case_and_loses_spare_spaces():
    assert normalise_name("  Ana \t de\u00a0 Souza ") == "Ana de Souza"
    assert normalise_name("Jose\u0301") == "Jos\u00e9"


@pytest.mark.parametrize("raw", ["José Strauß", "JOSE\u0301  STRAUSS", " jose strauss\x00"])
def test_a_folded_name_ignores_accents_case_and_spaces(raw):
    assert fold_name(raw) == "jose strauss"


@pytest.mark.parametrize("raw", [None, "", "  ", "\n\t", "\x00", "\u00a0"])
def test_nothing_and_spaces_are_blank(raw):
    assert blank(raw)


def test_a_zero_is_not_blank():
    assert not blank("0")


def test_stored_text_loses_only_what_a_database_refuses():
    assert clean_text(" a\x00b\ud800 \r\n🎉 ") == " ab \r\n🎉 "


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("phone", "(415) 555-2671", "+14155552671"),
        ("phone", "415.555.2671; 4155552672", "+14155552672, +14155552671"),
        ("phone", "555-26 71", "5552671"),
        ("email", "Ana@Example.com ", "ana@example.com"),
        ("email", "NOT an e-mail", "not an e-mail"),
        ("name", "Ana  Souza", " Ana Souza"),
        ("text", "two\r\nlines ", "two\nlines"),
        ("text", "e\u0301", "\u00e9"),
        ("number", "5000.00", "5000"),
        ("number", "5e3", "5000"),
        ("number", "0.10", ".1"),
        ("number", "-0", "0.0"),
        ("bool", "Yes", "true"),
        ("bool", "0", "false"),
        ("enumeration", "a;b", ";b; a"),
        ("date", "2024-01-01", "1704067200000"),
        ("date", "2024-01-01", "2024-01-01T00:00:00Z"),
        ("datetime", "2024-01-01T01:00:00+01:00", "1704067200000"),
        ("datetime", "2024-01-01T00:00:00.000Z", "2024-01-01T00:00"),
        ("anything", " x", "x"),
    ],
)
def test_values_that_say_the_same_are_equal(kind, one, other):
    assert equal_form(kind, one, "US") == equal_form(kind, other, "US")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("phone", "+14155552671", "+14155552671 x5"),
        ("phone", "n/a", ""),
        ("phone", "n/a", "none"),
        ("email", "a.na@gmail.com", "ana@gmail.com"),
        ("name", "Ana", "ana"),
        ("name", "José", "Jose"),
        ("text", "a", "A"),
        ("number", "5", "50"),
        ("number", "-5", "5"),
        ("number", "12345678901234567890123456789012345", "12345678901234567890123456789012346"),
        ("number", "NaN", "0"),
        ("bool", "", "false"),
        ("enumeration", "a;b", "ab"),
        ("enumeration", ";", ""),
        ("date", "2024-01-01", "2024-01-02"),
        ("datetime", "1704067200000", "1704067200001"),
        ("datetime", "1" * 15, "1" * 40),
    ],
)
def test_values_that_say_something_else_differ(kind, one, other):
    assert equal_form(kind, one, "US") != equal_form(kind, other, "US")


def test_every_phone_and_email_of_a_contact_is_an_address():
    fields = {"phone": "415 555 2671 x5 or 415 555 2672", "email": "Ana@Example.com"}

    addresses = addresses_of(fields, "US", ["bo@example.com;ana@example.com"], [("custom.mobile", "0044 7911 123456")])

    assert [(a.kind, a.normal, a.extension, a.label, a.primary) for a in addresses] == [
        ("phone", "+14155552671", "5", "phone", True),
        ("phone", "+14155552672", "", "phone", False),
        ("phone", "+447911123456", "", "custom.mobile", False),
        ("email", "ana@example.com", "", "email", True),
        ("email", "bo@example.com", "", "more_emails", False),
    ]


def test_an_unusable_address_is_kept_with_its_problem():
    phone, email = addresses_of({"phone": "call me", "email": "ana at example"}, "US")

    assert (phone.raw, phone.normal, phone.problem) == ("call me", None, "no digits in it")
    assert (email.raw, email.normal, email.problem) == ("ana at example", None, "not a valid e-mail")
    assert not phone.primary
    assert not email.primary


def test_the_first_usable_address_is_primary():
    addresses = addresses_of({"phone": "call me"}, "US", more_phones=[("custom.mobile", "+14155552671")])

    assert [(a.raw, a.primary) for a in addresses] == [("call me", False), ("+14155552671", True)]


def test_a_contact_without_phone_and_email_has_no_address():
    assert addresses_of({"phone": " ", "first_name": "Ana"}, "US", [""]) == ()
