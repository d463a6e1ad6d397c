"""What HubSpot's mapped properties say (the crm register), and what contacts show when their addresses change.

A value speaks when it changes, for the addresses that its own record has. A blank, a property that nobody asked for and
our own write coming back say nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mercuri.core.consent import ConsentEvent, Register, SourceKey, State, Verdict, closed_by, shown
from mercuri.core.consent_values import Unreadable, heard, speaks_for
from mercuri.core.contact import Address, ContactId, LinkState, RecordId, RunId
from mercuri.core.settings import ConsentItem, PortalSettings
from mercuri.engine import optouts, registers
from mercuri.engine.recorded import own_addresses, properties_of_kind
from mercuri.engine.registers import Word
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import contacts, links, portals
from mercuri.store.consent import CHANNELS_OF, KIND_OF, Held, Key, Told
from mercuri.store.database import Tx
from mercuri.store.portals import Portal
from mercuri.store.times import whole

#: What a contact shows: whether it may be written to, and why.
Label = tuple[bool, str]


class Observed(NamedTuple):
    """What a record says now: its properties, those seen `before` (None for the first time), and when each was set.

    `sources` says who set a property, in HubSpot's words (CRM_UI, FORM, ...), as far as its history was read;
    `changed_at` when the record changed last, so that no value of it was set later. A tuple, since a load makes many.
    """

    contact_id: ContactId
    record_id: RecordId
    properties: Mapping[str, str]
    before: Mapping[str, str] | None = None
    times: Mapping[str, datetime | None] = MappingProxyType({})
    sources: Mapping[str, str] = MappingProxyType({})
    changed_at: datetime | None = None


#: What a mapped property was heard to say.
_Said = State | Unreadable | None
#: A record, the mapped property through which it speaks, what it says, and for which addresses.
_Asked = tuple[Observed, ConsentItem, _Said, list[str]]


def properties_heard(settings: PortalSettings) -> set[str]:
    """The properties that speak of consent."""
    return {name for item in settings.consent_mapping for name in item.properties}


def names_heard(settings: PortalSettings) -> set[str]:
    """The properties of a record from which it follows what it says, and for whom; none without a mapping."""
    kinds = {KIND_OF[item.channel] for item in settings.consent_mapping}
    holding = {name for kind in kinds for name in properties_of_kind(settings.mapping, kind)}
    return properties_heard(settings) | holding


def contacts_changed(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Show on these contacts the state of the addresses that they now have.

    What their records say no to is said of a new number too; a yes is not.
    """
    if not ids:
        return
    store.lock(tx)
    registers.meet_suppressed(tx, ids)
    _follow_new_numbers(tx, ids, at)
    optouts.note_contacts(tx, ids, at)
    holders.relabel(tx, store.surroundings(tx).status_channel, ids)


def hear_records(tx: Tx, portal: Portal, observed: Sequence[Observed], run: RunId | None, at: datetime) -> None:
    """Let the mapped opt-in properties of records speak for the addresses of their records.

    Records that may not know of what was closed before are told, whatever is mapped: what cannot be told is reported.
    """
    # What these records close themselves is noted as they are heard.
    optouts.note_contacts(tx, [one.contact_id for one in observed], at)
    hearing = _Hearing(tx, portal, run, at)
    if news := hearing.news(observed):
        store.lock(tx)
        asked = hearing.asked(news, holders.addresses(tx, {one.contact_id for one, _ in news}))
        hearing.hear(asked, registers.load(tx, _keys(asked)))


def hear_newcomers(
    tx: Tx,
    portal: Portal,
    observed: Sequence[Observed],
    own: Mapping[ContactId, Sequence[Address]],
    run: RunId | None,
    at: datetime,
) -> dict[ContactId, Label]:
    """`contacts_changed` and `hear_records` for contacts that are about to be inserted, with addresses of their `own`.

    Those are their records' own. The answer is what they are to show: so a load writes it with the contact, not after.
    """
    store.lock(tx)
    hearing = _Hearing(tx, portal, run, at)
    asked = [
        (one, item, heard(item, one.properties), _of_kind(own[one.contact_id], KIND_OF[item.channel]))
        for one, item in hearing.news(observed)
    ]
    held = {(c, a.normal) for mine in own.values() for a in mine if a.normal for c in CHANNELS_OF[a.kind]}
    known = registers.load(tx, held | _keys(asked))
    optouts.note(tx, {key: state for key, state in known.items() if closed_by(state.registers)}, at)
    verdicts = {key: shown(state.registers) for key, state in known.items()} | hearing.hear(asked, known)
    channel = store.surroundings(tx).status_channel
    kind = KIND_OF[channel]
    primary = {id_: a.normal for id_, mine in own.items() for a in mine if a.primary and a.normal and a.kind == kind}
    found = {id_: verdicts.get((channel, address)) for id_, address in primary.items()}
    return {id_: (verdict.sendable, verdict.reason) for id_, verdict in found.items() if verdict}


