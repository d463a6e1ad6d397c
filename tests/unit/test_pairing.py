"""The first match: one to one, or not at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core.contact import ContactId, RecordId
from mercuri.core.pairing import Keys, Pairing, pair
from mercuri.core.settings import MatchBy

ANA, BO, CY = ContactId(1), ContactId(2), ContactId(3)
R51, R52, R53 = RecordId("51"), RecordId("52"), RecordId("53")


def keys(
    *, email: str = "", phone: str = "", name: str = "", own_id: ContactId | None = None, linked: bool = False
) -> Keys:
    return Keys(frozenset(email.split()), frozenset(phone.split()), (name, ""), own_id, linked)


def names_agree(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return not one[0] or not other[0] or one == other


def paired(
    records: dict[RecordId, Keys], contacts: dict[ContactId, Keys], match_by: MatchBy = MatchBy.EMAIL_PHONE
) -> tuple[dict[RecordId, ContactId], set[RecordId]]:
    pairing = pair(records, contacts, match_by, names_agree)
    return dict(pairing.pairs), set(pairing.ambiguous)


def test_one_shared_email_pairs_a_record_and_a_contact() -> None:
    records = {R51: keys(email="ana@x.org ana@y.org"), R52: keys(email="eve@x.org")}

    assert paired(records, {ANA: keys(email="ana@y.org"), BO: keys(email="bo@x.org")}) == ({R51: ANA}, set())


def test_two_candidates_are_never_guessed_between() -> None:
    assert paired({R51: keys(email="a")}, {ANA: keys(email="a"), BO: keys(email="a")}) == ({}, {R51})
    assert paired({R51: keys(email="a"), R52: keys(email="a")}, {ANA: keys(email="a")}) == ({}, {R51, R52})
    assert paired({R51: keys(email="a b")}, {ANA: keys(email="a"), BO: keys(email="b")}) == ({}, {R51})


def test_our_own_id_beats_every_key_and_holds_without_matching() -> None:
    records = {R51: keys(email="bo@x.org", own_id=ANA)}
    contacts = {ANA: keys(), BO: keys(email="bo@x.org")}

    for match_by in MatchBy:
        assert paired(records, contacts, match_by) == ({R51: ANA}, set())


def test_our_own_id_on_two_records_or_of_a_linked_contact_pairs_nobody() -> None:
    assert paired({R51: keys(own_id=ANA), R52: keys(own_id=ANA)}, {ANA: keys()}) == ({}, {R51, R52})
    assert paired({R51: keys(own_id=ANA)}, {ANA: keys(linked=True)}) == ({}, {R51})


def test_our_own_id_of_a_contact_that_is_gone_says_nothing() -> None:
    assert paired({R51: keys(own_id=CY, email="a")}, {ANA: keys(email="a")}) == ({R51: ANA}, set())


def test_a_phone_pairs_only_when_it_is_asked_for_and_the_names_agree() -> None:
    contacts = {ANA: keys(phone="+1", name="Ana")}

    assert paired({R51: keys(phone="+1", name="Ana")}, contacts) == ({R51: ANA}, set())
    assert paired({R51: keys(phone="+1")}, contacts) == ({R51: ANA}, set())
    assert paired({R51: keys(phone="+1", name="Bo")}, contacts) == ({}, set())
    assert paired({R51: keys(phone="+1", name="Ana")}, contacts, MatchBy.EMAIL) == ({}, set())


def test_an_email_pairs_whatever_the_names() -> None:
    assert paired({R51: keys(email="a", name="Bo")}, {ANA: keys(email="a", name="Ana")}) == ({R51: ANA}, set())


def test_matching_by_nothing_pairs_nobody() -> None:
    assert paired({R51: keys(email="a", phone="+1")}, {ANA: keys(email="a", phone="+1")}, MatchBy.NONE) == ({}, set())


def test_a_key_that_a_linked_person_holds_too_is_ambiguous() -> None:
    assert paired({R51: keys(email="a")}, {ANA: keys(email="a", linked=True)}) == ({}, {R51})
    assert paired({R51: keys(email="a"), R52: keys(email="a", linked=True)}, {ANA: keys(email="a")}) == ({}, {R51})


def test_what_was_ambiguous_by_email_is_not_guessed_by_phone() -> None:
    records = {R51: keys(email="a", phone="+1")}

    assert paired(records, {ANA: keys(email="a", phone="+1"), BO: keys(email="a")}) == ({}, {R51})


def test_a_contact_paired_by_email_is_not_paired_again_by_phone() -> None:
    records = {R51: keys(email="a"), R52: keys(phone="+1")}

    assert paired(records, {ANA: keys(email="a", phone="+1")}) == ({R51: ANA}, {R52})


SOME = st.builds(
    Keys,
    st.frozensets(st.sampled_from("abc"), max_size=2),
    st.frozensets(st.sampled_from("123"), max_size=2),
    st.tuples(st.sampled_from(["", "Ana", "Bo"]), st.just("")),
    st.none() | st.sampled_from([ANA, BO]),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from([R51, R52, R53]), SOME),
    st.dictionaries(st.sampled_from([ANA, BO, CY]), SOME),
    st.sampled_from(MatchBy),
)
def test_pairs_are_one_to_one_among_the_unlinked_in_whatever_order(
    records: dict[RecordId, Keys], contacts: dict[ContactId, Keys], match_by: MatchBy
) -> None:
    pairing = pair(records, contacts, match_by, names_agree)

    assert len(set(pairing.pairs.values())) == len(pairing.pairs)
    assert not pairing.ambiguous & pairing.pairs.keys()
    assert not any(records[record].linked or contacts[contact].linked for record, contact in pairing.pairs.items())
    reversed_records, reversed_contacts = dict(reversed(records.items())), dict(reversed(contacts.items()))
    assert pair(reversed_records, reversed_contacts, match_by, names_agree) == Pairing(
        dict(pairing.pairs), pairing.ambiguous
    )
