"""Laws of groups: the incremental way equals a rebuild after any sequence of operations, in any order and batching."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core.match import KeyKind, MatchKey, groups, keys_of, most_that_count, regroup
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
    told: set[Apart] = field(default_factory=set)
    group: dict[int, int] = field(default_factory=dict)

    def change(self, contact: int, new: frozenset[MatchKey]) -> None:
        self.change_many({contact: new})

    def change_many(self, changes: dict[int, frozenset[MatchKey]]) -> None:
        moved = {contact: self.held_by(contact) ^ new for contact, new in changes.items()}
        self.keys.update(changes)
        self.bring_up_to_date(self.touched(moved))

    def touched(self, moved: dict[int, frozenset[MatchKey]]) -> set[int]:
        """Everybody whose group may change when contacts lost or gained these keys."""
        most = most_that_count((key for keys in moved.values() for key in keys), CAPS)
        held = {key: self.holders(key, limit + 1) for key, limit in most.items()}
        return set(moved).union(*(found for key, found in held.items() if len(found) <= most[key]))

    def tell_apart(self, number: int) -> None:
        together = [pair for pair in combinations(CONTACTS, 2) if len(set(map(self.group.get, pair)) - {None}) == 1]
        sharing = [pair for pair in together if self.held_by(pair[0]) & self.held_by(pair[1])]
        if sharing:
            a, b = sharing[number % len(sharing)]
            self.told |= {(a, b, key) for key in self.held_by(a) & self.held_by(b)}
            self.bring_up_to_date((a, b))

    def share_or_unshare(self, number: int) -> None:
        key = KEYS[number % len(KEYS)]
        self.shared ^= {key}
        self.bring_up_to_date(self.holders(key, 99))

    def merge(self, pair: tuple[int, int]) -> None:
        survivor, absorbed = pair
        united = self.held_by(survivor) | self.held_by(absorbed)
        renamed = [(*sorted(survivor if x == absorbed else x for x in (a, b)), key) for a, b, key in self.told]
        self.told = {(a, b, key) for a, b, key in renamed if a != b}
        self.change_many({survivor: united, absorbed: frozenset()})
        self.bring_up_to_date(pair)

    def held_by(self, contact: int) -> frozenset[MatchKey]:
        return self.keys.get(contact, frozenset())

    def holders(self, key: MatchKey, limit: int) -> list[int]:
        return [contact for contact, own in self.keys.items() if key in own][:limit]

    def with_old_groups(self, contacts: Collection[int]) -> Collection[int]:
        old = {self.group[contact] for contact in contacts if contact in self.group}
        return {*contacts, *(contact for contact, group in self.group.items() if group in old)}

    def keys_of(self, contacts: Collection[int]) -> Mapping[int, Collection[MatchKey]]:
        return {contact: self.keys[contact] for contact in contacts if contact in self.keys}

    def joining(self, keys: Collection[MatchKey]) -> Mapping[MatchKey, Collection[int]]:
        held = {key: self.holders(key, CAPS[key.kind] + 1) for key in keys if key.kind in CAPS}
        return {key: found for key, found in held.items() if len(found) <= CAPS[key.kind] and key not in self.shared}

    def apart(self, contacts: Collection[int]) -> Mapping[MatchKey, Collection[tuple[int, int]]]:
        mine = [(a, b, key) for a, b, key in self.told if a in contacts or b in contacts]
        return {key: {(a, b) for a, b, by in mine if by == key} for _, _, key in mine}

    def bring_up_to_date(self, touched: Collection[int]) -> None:
        found = regroup(touched, self)
        self.group = {contact: group for contact, group in {**self.group, **found.group_of}.items() if group}

    def rebuilt(self) -> dict[int, int]:
        found = groups(self.keys, self.shared, self.told, CAPS)
        return {member: group for group, members in found.items() for member in members}


def by_pairs(index: Index) -> dict[int, int]:
    """The definition itself, slowly: pairs that a key joins, closed over."""
    joined = {contact: {contact} for contact in index.keys}
    for key in KEYS:
        holders = sorted(contact for contact, own in index.keys.items() if key in own)
        if key in index.shared or key.kind not in CAPS or len(holders) > CAPS[key.kind]:
            continue
        for a, b in combinations(holders, 2):
            if (a, b, key) not in index.told and joined[a] is not joined[b]:
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
    lost, gained = index.held_by(contact) - new, new - index.held_by(contact)
    touched = {contact}.union(*(index.holders(key, 99) for key in lost))

    index.change(contact, new)

    touched |= {one for key in gained for one in index.holders(key, 99)}
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
    keys, apart_before, group = dict(index.keys), set(index.told), dict(index.group)
    moved = {contact: index.held_by(contact) for contact in pair}

    index.merge(pair)
    assert index.held_by(survivor) == moved[survivor] | moved[absorbed]
    index.told = apart_before
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
