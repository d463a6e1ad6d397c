"""Match keys, groups, and when a group may be merged without a person looking at it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mercuri.core.match import (
    CAPS,
    MEETS,
    KeyKind,
    MatchKey,
    groups,
    keys_of,
    most_that_count,
    names_compatible,
    safe_to_merge,
)
from mercuri.core.normalise import addresses_of
from mercuri.core.survivor import Member

PHONE = MatchKey(KeyKind.PHONE, "+14155552671")
EMAIL = MatchKey(KeyKind.EMAIL, "ana@example.com")
OTHER_EMAIL = MatchKey(KeyKind.EMAIL, "ana@home.example")
THEN = datetime(2026, 5, 3, tzinfo=UTC)


def keys(region: str = "US", **fields: str) -> set[tuple[str, str]]:
    named = {name.replace("custom_", "custom."): value for name, value in fields.items()}
    return {(key.kind.name, key.value) for key in keys_of(addresses_of(named, region), named)}


def test_an_email_and_a_phone_are_exact_keys():
    assert keys(phone="(415) 555-2671", email="Ana@Example.com") == {
        ("PHONE", "+14155552671"),
        ("EMAIL", "ana@example.com"),
    }


def test_every_further_address_gives_a_key():
    addresses = addresses_of({"email": "ana@example.com"}, "US", ["ana@home.example"], [("custom.m", "415 555 2671")])

    assert keys_of(addresses, {}) == {EMAIL, OTHER_EMAIL, PHONE}


@pytest.mark.parametrize("email", ["noemail@example.com", "None@example.com", "test@test.com", "n/a@example.com"])
def test_a_placeholder_email_gives_no_key(email):
    assert keys(email=email) == set()


@pytest.mark.parametrize("phone", ["0000000000", "+44 7777 777777", "call me", "+225 07 12 34 56"])
def test_an_unusable_phone_gives_no_key(phone):
    assert keys(phone=phone) == set()


def test_an_address_of_a_real_mailbox_is_no_placeholder():
    assert keys(email="info@example.com") == {("EMAIL", "info@example.com")}


def test_two_extensions_of_one_switchboard_are_different_keys_and_possibly_one():
    four, five = keys(phone="415 555 2671 x4"), keys(phone="415 555 2671 x5")

    assert four & five == {("PHONE_VARIANT", "+14155552671")}


def test_a_number_without_its_extension_meets_the_plain_one():
    variant = MatchKey(KeyKind.PHONE_VARIANT, "+14155552671")

    assert ("PHONE_VARIANT", variant.value) in keys(phone="415 555 2671 x5")
    assert keys(phone="415 555 2671") == {("PHONE", variant.value)}
    assert KeyKind.PHONE in MEETS[variant.kind]


def test_the_two_argentinian_forms_are_only_possibly_the_same():
    mobile, fixed = keys(phone="+5491123456789"), keys(phone="+541123456789")

    assert mobile == {("PHONE", "+5491123456789"), ("PHONE_VARIANT", "+541123456789")}
    assert fixed == {("PHONE", "+541123456789")}


def test_old_and_new_mexican_and_brazilian_mobiles_are_the_same():
    assert keys(phone="+5215512345678") == keys(phone="+525512345678")
    assert keys(phone="+553188888888") == keys(phone="+5531988888888")


@pytest.mark.parametrize("email", ["a.na+news@gmail.com", "Ana@googlemail.com", "an.a@googlemail.com"])
def test_gmail_without_dots_and_tags_is_only_possible(email):
    assert ("EMAIL_CANONICAL", "ana@gmail.com") in keys(email=email)
    assert ("EMAIL", email.casefold()) in keys(email=email)


def test_dots_and_tags_of_other_hosts_mean_what_they_say():
    assert keys(email="a.na+news@example.com") == {("EMAIL", "a.na+news@example.com")}


def test_a_full_name_and_a_company_are_a_possible_key():
    expected = {("NAME_COMPANY", "ana souza|acme")}

    assert keys(first_name="Ána", last_name="SOUZA", custom_company=" Acme ") == expected
    assert keys(first_name="Ana", custom_company="Acme") == set()
    assert keys(first_name="Ana", last_name="Souza") == set()


def test_contacts_that_share_a_key_are_a_group_named_by_its_smallest_member():
    assert groups({9: [PHONE], 4: [PHONE, EMAIL], 7: [EMAIL], 1: [OTHER_EMAIL]}) == {4: (4, 7, 9)}


def test_a_possible_key_makes_no_group():
    possible = [MatchKey(kind, "x") for kind in MEETS]

    assert groups({1: possible, 2: possible}) == {}


def test_the_same_value_of_another_kind_makes_no_group():
    assert groups({1: [MatchKey(KeyKind.EMAIL, "x")], 2: [MatchKey(KeyKind.PHONE, "x")]}) == {}


@pytest.mark.parametrize("key", [PHONE, EMAIL])
def test_a_key_with_more_holders_than_its_cap_joins_nobody(key):
    at_cap = {contact: [key] for contact in range(1, CAPS[key.kind] + 1)}

    assert groups(at_cap) == {1: tuple(at_cap)}
    assert groups({**at_cap, 99: [key]}) == {}


def test_a_shared_value_joins_nobody():
    assert groups({1: [PHONE], 2: [PHONE]}, shared=[PHONE]) == {}


def test_a_pair_told_apart_is_not_joined_by_that_key():
    holders = {1: [PHONE], 2: [PHONE]}

    assert groups(holders, not_duplicate=[(1, 2, PHONE)]) == {}
    assert groups(holders, not_duplicate=[(2, 1, PHONE)]) == {}


def test_a_pair_told_apart_is_raised_again_by_a_new_shared_value():
    assert groups({1: [PHONE, EMAIL], 2: [PHONE, EMAIL]}, not_duplicate=[(1, 2, PHONE)]) == {1: (1, 2)}


def test_a_third_contact_may_still_join_a_pair_told_apart():
    assert groups({1: [PHONE], 2: [PHONE], 3: [PHONE]}, not_duplicate=[(1, 2, PHONE)]) == {1: (1, 2, 3)}


def test_marking_every_pair_empties_the_group():
    pairs = [(1, 2, PHONE), (1, 3, PHONE), (2, 3, PHONE)]

    assert groups({1: [PHONE], 2: [PHONE], 3: [PHONE]}, not_duplicate=pairs) == {}


def test_a_key_far_above_its_cap_touches_nobody():
    possible = MatchKey(KeyKind.NAME_COMPANY, "x")

    assert most_that_count([EMAIL, PHONE, possible]) == {EMAIL: 11, PHONE: 26}
    assert most_that_count([EMAIL, EMAIL, EMAIL]) == {EMAIL: 13}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Ana", "Souza"), ("ÁNA", " souza ")),
        (("A.", "Souza"), ("Ana", "Souza")),
        (("Ana", "S"), ("Ana", "Souza")),
        (("", ""), ("Ana", "Souza")),
        (("Ana", ""), ("Ana", "Souza")),
    ],
)
def test_names_that_can_be_one_persons_are_compatible(one, other):
    assert names_compatible(one, other)
    assert names_compatible(other, one)


@pytest.mark.parametrize("other", [("Bo", "Souza"), ("Ana", "Lima"), ("Anabel", "Souza"), ("B.", "Souza")])
def test_other_names_are_not(other):
    assert not names_compatible(("Ana", "Souza"), other)


def a_member(number: int, first: str = "Ana", **changes: object) -> Member:
    fields = {"first_name": first, "last_name": "Souza"}
    return replace(Member(number, fields, {}, False, THEN, THEN), **changes)


BOTH = [(1, 2)]


def test_two_contacts_of_one_person_are_safe_to_merge():
    assert safe_to_merge([a_member(1), a_member(2, "A.")], BOTH) is None


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (a_member(2, "Bo"), "names differ"),
        (a_member(2, consent_closed=True), "consent conflict"),
        (a_member(2, linked=True), "several HubSpot records"),
    ],
)
def test_what_speaks_against_a_safe_merge_is_named(second, reason):
    assert safe_to_merge([a_member(1, linked=True, consent_closed=False), second], BOTH) == reason


def test_every_two_names_must_be_compatible():
    members = [a_member(1, ""), a_member(2, "Ana"), a_member(3, "Bo")]

    assert safe_to_merge(members, [(1, 2, 3)]) == "names differ"


def test_a_large_group_is_left_to_a_person():
    members = [a_member(number) for number in range(1, 7)]

    assert safe_to_merge(members[:5], [range(1, 6)]) is None
    assert safe_to_merge(members, [range(1, 7)]) == "too large"


def test_a_group_with_a_pair_told_apart_is_left_to_a_person():
    assert safe_to_merge([a_member(1), a_member(2)], BOTH, [(1, 2)]) == "marked different"


def test_members_that_no_longer_share_an_address_are_not_merged():
    three = [a_member(1), a_member(2), a_member(3)]

    assert safe_to_merge(three, [(1, 2), (2, 3)]) is None
    assert safe_to_merge(three, [(1, 2)]) == "no longer the same address"
