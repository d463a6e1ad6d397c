"""Laws of a merge: no order shows in it, no value is lost without a choice, and taking it back is its inverse."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core.survivor import Member, choose_fields, choose_survivor, unmerge_fields

THEN = datetime(2026, 5, 3, tzinfo=UTC)
names = st.sampled_from(["first_name", "phone", "email", "custom.city"])
values = st.sampled_from(["", " ", "Ana", "Bo", "Lyon"])
moments = st.integers(0, 3).map(lambda days: THEN + timedelta(days=days))
fields = st.dictionaries(names, values)


@st.composite
def some_members(draw):
    ids = draw(st.lists(st.integers(1, 99), min_size=2, max_size=5, unique=True))
    return [
        Member(one, draw(fields), draw(st.dictionaries(names, moments)), draw(st.booleans()), draw(moments), THEN)
        for one in ids
    ]


@given(some_members(), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_the_order_of_members_never_decides(members, random):
    shuffled = list(members)
    random.shuffle(shuffled)
    survivor, _ = choose_survivor(members)

    assert choose_survivor(members) == choose_survivor(shuffled)
    assert choose_fields(members, survivor) == choose_fields(shuffled, survivor)


@given(some_members())
@settings(max_examples=100)
def test_no_field_that_somebody_filled_is_empty_after_a_merge(members):
    survivor, _ = choose_survivor(members)

    chosen = choose_fields(members, survivor)

    by_id = {member.id: member for member in members}
    assert set(chosen) == {name for member in members for name in member.fields}
    for name, choice in chosen.items():
        assert choice.value == by_id[choice.from_contact].fields.get(name, "")
        assert choice.value.strip() or not any(member.fields.get(name, "").strip() for member in members)


@given(fields, fields)
@settings(max_examples=100)
def test_taking_back_an_untouched_merge_restores_every_field(before, merged):
    taken_back = unmerge_fields(before, merged, merged)

    after = {**merged, **taken_back.restore}
    assert taken_back.kept == {}
    assert all(after.get(name, "") == before.get(name, "") for name in {*before, *merged})


@given(fields, fields, fields)
@settings(max_examples=100)
def test_what_was_edited_since_a_merge_is_never_overwritten(before, merged, now):
    taken_back = unmerge_fields(before, merged, now)

    assert all(now.get(name, "") == merged.get(name, "") for name in taken_back.restore)
    assert all(now.get(name, "") == value for name, value in taken_back.kept.items())
    assert not taken_back.restore.keys() & taken_back.kept.keys()
