"""The first match: which unlinked record is which contact. One to one, or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mercuri.core.contact import ContactId, RecordId
from mercuri.core.settings import MatchBy


@dataclass(frozen=True, slots=True)
class Keys:
    """What a record or a contact is recognised by: normal e-mails and phones, its name, and for a record our own id.

    One that is already linked is given too when it shares a key with one that is not: it makes the key ambiguous,
    and is never paired itself.
    """

    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    name: tuple[str, str] = ("", "")
    own_id: ContactId | None = None
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs found, and the records with several candidates: these become contacts of their own, flagged."""

    pairs: Mapping[RecordId, ContactId] = field(default_factory=dict)
    ambiguous: frozenset[RecordId] = frozenset()


def pair(
    records: Mapping[RecordId, Keys],
    contacts: Mapping[ContactId, Keys],
    match_by: MatchBy,
    names_agree: Callable[[tuple[str, str], tuple[str, str]], bool],
) -> Pairing:
    """Pair records with contacts: by our own id there, then by e-mail, then by phone, as far as `match_by` allows.

    A phone counts only when one record and one contact have it and their names do not contradict each other. Whatever
    has two candidates is never guessed, and the order of records and contacts does not matter.
    """
    pairs, ambiguous = _by_own_id(records, contacts)
    if match_by is not MatchBy.NONE:
        _extend(pairs, ambiguous, records, contacts, lambda keys: keys.emails, lambda one, other: True)
    if match_by is MatchBy.EMAIL_PHONE:
        _extend(pairs, ambiguous, records, contacts, lambda keys: keys.phones, names_agree)
    return Pairing(pairs, frozenset(ambiguous))


_Id = TypeVar("_Id", RecordId, ContactId)


def _by_own_id(
    records: Mapping[RecordId, Keys], contacts: Mapping[ContactId, Keys]
) -> tuple[dict[RecordId, ContactId], set[RecordId]]:
    claims: dict[ContactId, list[RecordId]] = defaultdict(list)
    for record, keys in records.items():
        if keys.own_id is not None and keys.own_id in contacts:
            claims[keys.own_id].append(record)
    pairs: dict[RecordId, ContactId] = {}
    ambiguous: set[RecordId] = set()
    for contact, claimants in claims.items():
        if len(claimants) == 1 and not contacts[contact].linked and not records[claimants[0]].linked:
            pairs[claimants[0]] = contact
        else:
            ambiguous.update(record for record in claimants if not records[record].linked)
    return pairs, ambiguous


def _extend(
    pairs: dict[RecordId, ContactId],
    ambiguous: set[RecordId],
    records: Mapping[RecordId, Keys],
    contacts: Mapping[ContactId, Keys],
    keys_of: Callable[[Keys], frozenset[str]],
    names_agree: Callable[[tuple[str, str], tuple[str, str]], bool],
) -> None:
    """Add the pairs that one kind of key gives; both sets are changed in place."""
    holders_here, holders_there = _holders(contacts, keys_of), _holders(records, keys_of)
    paired_contacts = set(pairs.values())
    found: dict[RecordId, ContactId] = {}
    for record, keys in records.items():
        if record in pairs or record in ambiguous or keys.linked:
            continue
        here = _together(holders_here, keys_of(keys))
        if not here:
            continue
        there = _together(holders_there, [key for contact in here for key in keys_of(contacts[contact])])
        contact = next(iter(here))
        free = not contacts[contact].linked and contact not in paired_contacts
        if len(here) > 1 or len(there) > 1 or not free:
            ambiguous.add(record)
        elif names_agree(keys.name, contacts[contact].name):
            found[record] = contact
    pairs.update(found)


def _holders(people: Mapping[_Id, Keys], keys_of: Callable[[Keys], Collection[str]]) -> dict[str, set[_Id]]:
    holders: dict[str, set[_Id]] = defaultdict(set)
    for person, keys in people.items():
        for key in keys_of(keys):
            holders[key].add(person)
    return holders


def _together(holders: Mapping[str, set[_Id]], keys: Iterable[str]) -> set[_Id]:
    return {person for key in keys for person in holders.get(key, ())}