def _of_kind(addresses: Iterable[Address], kind: str) -> list[str]:
    return sorted({address.normal for address in addresses if address.kind == kind and address.normal})


def _keys(asked: Iterable[_Asked]) -> set[Key]:
    return {(item.channel, address) for _, item, _, found in asked for address in found}


class _Hearing:
    """One page of records, heard in one go."""

    def __init__(self, tx: Tx, portal: Portal, run: RunId | None, at: datetime) -> None:
        self.tx, self.portal, self.at = tx, portal, whole(at)
        self.items = portal.settings.consent_mapping
        self.holding = {kind: properties_of_kind(portal.settings.mapping, kind) for kind in ("phone", "email")}
        self.region = store.surroundings(tx).region if self.items else ""
        self.actor = f"portal {portal.id}"
        self.run_proof = {} if run is None else {"run": str(run)}
        self.merged: Mapping[RecordId, tuple[RecordId, datetime]] = {}

    def news(self, observed: Sequence[Observed]) -> list[tuple[Observed, ConsentItem]]:
        return [(one, item) for one in observed for item in self.items if self._is_news(one, item)]

    def asked(
        self, news: Iterable[tuple[Observed, ConsentItem]], held: Mapping[ContactId, Sequence[Address]]
    ) -> list[_Asked]:
        """With the addresses for which each speaks; `held` are those of the contacts."""
        said = [(one, item, heard(item, one.properties)) for one, item in news]
        return [
            (one, item, word, self._addresses(one, item, word, held.get(one.contact_id, ())))
            for one, item, word in said
        ]

    def hear(self, asked: Sequence[_Asked], known: Mapping[Key, Held]) -> dict[Key, Verdict]:
        speakers = {RecordId(source[1]) for held in known.values() for source in held.registers.crm}
        self.merged = links.merged_away(self.tx, self.portal.id, speakers - {one.record_id for one, *_ in asked})
        words = [word for one in asked for word in self._words(*one, known)]
        return registers.tell(self.tx, words, self.at, known)

    def _is_news(self, one: Observed, item: ConsentItem) -> bool:
        now = one.properties
        if one.before is None:
            for name in item.properties:  # noqa: SIM110  # a load asks this of every record: `any` costs twice as much
                if now.get(name):
                    return True
            return False
        if any(now.get(name, "") != one.before.get(name, "") for name in item.properties):
            return True
        return self._moved(one, item)

    def _moved(self, one: Observed, item: ConsentItem) -> bool:
        """Whether the record's own addresses are no longer the same."""
        if one.before is None:
            return False
        names = self.holding[KIND_OF[item.channel]]
        return any(one.properties.get(name, "") != one.before.get(name, "") for name in names)

    def _addresses(self, one: Observed, item: ConsentItem, said: _Said, held: Sequence[Address]) -> list[str]:
        """For whom the record speaks: its own addresses; a no, also for the contact's first one."""
        kind = KIND_OF[item.channel]
        mine = [address for address in held if address.kind == kind]
        found = own_addresses([one.properties.get(name, "") for name in self.holding[kind]], mine, kind, self.region)
        if said is State.OUT:
            found |= {a.normal for a in mine if a.primary and a.normal}
        return sorted(found)

    def _words(
        self, one: Observed, item: ConsentItem, said: _Said, found: Iterable[str], known: Mapping[Key, Held]
    ) -> list[Word]:
        source = (self.portal.id, one.record_id, item.properties[-1])
        set_at = _latest(one, item.properties)
        keys = [(item.channel, address) for address in found]
        told = {key: held.told[source] for key in keys if (held := known.get(key)) and source in held.told}
        if one.before is None and not told:
            # There is nothing to compare it with: what is said counts.
            if not isinstance(said, State):
                return []
            return [Word(self._event(one, item, key, said, source, set_at), key) for key in keys]
        moved_only = one.before is not None and all(
            one.properties.get(name, "") == one.before.get(name, "") for name in item.properties
        )
        if moved_only and said is not State.OUT:
            return []
        if not moved_only and any(_is_ours(item, mark, one, said, set_at) for mark in told.values()):
            return []
        words = []
        speaks = isinstance(said, State) and speaks_for(said, set_at, self._held_since(one, item))
        for key in keys:
            mark = None if moved_only or key not in told else (source, _changed_there(item, told[key], said))
            event = self._event(one, item, key, said, source, set_at) if speaks else None  # type: ignore[arg-type]  # `speaks` says that it is a State
            if event is not None or mark is not None:
                words.append(Word(event, key, mark))
            if event is not None and not moved_only:
                held = known.get(key, Held())
                words += [Word(event._replace(source_key=old), key) for old in self._absorbed(held, source, set_at)]
        return words

    def _absorbed(self, held: Held, source: SourceKey, set_at: datetime | None) -> list[SourceKey]:
        """For which records that were merged into it one speaks too: by what was set since, never by the merge."""
        portal, record, name = source
        return [
            old
            for old in held.registers.crm
            if (old[0], old[2]) == (portal, name)
            and (into := self.merged.get(RecordId(old[1]))) is not None
            and into[0] == record
            and set_at is not None
            and set_at > into[1]
        ]

    def _held_since(self, one: Observed, item: ConsentItem) -> datetime | None:
        """When the record got its present address: by its history, else now, where that is news."""
        since = _latest(one, self.holding[KIND_OF[item.channel]])
        return since or (self.at if self._moved(one, item) else None)

    def _event(
        self, one: Observed, item: ConsentItem, key: Key, said: State, source: SourceKey, set_at: datetime | None
    ) -> ConsentEvent:
        proof = {}
        for name in item.properties:
            proof[name] = one.properties.get(name, "")
            if one.before and one.before.get(name):
                proof[f"{name} before"] = one.before[name]
            if one.sources and one.sources.get(name):
                proof[f"{name} source"] = one.sources[name]
        proof |= self.run_proof
        # Without its history, a value is as old as the last change of its record: so no later change is outvoted.
        occurred = min(whole(set_at or one.changed_at or self.at), self.at)
        channel, address = key
        return ConsentEvent(
            channel, address, Register.CRM, said, "property", occurred, self.at, self.actor, "", proof, source
        )


