"""Match keys, and the groups of contacts that they join.

A contact holds a set of keys, made from all its addresses. A key joins its holders when it is of an exact kind,
nobody declared it shared, and at least two and at most `caps[kind]` contacts hold it. A group is a connected
component of two or more, and its id is its smallest member. Groups are a function of the present keys and choices
alone: no order of events shows in them, so that the incremental `regroup` must always equal `groups`.
"""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, Protocol

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


class MatchKey(NamedTuple):
    """A normal value that suggests that its holders are one person. A tuple: sets of them are hashed all the time."""

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
    held = _holders_by_key(keys, frozenset(shared), caps)
    return joined([(key, own) for key, own in held.items() if 2 <= len(own) <= caps[key.kind]], not_duplicate)


def joined(
    joining: Iterable[tuple[MatchKey, Sequence[int]]],
    not_duplicate: Collection[tuple[int, int, MatchKey]] = frozenset(),
) -> dict[int, tuple[int, ...]]:
    """`groups` from the keys that join their holders, each with all of these: two or more."""
    apart: dict[MatchKey, set[Pair]] = defaultdict(set)
    for a, b, key in not_duplicate:
        apart[key].add((min(a, b), max(a, b)))
    roots: dict[int, int] = {}
    for key, holders in joining:
        for contact in holders:
            roots.setdefault(contact, contact)
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


def most_that_count(changed: Iterable[MatchKey], caps: Caps = CAPS) -> dict[MatchKey, int]:
    """For each exact key that contacts lost or gained, the most holders with which its change can move a group.

    `changed` names a key once for each contact. With one contact more or less, a key at one above its cap may begin to
    join, or stop; a key with more holders than that joined nobody before, and joins nobody now.
    """
    times = Counter(key for key in changed if key.kind in caps)
    return {key: caps[key.kind] + number for key, number in times.items()}


class Index(Protocol):
    """What `regroup` asks for, for many at once; ask it only when a change is written."""

    def with_old_groups(self, contacts: Collection[int]) -> Collection[int]:
        """The contacts, and all members of the groups that they were in before the change."""

    def keys_of(self, contacts: Collection[int]) -> Mapping[int, Collection[MatchKey]]:
        """The keys that each of the contacts holds now."""

    def joining(self, keys: Collection[MatchKey]) -> Mapping[MatchKey, Collection[int]]:
        """All holders of those of the keys that join their holders: of an exact kind, not shared, within the cap."""

    def apart(self, contacts: Collection[int]) -> Mapping[MatchKey, Collection[Pair]]:
        """The pairs that were told apart and hold one of the contacts, for each key; the smaller id first."""


@dataclass(slots=True)
class Regrouped:
    """The group of every contact that a change can have moved, 0 for none; by which kinds of keys each is joined."""

    group_of: dict[int, int]
    kinds: dict[int, set[KeyKind]]


def regroup(touched: Collection[int], index: Index) -> Regrouped:
    """The groups around contacts whose keys, or whose keys' holders, changed.

    Looked at are those contacts and the whole groups that they were in, so that splits are seen, and wave by wave
    whoever keys join to them. The work grows with those groups alone, not with the number of contacts.
    """
    wave = set(index.with_old_groups(touched))
    found = _Components({contact: contact for contact in wave})
    held: dict[MatchKey, Collection[int]] = {}
    while wave:
        keys, apart = index.keys_of(wave), index.apart(wave)
        fresh = {key for own in keys.values() for key in own} - held.keys()
        held |= {**dict.fromkeys(fresh, ()), **index.joining(fresh)}
        wave = set()
        for contact, own in keys.items():
            for key in own:
                told = apart.get(key, ())
                others = [one for one in held[key] if one != contact and _order(one, contact) not in told]
                wave |= found.join(contact, others, key.kind)
                if len(others) + 1 == len(held[key]):
                    held[key] = ()  # all of its holders are in one component now
    return found.regrouped()


@dataclass(slots=True)
class _Components:
    """Contacts that were reached, joined step by step."""

    roots: dict[int, int]
    joins: set[tuple[int, KeyKind]] = field(default_factory=set)

    def join(self, contact: int, others: Collection[int], kind: KeyKind) -> set[int]:
        """Join a contact with others; the answer is who of them is reached for the first time."""
        new = {other for other in others if other not in self.roots}
        self.roots.update((other, other) for other in new)
        for other in others:
            _join(self.roots, contact, other)
        if others:
            self.joins.add((contact, kind))
        return new

    def regrouped(self) -> Regrouped:
        kinds: dict[int, set[KeyKind]] = {}
        for contact, kind in self.joins:
            kinds.setdefault(_root(self.roots, contact), set()).add(kind)
        root_of = {contact: _root(self.roots, contact) for contact in self.roots}
        return Regrouped({contact: root if root in kinds else 0 for contact, root in root_of.items()}, kinds)


def _order(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)


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
    members: Sequence[Member], joined: Iterable[Sequence[int]], marked_different: Collection[Pair] = ()
) -> str | None:
    """None when a group may be merged without a person looking at it, else the reason for leaving it.

    `joined` are the members that hold one exact key, for each key that joins some of them.
    """
    names = [(member.fields.get("first_name", ""), member.fields.get("last_name", "")) for member in members]
    states = {member.consent_closed for member in members}
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
    if not _are_one({member.id for member in members}, joined):
        return "no longer the same address"
    return None


def _are_one(members: Collection[int], joined: Iterable[Sequence[int]]) -> bool:
    roots = {member: member for member in members}
    for holders in joined:
        for other in holders[1:]:
            _join(roots, holders[0], other)
    return len({_root(roots, member) for member in members}) == 1
