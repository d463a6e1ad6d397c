"""What a file says of consent, row by row: a no is heard whatever becomes of its row, a yes only as the rule allows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mercuri.core.consent import ConsentEvent, Register, State
from mercuri.core.contact import Address, ContactId
from mercuri.core.imported import read_cell, read_date, refusal
from mercuri.core.normalise import Refused
from mercuri.core.settings import CHANNEL_NAMES
from mercuri.engine import registers
from mercuri.engine.csv_files import CONSENT_AT, CONSENT_TARGETS, LISTED, RowError
from mercuri.engine.registers import Word
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store.consent import KIND_OF, Held, Key
from mercuri.store.database import Tx
from mercuri.store.times import whole


@dataclass(slots=True)
class HeardInFile:
    """How often a file said yes and no of an address, as recorded; and how often it was not recorded."""

    said_in: int = 0
    said_out: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        """How often the file spoke."""
        return self.said_in + self.said_out + self.refused


@dataclass(frozen=True, slots=True)
class _Said:
    """One word of one row."""

    line: int
    channel: str
    state: State
    at: datetime | None
    addresses: tuple[str, ...]
    contact: ContactId | None = None


@dataclass(slots=True)
class FileConsent:
    """The words of a file; `read` and `settle` its rows one by one, then `hear` the batch.

    `source` is where the permissions come from, as the user stated it; it is kept as the proof of each yes.
    """

    actor: str
    source: str
    at: datetime
    counts: HeardInFile = field(default_factory=HeardInFile)
    refusals: list[RowError] = field(default_factory=list)
    _pending: dict[int, list[_Said]] = field(default_factory=dict)
    _closed: set[Key] = field(default_factory=set)

    def read(self, line: int, cells: Mapping[str, str], addresses: Iterable[Address]) -> bool:
        """Take down what a row says; whether it says anything at all."""
        held = [address for address in addresses if address.normal]
        words = [
            _Said(line, channel, state, at, tuple(a.normal for a in held if a.normal and a.kind == KIND_OF[channel]))
            for target, channel in CONSENT_TARGETS.items()
            for state, at in self._words(line, target, cells)
        ]
        if words:
            self._pending[line] = words
        return bool(words)

    def settle(self, line: int, contact: ContactId) -> None:
        """The row is of this contact: what it says no to, it says of every address of the contact."""
        if line in self._pending:
            self._pending[line] = [replace(word, contact=contact) for word in self._pending[line]]

    def leave_out(self, line: int, *, whole_row: bool = False) -> None:
        """The row is not imported, so neither is its yes; its no stays, unless the person asked to be erased."""
        kept = [] if whole_row else [word for word in self._pending.get(line, ()) if word.state is State.OUT]
        self._pending[line] = kept

    def hear(self, tx: Tx, *, dry_run: bool) -> None:
        """Record what the rows said since the last time, every no before any yes."""
        said = sorted((word for words in self._pending.values() for word in words), key=lambda w: w.state is State.IN)
        self._pending = {}
        asked = [(word, key) for word, keys in self._keys(tx, said) for key in keys]
        if not asked:
            return
        keys = {key for _, key in asked}
        if not dry_run:
            _hold(tx, keys)
        known = registers.seen(tx, keys) if dry_run else registers.load(tx, keys)
        events = [(self._event(word, key, known.get(key, Held())), key) for word, key in asked]
        words = [Word(event, key) for event, key in events if event is not None]
        if not dry_run:
            registers.tell(tx, words, self.at, known)

    def _words(self, line: int, target: str, cells: Mapping[str, str]) -> Iterable[tuple[State, datetime | None]]:
        state = read_cell(cells.get(target, ""))
        if isinstance(state, Refused):
            self._refuse(line, CONSENT_TARGETS[target], state.reason)
        elif state is not None:
            at = read_date(cells.get(CONSENT_AT, ""), state)
            if not isinstance(at, Refused):
                yield state, at
            elif state is State.OUT:
                yield state, None  # a no counts as of now, whatever its date was meant to be
            else:
                self._refuse(line, CONSENT_TARGETS[target], at.reason)

    def _keys(self, tx: Tx, words: Collection[_Said]) -> Iterable[tuple[_Said, list[Key]]]:
        """Of which addresses each word speaks: those of its row, and a no of all that its contact has."""
        own = holders.addresses(tx, {word.contact for word in words if word.contact and word.state is State.OUT})
        for word in words:
            found = set(word.addresses)
            if word.contact and word.state is State.OUT:
                mine = own.get(word.contact, ())
                found |= {a.normal for a in mine if a.normal and a.kind == KIND_OF[word.channel]}
            if not found:
                kind = _ADDRESS[KIND_OF[word.channel]]
                self._refuse(word.line, word.channel, f"the row has no valid {kind}")
            yield word, [(word.channel, address) for address in sorted(found)]

    def _event(self, word: _Said, key: Key, held: Held) -> ConsentEvent | None:
        """The event of a word, counted; None when it is refused."""
        if word.state is State.OUT:
            self._closed.add(key)
            self.counts.said_out += 1
        else:
            twice = "another row says no of the same address" if key in self._closed else None
            reason = twice or refusal(held.registers, word.at, self.source, self.at)
            if reason is not None:
                self._refuse(word.line, word.channel, reason)
                return None
            self.counts.said_in += 1
        proof = {"line": str(word.line), **({"source": self.source} if self.source else {})}
        at = whole(self.at)
        occurred = whole(word.at) if word.at else at
        return ConsentEvent(*key, Register.STAFF, word.state, "import", occurred, at, self.actor, proof=proof)

    def _refuse(self, line: int, channel: str, reason: str) -> None:
        self.counts.refused += 1
        if len(self.refusals) < LISTED:
            self.refusals.append(RowError(line, f"{CHANNEL_NAMES[channel]} was not recorded: {reason}"))


_ADDRESS = {"phone": "phone number", "email": "e-mail address"}


def _hold(tx: Tx, keys: Collection[Key]) -> None:
    for channel in sorted({channel for channel, _ in keys}):
        holders.lock_owners(tx, channel, [address for known, address in keys if known == channel])
    store.lock(tx)
