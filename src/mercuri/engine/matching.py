"""The first match: whose record is this? Only for records without a link; afterwards the record id decides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mercuri.core.contact import Address, ContactId, RecordId
from mercuri.core.match import names_compatible
from mercuri.core.pairing import Keys, pair
from mercuri.core.settings import OWN_ID_PROPERTY, MatchBy
from mercuri.engine.work import Work
from mercuri.store import contact_rows, contacts, links, suppression
from mercuri.store.contacts import Held
from mercuri.store.database import Tx


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A record without a link, with the fields and addresses that its contact would have."""

    record_id: RecordId
    properties: Mapping[str, str]
    fields: Mapping[str, str]
    addresses: tuple[Address, ...]

    def normals(self, kind: str) -> frozenset[str]:
        """Its usable addresses of one kind in normal form."""
        return frozenset(a.normal for a in self.addresses if a.kind == kind and a.normal)


@dataclass(frozen=True, slots=True)
class Matched:
    """What the first match says of newcomers; those that are named nowhere become contacts of their own."""

    pairs: Mapping[RecordId, ContactId] = field(default_factory=dict)
    aside: frozenset[RecordId] = frozenset()  # may be someone we hold, by phone: decided once all records are in
    buried: Mapping[RecordId, ContactId] = field(default_factory=dict)  # their contact was deleted here


def match_page(tx: Tx, work: Work, newcomers: Sequence[Newcomer]) -> Matched:
    """Match by our own id and by e-mail; put aside those that a phone number may match."""
    owners = _own_ids(work, newcomers)
    held = contacts.held(tx, [*owners.values()]) if owners else {}
    alive = {record: contact for record, contact in owners.items() if contact in held and _is_alive(held[contact])}
    buried = {r: c for r, c in owners.items() if c in held and held[c].deleted_at is not None}
    by = work.settings.match_by
    here = set(alive.values())
    if by is not MatchBy.NONE:
        here |= _holders(tx, "email", newcomers)
    by_phone = _holders(tx, "phone", newcomers) if by is MatchBy.EMAIL_PHONE else set()
    if not here and not by_phone:
        return Matched(buried=buried)
    contact_keys = _contact_keys(tx, work, here | by_phone)
    records = {n.record_id: _record_keys(n, alive.get(n.record_id)) for n in newcomers if n.record_id not in buried}
    found = pair(records, contact_keys, MatchBy.NONE if by is MatchBy.NONE else MatchBy.EMAIL, names_compatible)
    free_phones = {phone for keys in contact_keys.values() if not keys.linked for phone in keys.phones}
    aside = (
        {r for r, keys in records.items() if r not in found.pairs and keys.phones & free_phones} if by_phone else set()
    )
    return Matched(found.pairs, frozenset(aside), buried)


def match_aside(tx: Tx, work: Work, newcomers: Sequence[Newcomer]) -> Matched:
    """Match the records that were put aside, now that every record of the read is in."""
    here = _holders(tx, "phone", newcomers) | _holders(tx, "email", newcomers)
    records = {n.record_id: _record_keys(n, None) for n in newcomers}
    found = pair(records, _contact_keys(tx, work, here), work.settings.match_by, names_compatible)
    return Matched(found.pairs)


def erased(tx: Tx, work: Work, newcomers: Sequence[Newcomer]) -> set[RecordId]:
    """The newcomers who asked to be forgotten: one of their addresses is on the list of erased people."""
    if not newcomers or not suppression.has_any(tx, suppression.ERASED):
        return set()
    hashes = {
        n.record_id: {
            work.app.vault.keyed_hash(suppression.erased_text(a.kind, a.normal)) for a in n.addresses if a.normal
        }
        for n in newcomers
    }
    listed = suppression.known(tx, {one for all_ in hashes.values() for one in all_}, suppression.ERASED)
    return {record for record, mine in hashes.items() if mine & listed}


def own_value(work: Work, contact: ContactId, archived: str = "") -> str:
    """What HubSpot's own-id property holds for a contact: unlike any other installation's.

    Where its record was `archived`, which goes on holding the first value, a new record gets another one.
    """
    return f"{work.own_id}-{contact}" + (f"-{archived}" if archived else "")


def newcomer(work: Work, record_id: RecordId, properties: Mapping[str, str], found: tuple[Address, ...]) -> Newcomer:
    """A newcomer from a record's properties and the addresses that they hold."""
    mapped = {item.field: properties[item.property] for item in work.mapping if item.property in properties}
    return Newcomer(record_id, properties, mapped, found)


def _own_ids(work: Work, newcomers: Iterable[Newcomer]) -> dict[RecordId, ContactId]:
    start = f"{work.own_id}-"
    found: dict[RecordId, ContactId] = {}
    for one in newcomers:
        value = one.properties.get(OWN_ID_PROPERTY, "")
        number = value.removeprefix(start).partition("-")[0]
        if value.startswith(start) and number.isdecimal():
            found[one.record_id] = ContactId(int(number))
    return found


def _is_alive(held: Held) -> bool:
    return held.deleted_at is None and held.merged_into is None


def _holders(tx: Tx, kind: str, newcomers: Iterable[Newcomer]) -> set[ContactId]:
    normals = {normal for one in newcomers for normal in one.normals(kind)}
    if not normals:
        return set()
    return {contact for holders in contacts.holders(tx, kind, normals).values() for contact in holders}


def _record_keys(one: Newcomer, own_id: ContactId | None) -> Keys:
    name = (one.fields.get("first_name", ""), one.fields.get("last_name", ""))
    return Keys(one.normals("email"), one.normals("phone"), name, own_id)


def _contact_keys(tx: Tx, work: Work, ids: Collection[ContactId]) -> dict[ContactId, Keys]:
    held, found = contacts.held(tx, ids), contact_rows.addresses(tx, ids)
    linked = links.of_contacts(tx, work.portal_id, ids)
    return {
        contact: Keys(
            frozenset(a.normal for a in found.get(contact, ()) if a.kind == "email" and a.normal),
            frozenset(a.normal for a in found.get(contact, ()) if a.kind == "phone" and a.normal),
            (one.fields["first_name"], one.fields["last_name"]),
            linked=contact in linked,
        )
        for contact, one in held.items()
    }
