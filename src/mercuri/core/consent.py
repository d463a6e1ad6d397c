"""Who may be messaged on an address, and why. Nothing else in the product opens an address that this closes.

State belongs to an address on a channel. Three last-writer registers say who said what and when: the person, the CRM
(one entry for each mapped property of each record) and staff. Whoever closed it may open it; only the person opens what
the person closed; a later act of the person beats everyone; a blank says nothing. Joining registers is commutative,
associative and idempotent, so replays, disorder, merges and repeated imports cannot change the answer.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from mercuri.core.contact import Address
from mercuri.core.settings import CHANNELS as CHANNELS

#: Who speaks of consent in HubSpot: portal, record and property.
SourceKey = tuple[str, str, str]


class Register(enum.Enum):
    """Who said it."""

    PERSON = "person"
    CRM = "crm"
    STAFF = "staff"


class State(enum.Enum):
    """What was said. PAUSE and RESUME hold sending back and let it go on; they neither open nor close."""

    IN = "in"
    OUT = "out"
    PAUSE = "pause"
    RESUME = "resume"


#: Which register each kind of event writes. The crm register is fed by the sync only.
KIND_TO_REGISTER: Mapping[str, Register] = {
    "message": Register.PERSON,
    "preference": Register.PERSON,
    "form": Register.PERSON,
    "carrier": Register.PERSON,
    "complaint": Register.PERSON,
    "suppression": Register.PERSON,  # kept from a person who was erased
    "staff": Register.STAFF,
    "import": Register.STAFF,
    "property": Register.CRM,
}
#: The kinds that other programs may report.
API_KINDS = ("message", "preference", "complaint", "carrier", "form", "staff")
#: Kinds that can only close: a carrier or a complaint never gives permission.
OUT_ONLY = frozenset({"carrier", "complaint", "suppression"})
#: A yes that is older than this is no permission any more: it has to be asked for again.
STALE = timedelta(days=2 * 365)
#: A word from before this has a wrong date: nothing was said by message then.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
#: So has one from this time on, which no clock that is merely fast shows.
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
#: How often an opt-out is written again when HubSpot turns it back on; after that a person is alerted.
CORRECTIONS = 2


class Entry(NamedTuple):
    """What a register holds: when it was said and what; `how` is the kind of event and `by` who spoke, for reasons."""

    at: datetime
    state: State
    how: str = ""
    by: str = ""


class Registers(NamedTuple):
    """All that was said of one address on one channel, the latest of each speaker. A tuple, since a load makes many."""

    person: Entry | None = None
    staff: Entry | None = None
    crm: Mapping[SourceKey, Entry] = MappingProxyType({})
    pause: Entry | None = None


class ConsentEvent(NamedTuple):
    """One piece of evidence. `source_key` is given for the crm register only. A tuple, since a load makes many."""

    channel: str
    address: str
    register: Register
    state: State
    kind: str
    occurred_at: datetime
    observed_at: datetime
    actor: str = ""
    source: str = ""
    proof: Mapping[str, str] = MappingProxyType({})
    source_key: SourceKey | None = None

    @property
    def key(self) -> str:
        """What makes a repeated delivery the same event: all of it but the moment at which we saw it."""
        channel, address, register, state, kind, occurred_at, _, actor, source, proof, source_key = self
        said = [channel, address, register.value, state.value, kind, actor, source, str(occurred_at.timestamp())]
        if source_key:
            said += source_key
        for name in sorted(proof):
            said += name, proof[name]
        return hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:40]


class Verdict(NamedTuple):
    """What an address shows on a channel: state is subscribed, unsubscribed or never; `reason` is a sentence."""

    state: str
    sendable: bool
    reason: str
    closed_by: Register | None = None
    paused: bool = False


def hear(registers: Registers, event: ConsentEvent) -> Registers:
    """The registers with one more event. Order and repetition do not matter.

    A time in the future counts as the time at which it was seen: otherwise one wrong clock could outvote every later
    act of the person.
    """
    if event.state is State.IN and event.kind in OUT_ONLY:
        return registers
    entry = Entry(min(event.occurred_at, event.observed_at), event.state, event.kind, event.actor)
    if event.state in (State.PAUSE, State.RESUME):
        return registers._replace(pause=_latest(registers.pause, entry))
    if event.register is Register.PERSON:
        return registers._replace(person=_latest(registers.person, entry))
    if event.register is Register.STAFF:
        return registers._replace(staff=_latest(registers.staff, entry))
    key, known = event.source_key or ("", "", event.source), registers.crm
    crm = {**known, key: _latest(known.get(key), entry) or entry} if known else {key: entry}
    return Registers(registers.person, registers.staff, crm, registers.pause)


def join(one: Registers, other: Registers) -> Registers:
    """Both taken together: of each speaker the latest word; at equal times `out` wins."""
    keys = one.crm.keys() | other.crm.keys()
    crm = {key: _latest(one.crm.get(key), other.crm.get(key)) for key in keys}
    return Registers(
        person=_latest(one.person, other.person),
        staff=_latest(one.staff, other.staff),
        crm={key: entry for key, entry in crm.items() if entry is not None},
        pause=_latest(one.pause, other.pause),
    )


def state_of(events: Iterable[ConsentEvent]) -> Registers:
    """The registers that the evidence gives, rebuilt from nothing."""
    registers = Registers()
    for event in events:
        registers = hear(registers, event)
    return registers


def mended(registers: Registers, given: Registers) -> Registers:
    """What registers should hold that differ from those which the evidence has `given`: a yes without evidence goes.

    A no without evidence goes on to close, as does a pause.
    """
    person, staff, crm, pause = registers
    closing = Registers(
        person if person and person.state is State.OUT else None,
        staff if staff and staff.state is State.OUT else None,
        {key: entry for key, entry in crm.items() if entry.state is State.OUT},
        pause if pause and pause.state is State.PAUSE else None,
    )
    return join(given, closing)


def shown(registers: Registers) -> Verdict:
    """The state of an address on a channel, whether it may be sent to, and why."""
    paused = registers.pause is not None and is_paused(registers)
    closing = closed_by(registers)
    if closing:
        register, source, entry = closing[0]
        return Verdict("unsubscribed", False, _closed_sentence(register, source, entry), register, paused)
    proof = _proof(registers)
    if proof is None:
        return Verdict("never", False, "Never asked: nobody has given permission.", None, paused)
    if paused:
        return Verdict(
            "subscribed", False, "Paused: a message looks like a stop. A person has to read it first.", None, True
        )
    return Verdict("subscribed", True, _open_sentence(*proof))


def what_became_of(said: State, verdict: Verdict) -> str:
    """The sentence that answers a word that was recorded; `verdict` is what the address shows with it."""
    is_closed = verdict.state == "unsubscribed"
    match said:
        case State.OUT:
            return "The address is closed." if is_closed else _OUTDATED
        case State.IN:
            stays = "; the address stays closed" if is_closed else "; sending stays paused" if verdict.paused else ""
            return f"The word was recorded as a yes{stays}."
        case State.RESUME:
            return "It was recorded; sending stays paused." if verdict.paused else _NO_STOP
    if is_closed:
        return "The message looks like a stop and was kept; the address is closed already."
    return _LOOKS_LIKE_STOP if verdict.paused else _OUTDATED


def closed_by(registers: Registers) -> list[tuple[Register, SourceKey | None, Entry]]:
    """Every entry that keeps the address closed, the person's first, then staff's, then HubSpot's."""
    if not may_be_closed(registers):
        return []
    said: list[tuple[Register, SourceKey | None, Entry | None]] = [
        (Register.PERSON, None, registers.person),
        (Register.STAFF, None, registers.staff),
        *[(Register.CRM, key, registers.crm[key]) for key in sorted(registers.crm)],
    ]
    return [
        (register, key, entry)
        for register, key, entry in said
        if entry is not None and entry.state is State.OUT and not _reopened(registers, entry)
    ]


