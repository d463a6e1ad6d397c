"""Match keys, and the groups of contacts that they join.

A contact holds a set of keys, made from all its addresses. A key joins its holders when it is of an exact kind,
nobody declared it shared, and at least two and at most `caps[kind]` contacts hold it. A group is a connected
component of two or more, and its id is its smallest member. Groups are a function of the present keys and choices
alone: no order of events shows in them, so that the incremental `regroup` must always equal `groups`.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from mercuri.core.contact import Address
from mercuri.core.normalise import fold_name, phone_key
from mercuri.core.survivor import Member


class KeyKind(enum.IntEnum):
    """What two contacts have in common; below 11 it is exact and makes groups, from 11 on only possible."""

    EMAIL = 1
    PHONE = 2
    PHONE_VARIANT = 11
    EMAIL_CANONICAL = 12
    NAME_COMPANY = 13
    HUBSPOT_PAIR = 14


@dataclass(frozen=True, slots=True, order=True)
class MatchKey:
    """A normal value that suggests that its holders are one person."""

    kind: KeyKind
    value: str


Pair = tuple[int, int]
Caps = Mapping[KeyKind, int]

#: Most holders of a key that still joins them, by exact kind; kinds that are not listed join nobody.
CAPS: Caps = {KeyKind.EMAIL: 10, KeyKind.PHONE: 25}
#: For each possible kind, the kinds under which a partner holds the same value: a number without its extension
#: meets the plain number of somebody else.
MEETS: Mapping[KeyKind, tuple[KeyKind, ...]] = {
    KeyKind.PHONE_VARIANT: (KeyKind.PHONE_VARIANT, KeyKind.PHONE),
    KeyKind.EMAIL_CANONICAL: (KeyKind.EMAIL_CANONICAL, KeyKind.EMAIL),
    KeyKind.NAME_COMPANY: (KeyKind.NAME_COMPANY,),
    KeyKind.HUBSPOT_PAIR: (KeyKind.HUBSPOT_PAIR,),
}
#: What people type where an e-mail is demanded: the part before the @. They never become keys.
PLACEHOLDER_LOCAL_PARTS = frozenset(
    {
        *("donotreply", "n/a", "na", "no-email", "no-mail", "no-reply", "no.email", "no_email", "noemail", "nomail"),
        *("none", "noreply", "notprovided", "null", "test", "unknown"),
    }
)
#: Largest group that is merged without a person looking at it.
SAFE_SIZE = 5
#: Above this a group is shown as too large to merge at once.
LARGE_SIZE = 50


def keys_of(addresses: Iterable[Address], fields: Mapping[str, str]) -> frozenset[MatchKey]:
    """All keys of a contact. An address without a normal form gives none, and neither does a placeholder.

    Possible keys are made only where they say more than the exact one; `MEETS` tells what they are compared with.
    """
    keys: set[MatchKey] = set()
    for address in addresses:
        if address.normal is not None:
            keys.update(
                _email_keys(address.normal)
                if address.kind == "email"
                else _phone_keys(address.normal, address.extension)
            )
    if company := fold_name(fields.get("custom.company", "")):
        name = fold_name(f"{fields.get('first_name', '')} {fields.get('last_name', '')}")
        if " " in name:
            keys.add(MatchKey(KeyKind.NAME_COMPANY, f"{name}|{company}"))
    return frozenset(keys)


def _email_keys(email: str) -> Iterable[MatchKey]:
    local, _, domain = email.rpartition("@")
    if local in PLACEHOLDER_LOCAL_PARTS:
        return
    yield MatchKey(KeyKind.EMAIL, email)
    if domain in ("gmail.com", "googlemail.com"):
        canonical = f"{local.partition('+')[0].replace('.', '')}@gmail.com"
        if canonical != email:
            yield MatchKey(KeyKind.EMAIL_CANONICAL, canonical)


def _phone_keys(e164: str, extension: str) -> Iterable[MatchKey]:
    yield MatchKey(KeyKind.PHONE, phone_key(e164, extension))
    # Argentina writes one mobile with and without a 9, and both are valid: the same digits may be two lines.
    base = f"+54{e164[4:]}" if e164.startswith("+549") else e164
    if base != e164 or extension:
        yield MatchKey(KeyKind.PHONE_VARIANT, base)


def groups(
    keys: Mapping[int, Collection[MatchKey]],
    shared: Collection[MatchKey] = frozenset(),
    not_duplicate: Collection[tuple[int, int, MatchKey]] = frozenset(),
    caps: Caps = CAPS,
) -> dict[int, tuple[int, ...]]:
    """Every group from scratch: its id, the smallest member, and all its members in order.

    `not_duplicate` holds pairs that a person told apart, each for one key: the pair is not joined by that key.
    """
    apart: dict[MatchKey, set[Pair]] = defaultdict(set)
    for a, b, key in not_duplicate:
        apart[key].add((min(a, b), max(a, b)))
    held = _holders_by_key(keys, frozenset(shared), caps)
    roots = {contact: contact for contact in keys}
    for key, holders in held.items():
        if 2 <= len(holders) <= caps[key.kind]:
            for a, b in _edges(holders, apart.get(key, frozenset())):
                _join(roots, a, b)
    return _by_root(roots)


def _holders_by_key(
    keys: Mapping[int, Collection[MatchKey]], shared: Collection[MatchKey], caps: Caps
) -> dict[MatchKey, list[int]]:
    held: dict[MatchKey, list[int]] = defaultdict(list)
    for contact, own in keys.items():
        for key in own:
            if key.kind in caps and key not in shared:
                held[key].append(contact)
    return held


def _edges(holders: Sequence[int], apart: Collection[Pair]) -> Iterable[Pair]:
    if not apart:
        return ((holders[0], other) for other in holders[1:])
    return (pair for pair in combinations(sorted(holders), 2) if pair not in apart)


def _root(roots: dict[int, int], contact: int) -> int:
    while roots[contact] != contact:
        roots[contact] = roots[roots[contact]]
        contact = roots[contact]
    return contact


def _join(roots: dict[int, int], a: int, b: int) -> None:
    low, high = sorted((_root(roots, a), _root(roots, b)))
    roots[high] = low


def _by_root(roots: dict[int, int]) -> dict[int, tuple[int, ...]]:
    members: dict[int, list[int]] = defaultdict(list)
    for contact in sorted(roots):
        members[_root(roots, contact)].append(contact)
    return {root: tuple(found) for root, found in members.items() if len(found) > 1}


def holder_limit(kind: KeyKind, caps: Caps = CAPS) -> int:
    """How many holders of a key ever need to be read: two more than join, whatever the size of the crowd."""
    return caps.get(kind, 0) + 2


def touched_by(keys: Iterable[MatchKey], holders: Callable[[MatchKey], Sequence[int]], caps: Caps = CAPS) -> set[int]:
    """The contacts whose group may change when one contact loses or gains `keys`.

    Call it for lost keys before the index changes, and for gained keys after: a key at one above its cap begins to
    join when it loses a holder, and stops when it gains that one. Above that, one edit changes nothing.
    """
    touched: set[int] = set()
    for key in keys:
        if key.kind in caps and len(found := holders(key)) <= caps[key.kind] + 1:
            touched.update(found)
    return touched


def regroup(
    touched: Iterable[int],
    old_group: Callable[[int], Collection[int]],
    holders: Callable[[MatchKey], Sequence[int]],
    keys_of_contact: Callable[[int], Collection[MatchKey]],
    suppressed: Callable[[int, MatchKey], Collection[int]],
    is_shared: Callable[[MatchKey], bool],
    caps: Caps = CAPS,
) -> dict[int, int]:
    """The group of every contact that a change can have moved: contact -> id of its group, 0 for none.

    Looked at are the touched contacts and the whole groups that they were in, so that splits are seen. The work
    grows with those groups alone, not with the number of contacts.

    `old_group(c)` are the members of c's group before the change, empty for none. `holders(key)` are the present
    ones, of which the first `holder_limit` are enough. `suppressed(c, key)` are the contacts told apart from c for
    that key. Ask for each of them only once a change is written.
    """
    wanted: set[int] = set()
    for contact in touched:
        if contact not in wanted:
            wanted.update((contact, *old_group(contact)))
    walk = _Walk(holders, keys_of_contact, suppressed, is_shared, caps)
    result: dict[int, int] = {}
    for contact in sorted(wanted):
        if contact not in result:
            component = walk.component(contact)
            group = min(component) if len(component) > 1 else 0
            result.update(dict.fromkeys(component, group))
    return result


@dataclass(slots=True)
class _Walk:
    """Breadth first over the contacts that keys join; each key's holders are read once."""

    holders: Callable[[MatchKey], Sequence[int]]
    keys_of_contact: Callable[[int], Collection[MatchKey]]
    suppressed: Callable[[int, MatchKey], Collection[int]]
    is_shared: Callable[[MatchKey], bool]
    caps: Caps
    joined: dict[MatchKey, Sequence[int]] = field(default_factory=dict)

    def component(self, start: int) -> set[int]:
        seen, queue = {start}, [start]
        while queue:
            contact = queue.pop()
            for key in self.keys_of_contact(contact):
                queue += self._new_neighbours(contact, key, seen)
        return seen

    def _joined_by(self, key: MatchKey) -> Sequence[int]:
        if key not in self.joined:
            self.joined[key] = self._read(key)
        return self.joined[key]

    def _read(self, key: MatchKey) -> Sequence[int]:
        if key.kind not in self.caps or self.is_shared(key):
            return ()
        found = self.holders(key)
        return found if 2 <= len(found) <= self.caps[key.kind] else ()

    def _new_neighbours(self, contact: int, key: MatchKey, seen: set[int]) -> list[int]:
        unseen = [other for other in self._joined_by(key) if other not in seen]
        if not unseen:
            return []
        apart = self.suppressed(contact, key)
        found = [other for other in unseen if other not in apart]
        seen.update(found)
        return found


