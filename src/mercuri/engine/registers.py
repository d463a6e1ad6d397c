"""Words of consent into the registers: the one way in which anything opens or closes an address."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from mercuri.core.consent import ConsentEvent, Register, Registers, SourceKey, State, Verdict, closed_by, hear, mended
from mercuri.core.contact import ContactId
from mercuri.core.settings import CHANNELS
from mercuri.engine import optouts
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store.consent import KIND_OF, Held, Key, Told
from mercuri.store.database import Tx


class Word(NamedTuple):
    """An event, and what became of our own last write to the property that said it (crm register only)."""

    event: ConsentEvent | None
    key: Key
    told: tuple[SourceKey, Told] | None = None


def load(tx: Tx, keys: Iterable[Key]) -> dict[Key, Held]:
    """What is known of addresses, for a change of it.

    One that was closed when its person was erased, and is met again, is closed by the person from the start.
    """
    asked = set(keys)
    found = _held(tx, asked)
    met = store.suppressed(tx, asked - found.keys())
    if met:
        again = _closed_again(met)
        store.add_events(tx, [_kept_closed(key, since) for key, since in met.items()])
        store.save(tx, again, max(met.values()))
        found.update(again)
    return found


def seen(tx: Tx, keys: Iterable[Key]) -> dict[Key, Held]:
    """What `load` would give; nothing is written."""
    asked = set(keys)
    found = _held(tx, asked)
    return {**found, **_closed_again(store.suppressed(tx, asked - found.keys()))}


def meet_suppressed(tx: Tx, ids: Collection[ContactId]) -> None:
    """Close again what these contacts brought back of those who were erased."""
    if store.surroundings(tx).has_suppressed:
        held = [address for items in holders.addresses(tx, ids).values() for address in items]
        load(tx, {(c, a.normal) for a in held for c in CHANNELS if KIND_OF[c] == a.kind and a.normal})


def tell(tx: Tx, words: Sequence[Word], at: datetime, known: Mapping[Key, Held]) -> dict[Key, Verdict]:
    """Hear words: evidence is kept, states and labels follow, and what HubSpot has to be told is noted.

    `known` are the states of all addresses concerned, loaded under `store.lock` in this transaction. The answer is what
    is shown of those whose state changed.
    """
    now: dict[Key, Held] = {}
    for word in words:
        before = now.get(word.key) or known.get(word.key) or _UNHEARD
        now[word.key] = _after(before, word)
    changed = {key: held for key, held in now.items() if held != known.get(key)}
    store.add_events(tx, [word.event for word in words if word.event is not None])
    return _put(tx, changed, at)


def mend(tx: Tx, channel: str, addresses: Collection[str], at: datetime) -> int:
    """Make states what the evidence says; the answer is how many were not."""
    store.lock(tx)
    known = load(tx, {(channel, address) for address in addresses})
    given = store.rebuilt(tx, channel, addresses)
    right = {key: Held(mended(held.registers, given[key[1]]), held.told) for key, held in known.items()}
    changed = {key: held for key, held in right.items() if held != known[key]}
    _put(tx, changed, at)
    return len(changed)


def speaks_elsewhere(registers: Registers, portal_id: str) -> bool:
    """Whether someone other than this portal keeps an address closed."""
    return any(key is None or key[0] != portal_id for _, key, _ in closed_by(registers))


def _put(tx: Tx, changed: Mapping[Key, Held], at: datetime) -> dict[Key, Verdict]:
    verdicts = store.save(tx, changed, at)
    _relabel(tx, changed)
    optouts.note(tx, changed, at)
    return verdicts


_UNHEARD = Held()


def _after(held: Held, word: Word) -> Held:
    registers = held.registers if word.event is None else hear(held.registers, word.event)
    if not held.told and word.told is None:
        return Held(registers)
    told = dict(held.told)
    if word.told is not None:
        told[word.told[0]] = word.told[1]
    if told and not closed_by(registers):
        # Open again: whoever closes it next begins to count anew.
        told = {source: replace(one, corrections=0) for source, one in told.items()}
    return Held(registers, told)


def _relabel(tx: Tx, changed: Mapping[Key, Held]) -> None:
    channel = store.surroundings(tx).status_channel
    holders.relabel_owners(tx, channel, [address for known, address in changed if known == channel])


def _held(tx: Tx, asked: Collection[Key]) -> dict[Key, Held]:
    found: dict[Key, Held] = {}
    if not asked:
        return found
    for channel in sorted({channel for channel, _ in asked} & store.surroundings(tx).spoken_of):
        mine = [address for known, address in asked if known == channel]
        found.update({(channel, address): held for address, held in store.held(tx, channel, mine).items()})
    return found


def _closed_again(met: Mapping[Key, datetime]) -> dict[Key, Held]:
    return {key: Held(hear(Registers(), _kept_closed(key, since))) for key, since in met.items()}


def _kept_closed(key: Key, since: datetime) -> ConsentEvent:
    return ConsentEvent(*key, Register.PERSON, State.OUT, "suppression", since, since, source="erasure")