def may_be_closed(registers: Registers) -> bool:
    """Whether anybody said no, reopened since or not: quick to tell."""
    person, staff, crm, _ = registers
    if (person is not None and person.state is State.OUT) or (staff is not None and staff.state is State.OUT):
        return True
    for entry in crm.values():  # noqa: SIM110  # a load asks this of every address: `any` costs three times as much
        if entry.state is State.OUT:
            return True
    return False


def may_open(registers: Registers, by: Register, source: SourceKey | None = None) -> bool:
    """Whether an `in` said now by this party would leave nothing closed. For the crm, `source` is who says it there."""
    if by is Register.PERSON:
        return True
    return all(
        register is by and (by is not Register.CRM or key == source) for register, key, _ in closed_by(registers)
    )


def is_paused(registers: Registers) -> bool:
    """Whether sending waits for someone's decision: a pause that neither a RESUME nor a later word of the person ended.

    Other acts of staff do not end it: an import is no decision about a message.
    """
    pause, person = registers.pause, registers.person
    if pause is None or pause.state is State.RESUME:
        return False
    return person is None or person.at <= pause.at


def status_of_contact(
    addresses: Iterable[Address], states: Mapping[tuple[str, str], Verdict], status_channel: str = "sms"
) -> tuple[str, str]:
    """`subscribed` or `not_subscribed`, with the reason: the state of the primary address of the channel.

    `states` is keyed by channel and normal address; one that is not there was never asked. Where no address is primary,
    since none is valid, the first one is spoken of.
    """
    kind, word = ("email", "e-mail address") if status_channel == "email" else ("phone", "phone number")
    held = sorted((a for a in addresses if a.kind == kind), key=lambda address: not address.primary)
    primary = held[0] if held else None
    if primary is None:
        return "not_subscribed", f"There is no {word}."
    if primary.normal is None:
        return "not_subscribed", f"The {word} cannot be used: {primary.problem or 'it cannot be read'}."
    verdict = states.get((status_channel, primary.normal)) or shown(Registers())
    return ("subscribed" if verdict.sendable else "not_subscribed"), verdict.reason