def _latest(one: Observed, names: Collection[str]) -> datetime | None:
    """When one of these properties was set last, as far as the record's history was read."""
    return max((at for name in names if (at := one.times.get(name))), default=None) if one.times else None


def _is_ours(item: ConsentItem, mark: Told, one: Observed, said: object, set_at: datetime | None) -> bool:
    """Whether a value is our own write coming back, or older than it."""
    if not mark.value:
        return False
    if set_at is not None and set_at < mark.at:
        return True
    if item.kind == "date_pair":
        return said is (State.OUT if one.properties.get(item.out_property) else State.IN)
    return one.properties.get(item.property, "") == mark.value


def _changed_there(item: ConsentItem, mark: Told, said: object) -> Told:
    """Our mark once HubSpot says something else; a no that is no longer one was turned back on."""
    was_out = bool(mark.value) and (item.kind == "date_pair" or heard(item, {item.property: mark.value}) is State.OUT)
    turned = was_out and said is not State.OUT
    return replace(mark, value="", corrections=mark.corrections + turned)


def _follow_new_numbers(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Let what records say no to follow their contact to a number that it got here."""
    old = holders.edited(tx, ids)
    mapped = {p.id: p.settings for p in portals.all(tx) if p.settings.consent_mapping} if old else {}
    if not mapped:
        return
    held, own = contacts.held(tx, old), holders.addresses(tx, old)
    words = []
    for portal_id, link in links.all_of_contacts(tx, old):
        if portal_id not in mapped or link.state not in (LinkState.LIVE, LinkState.BLOCKED):
            continue
        for item in mapped[portal_id].consent_mapping:
            if heard(item, link.shadow) is State.OUT:
                typed = [a for a in own.get(link.contact_id, ()) if _is_typed(a, held[link.contact_id], item)]
                words += [_followed(item, (portal_id, link.record_id, item.properties[-1]), a, at) for a in typed]
    known = registers.load(tx, {word.key for word in words})
    new = [word for word in words if not _is_said(known.get(word.key), word)]
    registers.tell(tx, new, whole(at), known)


def _is_typed(address: Address, held: contacts.Held, item: ConsentItem) -> bool:
    """Whether an address is a value of the contact's own, not one that a merge brought."""
    origin = held.origins.get(address.label)
    return address.kind == KIND_OF[item.channel] and origin is not None and origin.kind != "merge"


def _is_said(held: Held | None, word: Word) -> bool:
    assert word.event is not None
    return held is not None and word.event.source_key in {**held.registers.crm, **held.told}


def _followed(item: ConsentItem, source: SourceKey, address: Address, at: datetime) -> Word:
    assert address.normal is not None
    key = (item.channel, address.normal)
    at = whole(at)
    proof = {"followed": "the contact's number changed; its record says no"}
    event = ConsentEvent(
        *key, Register.CRM, State.OUT, "property", at, at, f"portal {source[0]}", proof=proof, source_key=source
    )
    return Word(event, key)
