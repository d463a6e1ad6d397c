"""Laws of normal forms: total on any text, and a normal form is its own normal form."""

import email_validator
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mercuri.core.normalise import (
    _PLAIN_EMAIL,
    Phone,
    Refused,
    addresses_of,
    blank,
    clean_text,
    equal_form,
    fold_name,
    normalise_email,
    normalise_name,
    normalise_phone,
    normalise_phones,
    phones_in,
)

STRANGE = [
    "",
    "\x00",
    "🎉👩‍👩‍👧",
    "שלום +972 50-123-4567",
    "\u202eabc\u202c",
    "\ud800",
    "İ",
    "ﬃ@ﬃ.com",
    "1e999999999999",
]
ENORMOUS = ["ß" * 65_536, "9" * 65_536, "a@" * 32_768, "+1 415 555 2671," * 4096, "\u0301" * 65_536]
KINDS = ["phone", "email", "name", "text", "number", "bool", "enumeration", "date", "datetime", "unknown"]
anything = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(STRANGE)
phonish = st.text("0123456789+-() /;,x.٠١٢٣o r", max_size=40)
emailish = st.from_regex(r"[a-zA-Z0-9._+ßÉ-]{1,12}@[a-zA-Z0-9.éß-]{1,14}\.[a-zA-Z]{2,6}", fullmatch=True)
regions = st.sampled_from(["", "US", "GB", "DE", "BR", "MX", "AR", "IT", "XX"])


@given(anything | phonish | emailish, regions, st.sampled_from(KINDS))
@settings(max_examples=400)
def test_no_text_makes_a_normal_form_raise(text, region, kind):
    forms = [clean_text(text), normalise_name(text), fold_name(text), equal_form(kind, text, region)]
    addresses = addresses_of({"phone": text, "email": text}, region, [text], [("custom.x", text)])

    assert all("\x00" not in form for form in forms[:3])
    assert blank(text) == (forms[3] == "")
    assert all((address.normal is None) == bool(address.problem) for address in addresses)


@pytest.mark.parametrize("text", ENORMOUS, ids=range(len(ENORMOUS)))
@pytest.mark.parametrize("kind", KINDS)
def test_an_enormous_text_has_a_form_but_is_no_address(kind, text):
    addresses = addresses_of({"phone": text, "email": text}, "US")

    assert equal_form(kind, text, "US") != ""
    assert all(address.normal is None for address in addresses)


@given(anything)
@example("İ")
@example("ͅ")
def test_a_name_in_normal_form_stays_as_it_is(text):
    assert normalise_name(normalise_name(text)) == normalise_name(text)
    assert fold_name(fold_name(text)) == fold_name(text)
    assert fold_name(normalise_name(text)) == fold_name(text)
    assert clean_text(clean_text(text)) == clean_text(text)


@given(emailish | anything.map(lambda text: f"{text}@example.com"))
@settings(max_examples=300)
def test_an_email_in_normal_form_stays_as_it_is(text):
    email = normalise_email(text)

    assume(isinstance(email, str))
    assert normalise_email(email) == email
    assert normalise_email(f" {email.upper()} ") == email or not email.isascii()


@given(st.from_regex(_PLAIN_EMAIL, fullmatch=True))
@settings(max_examples=400)
def test_the_quick_way_for_plain_emails_agrees_with_the_library(text):
    checked = email_validator.validate_email(text, check_deliverability=False, test_environment=True)

    assert normalise_email(text) == text == f"{checked.local_part}@{checked.ascii_domain}"


@given(phonish, regions)
@settings(max_examples=400)
def test_a_phone_in_normal_form_stays_as_it_is(text, region):
    for phone in phones_in(text, region):
        if isinstance(phone, Phone):
            assert normalise_phone(phone.key, "") == phone


@given(phonish | anything, regions)
def test_a_refusal_never_repeats_the_value(text, region):
    refusals = [found for found in (*phones_in(text, region), normalise_email(text)) if isinstance(found, Refused)]

    assert all(char not in refused.reason for refused in refusals for char in text if char.isdigit() or char == "@")


@given(st.lists(st.tuples(phonish, regions), max_size=12))
@settings(max_examples=50)
def test_a_batch_equals_one_by_one(items):
    assert normalise_phones(items) == [phones_in(*item) for item in items]


@given(anything | phonish, st.sampled_from(KINDS))
@settings(max_examples=300)
def test_spaces_around_a_value_and_nul_in_it_never_matter(text, kind):
    assume("\ud800" not in text)
    assert equal_form(kind, f" \x00{text} ", "US") == equal_form(kind, text, "US")