def to_json(registers: Registers) -> str:
    """The registers as JSON text; `from_json` gives them back."""
    # By hand, since an encoder costs more than such short lists, and a load writes one for every address.
    person, staff, crm, pause = registers
    single = (("person", person), ("staff", staff), ("pause", pause)) if person or staff or pause else ()
    parts = [f'"{name}":[{_entry_out(entry)}]' for name, entry in single if entry is not None]
    if crm:
        rows = [f"[{','.join(map(_text, key))},{_entry_out(crm[key])}]" for key in sorted(crm)]
        parts.append(f'"crm":[{",".join(rows)}]')
    return "{" + ",".join(parts) + "}"


def from_json(text: str) -> Registers:
    """Registers from the text that `to_json` made."""
    data = json.loads(text)
    crm = {(str(row[0]), str(row[1]), str(row[2])): _entry_in(row[3:]) for row in data.get("crm", ())}
    single = {name: _entry_in(data[name]) for name in ("person", "staff", "pause") if name in data}
    return Registers(crm=crm, **single)


#: A text as JSON.
_text = json.encoder.encode_basestring


def _latest(one: Entry | None, other: Entry | None) -> Entry | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=_weight)


def _weight(entry: Entry) -> tuple[datetime, bool, str, str, str]:
    # A total order, so that joining is commutative to the last detail. The closing word weighs more.
    return entry.at, entry.state in (State.OUT, State.PAUSE), entry.state.value, entry.how, entry.by


def _reopened(registers: Registers, entry: Entry) -> bool:
    person = registers.person
    return person is not None and person.state is State.IN and person.at > entry.at


def _proof(registers: Registers) -> tuple[Register, SourceKey | None, Entry] | None:
    """The strongest word that opened it: the person's, else staff's, else HubSpot's latest."""
    if registers.person is not None and registers.person.state is State.IN:
        return Register.PERSON, None, registers.person
    if registers.staff is not None and registers.staff.state is State.IN:
        return Register.STAFF, None, registers.staff
    latest = None
    for key, entry in registers.crm.items():
        if entry.state is State.IN and (latest is None or (entry.at, key) > (latest[1].at, latest[0])):
            latest = key, entry
    return (Register.CRM, *latest) if latest else None


_OUTDATED = "It was recorded; a later word counts."
_LOOKS_LIKE_STOP = "The message looks like a stop: sending pauses until someone of the team has read it."
_NO_STOP = "It was decided that this is no stop: the pause is over."

_HOW = {
    "message": "by message",
    "preference": "in their preferences",
    "form": "in a form",
    "carrier": "reported by the carrier",
    "complaint": "by a complaint",
    "suppression": "kept from before their data was erased",
    "import": "with an import",
}


def _closed_sentence(register: Register, source: SourceKey | None, entry: Entry) -> str:
    when = _when(entry.at)
    if register is Register.PERSON:
        return (
            f"Opted out by the person {_HOW.get(entry.how, '')}".rstrip()
            + f" on {when}. Only the person can open it again."
        )
    if register is Register.STAFF:
        return f"Opted out by {entry.by or 'a colleague'} {_HOW.get(entry.how, '')}".rstrip() + f" on {when}."
    return f"{_speaker(source)} says no since {when}."


def _open_sentence(register: Register, source: SourceKey | None, entry: Entry) -> str:
    when = _when(entry.at)
    if register is Register.PERSON:
        return f"Subscribed by the person {_HOW.get(entry.how, '')}".rstrip() + f" on {when}."
    if register is Register.STAFF:
        return f"Subscribed by {entry.by or 'a colleague'} {_HOW.get(entry.how, '')}".rstrip() + f" on {when}."
    return f"{_speaker(source)} says yes since {when}."


def _speaker(source: SourceKey | None) -> str:
    portal, record, name = source or ("", "", "")
    return f"HubSpot ({name} of record {record} in portal {portal})"


def _when(at: datetime) -> str:
    return f"{at.isoformat(' ', 'minutes')[:16]} UTC"


def _entry_out(entry: Entry) -> str:
    return f'"{entry.at.isoformat()}","{entry.state.value}",{_text(entry.how)},{_text(entry.by)}'


def _entry_in(row: list[str]) -> Entry:
    return Entry(datetime.fromisoformat(row[0]), State(row[1]), row[2], row[3])