def names_compatible(a: tuple[str, str], b: tuple[str, str]) -> bool:
    """Whether two (first, last) names can be one person's: each part equal, an initial of the other, or empty.

    >>> names_compatible(("A.", "Souza"), ("Ana", "Souza"))
    True
    """
    return all(_part_compatible(fold_name(one), fold_name(other)) for one, other in zip(a, b, strict=True))


def _part_compatible(one: str, other: str) -> bool:
    short, long = sorted((one.rstrip("."), other.rstrip(".")), key=len)
    return not short or short == long or (len(short) == 1 and long.startswith(short))


def safe_to_merge(
    members: Sequence[Member],
    keys: Mapping[int, Collection[MatchKey]],
    marked_different: Collection[Pair] = (),
    *,
    email_only: bool = False,
) -> str | None:
    """None when a group may be merged without a person looking at it, else the reason for leaving it.

    `keys` are the exact keys of each member that join it to another. `email_only` is the rule of automatic merges:
    e-mails alone must join all members, since a phone number may be a household's.
    """
    names = [(member.fields.get("first_name", ""), member.fields.get("last_name", "")) for member in members]
    states = {member.consent_closed for member in members}
    kinds = (KeyKind.EMAIL,) if email_only else (KeyKind.EMAIL, KeyKind.PHONE)
    if len(members) > SAFE_SIZE:
        return "too large"
    if marked_different:
        return "marked different"
    if {True, False} <= states:
        return "consent conflict"
    if sum(member.linked for member in members) > 1:
        return "several HubSpot records"
    if not all(names_compatible(a, b) for a, b in combinations(names, 2)):
        return "names differ"
    if not _all_joined(members, keys, kinds):
        return "phone number only" if email_only else "no longer the same address"
    return None


def _all_joined(
    members: Sequence[Member], keys: Mapping[int, Collection[MatchKey]], kinds: Collection[KeyKind]
) -> bool:
    own = {member.id: [key for key in keys.get(member.id, ()) if key.kind in kinds] for member in members}
    found = groups(own)
    return len(found) == 1 and len(next(iter(found.values()))) == len(members)
