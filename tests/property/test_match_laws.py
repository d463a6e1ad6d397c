"""Laws of groups: the incremental way equals a rebuild after any sequence of operations, in any order and batching."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core.match import KeyKind, MatchKey, groups, holder_limit, keys_of, regroup, touched_by
from mercuri.core.normalise import addresses_of

CAPS = {KeyKind.EMAIL: 2, KeyKind.PHONE: 4}
KEYS = [MatchKey(kind, value) for kind in (KeyKind.EMAIL, KeyKind.PHONE) for value in "ab"]
KEYS.append(MatchKey(KeyKind.NAME_COMPANY, "possible"))
CONTACTS = range(1, 9)

contacts = st.sampled_from(CONTACTS)
key_sets = st.sampled_from([frozenset(some) for size in (0, 1, 2, 2, 3) for some in combinations(KEYS, size)])
pairs = st.permutations(CONTACTS).map(lambda order: (order[0], order[1]))
populations = st.fixed_dictionaries(dict.fromkeys(CONTACTS, key_sets))
#: Marking and sharing take the n-th pair that is in one group, or the n-th key, so that most of them have an effect.
numbers = st.integers(0, 30)
operations = st.one_of(
    st.tuples(st.just("change"), contacts, key_sets),
    st.tuples(st.just("change"), contacts, key_sets),
    st.tuples(st.just("tell_apart"), numbers),
    st.tuples(st.just("tell_apart"), numbers),
    st.tuples(st.just("share_or_unshare"), numbers),
    st.tuples(st.just("merge"), pairs),
    st.tuples(st.just("change_many"), st.dictionaries(contacts, key_sets, min_size=2, max_size=4)),
)

Apart = tuple[int, int, MatchKey]


@dataclass
class Index:
    """What a store holds about duplicates, in memory; every operation brings the groups up to date by itself."""

    keys: dict[int, frozenset[MatchKey]] = field(default_factory=dict)
    shared: set[MatchKey] = field(default_factory=set)
    apart: set[Apart] = field(default_factory=set)
    group: dict[int, int] = field(default_factory=dict)
    most_read: dict[MatchKey, int] = field(default_factory=dict)

    def change(self, contact: int, new: frozenset[MatchKey]) -> None:
        self.change_many({contact: new})

    def change_many(self, changes: dict[int, frozenset[MatchKey]]) -> None:
        touched = set(changes)
        for contact, new in changes.items():
            old = self.keys.get(contact, frozenset())
            touched |= touched_by(old - new, self.holders, CAPS)
            self.keys[contact] = new
            touched |= touched_by(new - old, self.holders, CAPS)
        self.bring_up_to_date(touched)

    def tell_apart(self, number: int) -> None:
        together = [pair for pair in combinations(CONTACTS, 2) if len(set(map(self.group.get, pair)) - {None}) == 1]
        sharing = [pair for pair in together if self.keys_of(pair[0]) & self.keys_of(pair[1])]
        if sharing:
            a, b = sharing[number % len(sharing)]
            self.apart |= {(a, b, key) for key in self.keys_of(a) & self.keys_of(b)}
            self.bring_up_to_date((a, b))

    def share_or_unshare(self, number: int) -> None:
        key = KEYS[number % len(KEYS)]
        self.shared ^= {key}
        self.bring_up_to_date(touched_by([key], self.holders, CAPS))

    def merge(self, pair: tuple[int, int]) -> None:
        survivor, absorbed = pair
        moved = self.keys_of(absorbed)
        touched = {survivor, absorbed} | touched_by(moved, self.holders, CAPS)
        self.keys[survivor] = self.keys_of(survivor) | moved
        self.keys[absorbed] = frozenset()
        renamed = [(*sorted(survivor if x == absorbed else x for x in (a, b)), key) for a, b, key in self.apart]
        self.apart = {(a, b, key) for a, b, key in renamed if a != b}
        self.bring_up_to_date(touched | touched_by(moved, self.holders, CAPS))

    def holders(self, key: MatchKey) -> Sequence[int]:
        found = [contact for contact, own in self.keys.items() if key in own][: holder_limit(key.kind, CAPS)]
        self.most_read[key] = max(len(found), self.most_read.get(key, 0))
        return found

    def keys_of(self, contact: int) -> frozenset[MatchKey]:
        return self.keys.get(contact, frozenset())

    def old_group(self, contact: int) -> Collection[int]:
        own = self.group.get(contact, 0)
        return [other for other, group in self.group.items() if group == own] if own else ()

    def suppressed(self, contact: int, key: MatchKey) -> Collection[int]:
        return {a if b == contact else b for a, b, by in self.apart if by == key and contact in (a, b)}

    def bring_up_to_date(self, touched: Iterable[int]) -> None:
        moved = regroup(
            touched, self.old_group, self.holders, self.keys_of, self.suppressed, self.shared.__contains__, CAPS
        )
        self.group = {contact: group for contact, group in {**self.group, **moved}.items() if group}

    def rebuilt(self) -> dict[int, int]:
        found = groups(self.keys, self.shared, self.apart, CAPS)
        return {member: group for group, members in found.items() for member in members}


def by_pairs(index: Index) -> dict[int, int]:
    """The definition itself, slowly: pairs that a key joins, closed over."""
    joined = {contact: {contact} for contact in index.keys}
    for key in KEYS:
        holders = sorted(contact for contact, own in index.keys.items() if key in own)
        if key in index.shared or key.kind not in CAPS or len(holders) > CAPS[key.kind]:
            continue
        for a, b in combinations(holders, 2):
            if (a, b, key) not in index.apart and joined[a] is not joined[b]:
                joined[a] |= joined[b]
                joined.update(dict.fromkeys(joined[b], joined[a]))
    return {contact: min(component) for contact, component in joined.items() if len(component) > 1}


@given(populations, st.lists(operations, min_size=8, max_size=20))
@settings(max_examples=200)
def test_the_incremental_way_equals_a_rebuild_after_every_operation(population, steps):
    index = Index()
    index.change_many(population)

    for name, *arguments in steps:
        getattr(index, name)(*arguments)

        assert index.group == index.rebuilt() == by_pairs(index)
    assert all(read <= CAPS.get(key.kind, 0) + 2 for key, read in index.most_read.items())


@given(populations, st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_neither_order_nor_batching_shows_in_the_groups(final, random):
    one_by_one, at_once = Index(), Index()
    order = list(final)
    random.shuffle(order)

    for contact in order:
        one_by_one.change(contact, final[contact])
    at_once.change_many(final)

    assert one_by_one.group == at_once.group


@given(populations, contacts, key_sets)
@settings(max_examples=100)
def test_a_change_moves_only_members_of_groups_that_hold_a_touched_contact(before, contact, new):
    index = Index()
    index.change_many(before)
    old = dict(index.group)
    lost, gained = index.keys_of(contact) - new, new - index.keys_of(contact)
    touched = {contact} | touched_by(lost, index.holders, CAPS)

    index.change(contact, new)

    touched |= touched_by(gained, index.holders, CAPS)
    near = {old.get(one, one) for one in touched}
    moved = {one for one in CONTACTS if old.get(one) != index.group.get(one)}
    assert all(old.get(one, one) in near for one in moved)


@given(populations, st.lists(numbers, max_size=3), pairs)
@settings(max_examples=100)
def test_taking_a_merge_back_restores_keys_and_groups(before, told_apart, pair):
    index = Index()
    index.change_many(before)
    for number in told_apart:
        index.tell_apart(number)
    survivor, absorbed = pair
    keys, apart_before, group = dict(index.keys), set(index.apart), dict(index.group)
    moved = {contact: index.keys_of(contact) for contact in pair}

    index.merge(pair)
    assert index.keys_of(survivor) == moved[survivor] | moved[absorbed]
    index.apart = apart_before
    index.change_many(moved)

    assert {c: k for c, k in index.keys.items() if k} == {c: k for c, k in keys.items() if k}
    assert index.group == group


@given(st.lists(st.sampled_from(["ana@x.com", "bo@x.com", "a.na@gmail.com"]), max_size=3), st.data())
@settings(max_examples=50)
def test_the_keys_of_united_addresses_are_the_union_of_keys(emails, data):
    others = data.draw(st.lists(st.sampled_from(["ana@x.com", "anb@gmail.com", "+1 415 555 2671 x5"]), max_size=3))

    def keys(texts: list[str]) -> frozenset[MatchKey]:
        return keys_of(addresses_of({}, "US", texts, [("custom.x", text) for text in texts]), {})

    assert keys(emails + others) == keys(emails) | keys(others)


def test_a_long_chain_cut_in_the_middle_becomes_two_groups():
    size = 1_000
    links = [MatchKey(KeyKind.EMAIL, str(number)) for number in range(size + 1)]
    index = Index()
    index.change_many({number: frozenset(links[number - 1 : number + 1]) for number in range(1, size + 1)})
    assert set(index.group.values()) == {1}

    index.change(size // 2, frozenset())

    assert set(index.group.values()) == {1, size // 2 + 1}


def test_a_member_that_was_left_behind_in_a_touched_group_is_set_right():
    index = Index(keys={1: frozenset(KEYS[:1]), 2: frozenset(KEYS[:1]), 3: frozenset()}, group={1: 1, 2: 1, 3: 1})

    index.bring_up_to_date([2])

    assert index.group == {1: 1, 2: 1}
