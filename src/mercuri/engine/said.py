"""Record what a person or staff said about messages to an address; it holds at once, on every contact that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mercuri.core.consent import (
    API_KINDS,
    EARLIEST,
    KIND_TO_REGISTER,
    LATEST,
    OUT_ONLY,
    STALE,
    ConsentEvent,
    Register,
    State,
    Verdict,
    is_paused,
    may_open,
    shown,
    what_became_of,
)
from mercuri.core.contact import WorkspaceId
from mercuri.core.keywords import read_message
from mercuri.core.normalise import Refused, clean_text, normalise_email, normalise_phone
from mercuri.core.settings import CHANNELS
from mercuri.engine import registers
from mercuri.engine.app import Actor, App, require
from mercuri.engine.registers import Word
from mercuri.errors import UserError
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import users, workspaces
from mercuri.store.consent import KIND_OF, Held
from mercuri.store.database import Tx
from mercuri.store.times import whole

#: Longest text or proof that is kept, in characters.
LONGEST = 4_000
#: Names under which a proof says which message or form it was; a repeated delivery is known by it.
_IDS = ("id", "message_id", "event_id", "submission_id")

_KNOWN = "This was recorded before; nothing changed."


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was understood, and the state of the address after it.

    `heard` is in, out, pause, resume, neutral or none; `was_known` is true for an event that had been recorded before.
    """

    channel: str
    address: str
    heard: str
    was_known: bool
    verdict: Verdict
    note: str


def record(
    app: App,
    ws: WorkspaceId,
    channel: str,
    address: str,
    kind: str,
    actor: Actor,
    *,
    text: str | None = None,
    state: str | None = None,
    occurred_at: datetime | None = None,
    proof: Mapping[str, str] | None = None,
    awaits_yes: bool = False,
) -> Recorded:
    """Record one word. A `message` may carry its text, which is read; every other kind says in or out.

    `awaits_yes`: the address was asked to confirm (double opt-in), so that a message of "yes" opens it.

    Raises UserError, and nothing is recorded, for an unknown channel or kind, an address that cannot be normalised, a
    time that cannot be meant, an `in` by a party that may not say it.
    """
    require(actor, "manager")
    said = _Said(app, channel, kind, actor, text, state, occurred_at, dict(proof or {}), awaits_yes)
    said.check()
    with app.db.write(ws) as tx:
        normal = normal_address(tx, channel, address)
        found = said.record(tx, normal)
    app.wake()
    return found


def staff_out(app: App, ws: WorkspaceId, channel: str, address: str, actor: Actor, reason: str = "") -> Recorded:
    """A user opts an address out."""
    return record(app, ws, channel, address, "staff", actor, state="out", proof={"reason": reason} if reason else {})


def staff_in(app: App, ws: WorkspaceId, channel: str, address: str, actor: Actor, reason: str) -> Recorded:
    """A user opts an address in, with a reason that is kept; refused where others keep it closed."""
    return record(app, ws, channel, address, "staff", actor, state="in", proof={"reason": reason})


def settle_pause(
    app: App, ws: WorkspaceId, channel: str, address: str, actor: Actor, *, is_stop: bool, reason: str = ""
) -> Recorded:
    """Decide about a message that looks like a stop: it is one, or sending goes on."""
    state = "out" if is_stop else "resume"
    proof = {"reason": reason or ("read as a stop" if is_stop else "read as no stop")}
    return record(app, ws, channel, address, "staff", actor, state=state, proof=proof)


def normal_address(tx: Tx, channel: str, address: str) -> str:
    """The normal form of an address for a channel. Raises UserError with the reason when it has none."""
    check_channel(channel)
    found = normal_or_refused(channel, address, workspaces.settings(tx).default_region)
    if isinstance(found, Refused):
        word = "e-mail address" if channel == "email" else "phone number"
        raise UserError(f"The {word} cannot be used: {found.reason}. Nothing was recorded; nothing is sent to it.")
    return found


def normal_or_refused(channel: str, address: str, region: str) -> str | Refused:
    """The normal form of an address for a channel, or why there is none."""
    if KIND_OF[channel] == "email":
        return normalise_email(address)
    phone = normalise_phone(address, region)
    return phone if isinstance(phone, Refused) else phone.e164


def check_channel(channel: str, undone: str = "recorded") -> None:
    """Raise UserError for a channel that is none; `undone` is what did not happen to anything for it."""
    if channel not in CHANNELS:
        raise UserError(f"There is no channel {channel[:40]!r}: use {', '.join(CHANNELS)}. Nothing was {undone}.")


@dataclass(slots=True)
class _Said:
    """One word on its way into the registers."""

    app: App
    channel: str
    kind: str
    actor: Actor
    text: str | None
    state: str | None
    occurred_at: datetime | None
    proof: dict[str, str]
    awaits_yes: bool

    def check(self) -> None:
        """Refuse what cannot be meant, before the database is touched."""
        check_channel(self.channel)
        if self.kind not in API_KINDS:
            raise UserError(f"There is no kind {self.kind[:40]!r}: use {', '.join(API_KINDS)}. Nothing was recorded.")
        if self.kind in OUT_ONLY and self.state is None:
            self.state = "out"
        self._check_word()
        self._check_time()
        long = [name for name, value in self.proof.items() if len(value) > LONGEST or len(name) > 100]
        if long or len(self.proof) > 50 or len(self.text or "") > LONGEST:
            raise UserError(f"A proof has at most 50 entries of {LONGEST:,} characters. Nothing was recorded.")

    def _check_word(self) -> None:
        states = ("in", "out", "resume") if self.kind == "staff" else ("in", "out")
        if self.kind == "message":
            if (self.text is None) == (self.state is None):
                raise UserError("A message needs its text, or a state where it was read already. Nothing was recorded.")
        elif self.text is not None and self.state is None:
            raise UserError(f"A {self.kind} needs a state, in or out; only messages are read. Nothing was recorded.")
        if self.awaits_yes and self.text is None:
            raise UserError("Only the text of a message can answer a request to confirm. Nothing was recorded.")
        if self.state is None and self.text is None:
            raise UserError("Neither text nor state was given. Nothing was recorded.")
        if self.state is not None and self.state not in states:
            raise UserError(f"The state is one of {', '.join(states)}. Nothing was recorded.")
        if self.state == "in" and self.kind in OUT_ONLY:
            raise UserError(f"A {self.kind} can only close an address. Nothing was recorded.")
        if self.state == "in" and self.kind == "staff" and not self.proof.get("reason", "").strip():
            raise UserError("Opting someone in needs a reason, which is kept as the proof. Nothing was recorded.")

    def _check_time(self) -> None:
        if self.occurred_at is None:
            return
        if self.occurred_at.tzinfo is None:
            raise UserError("occurred_at has no time zone. Nothing was recorded; add Z or an offset.")
        if not EARLIEST <= self.occurred_at < LATEST:
            years = f"between the years {EARLIEST.year} and {LATEST.year}"
            raise UserError(f"occurred_at is not {years}, so it is a mistake. Nothing was recorded.")

    def record(self, tx: Tx, address: str) -> Recorded:
        now = whole(self.app.now())
        holders.lock_owners(tx, self.channel, [address])
        store.lock(tx)
        key = (self.channel, address)
        known = registers.load(tx, [key])
        held = known.get(key, Held())
        state, word = self._read(tx)
        if state is None:
            return Recorded(
                self.channel, address, word, False, shown(held.registers), "Nothing was said about consent."
            )
        event = self._event(address, state, now)
        if self._is_known(tx, event):
            # It was heard when it was kept. Heard again, one of the future would count as of a later moment than then.
            return Recorded(self.channel, address, word, True, shown(held.registers), _KNOWN)
        self._check_may(state, held, now)
        changed = registers.tell(tx, [Word(event, key)], now, known)
        if self.kind == "staff":
            users.note_audit(tx, self.actor.name, f"consent.{state.value}", {"channel": self.channel}, now)
        verdict = changed.get(key) or shown(held.registers)
        return Recorded(self.channel, address, word, False, verdict, self._note(state, verdict, now))

    def _read(self, tx: Tx) -> tuple[State | None, str]:
        """The state that was said, and the word for what was heard."""
        if self.state is not None:
            return State(self.state), self.state
        assert self.text is not None
        heard = read_message(self.text, workspaces.settings(tx).stop_words, awaits_yes=self.awaits_yes)
        if heard == "looks_like_stop":
            # Of a closed address too: an older yes that is still under way must not open it past this message.
            return State.PAUSE, "pause"
        return (State(heard), heard) if heard in ("in", "out") else (None, heard)

    def _check_may(self, state: State, held: Held, now: datetime) -> None:
        register = KIND_TO_REGISTER[self.kind]
        if state is State.IN and not may_open(held.registers, register):
            closing = shown(held.registers).reason
            raise UserError(f"{closing} It was not opened: whoever closed it may open it, and so may the person.")
        if state is State.IN and self.occurred_at is not None and now - self.occurred_at > STALE:
            raise UserError(
                "This yes is more than two years old, too old to rely on. Nothing was recorded; ask the person again."
            )
        if state is State.RESUME and not is_paused(held.registers):
            raise UserError("Sending to this address is not paused. Nothing was recorded.")

    def _event(self, address: str, state: State, now: datetime) -> ConsentEvent:
        proof = {clean_text(name): clean_text(value) for name, value in self.proof.items()}
        if self.text is not None:
            proof["text"] = clean_text(self.text)
        if self.awaits_yes:
            proof["answers"] = "a request to confirm"
        register = Register.PERSON if state is State.PAUSE else KIND_TO_REGISTER[self.kind]
        occurred = whole(self.occurred_at) if self.occurred_at else now
        return ConsentEvent(
            self.channel, address, register, state, self.kind, occurred, now, self.actor.name, "", proof
        )

    def _is_known(self, tx: Tx, event: ConsentEvent) -> bool:
        """Whether this event is kept: all of it, or the same message or form by its name.

        Of a no, only where no other time was given: rather hear one twice than lose one whose sender repeats a name.
        """
        if store.is_kept(tx, event):
            return True
        ids = {name: event.proof[name] for name in _IDS if event.proof.get(name)}
        closes = event.state in (State.OUT, State.PAUSE)
        if not ids or (closes and self.occurred_at is not None):
            return False
        return any(_is_same(kept.event, event, ids) for kept in store.evidence(tx, self.channel, [event.address]))

    def _note(self, state: State, verdict: Verdict, now: datetime) -> str:
        note = what_became_of(state, verdict)
        if self.occurred_at is not None and self.occurred_at > now:
            return f"{note} Its time lies in the future, so it counts as of now."
        return note


def _is_same(kept: ConsentEvent, event: ConsentEvent, ids: Mapping[str, str]) -> bool:
    said = kept.kind == event.kind and kept.state is event.state
    return said and all(kept.proof.get(name) == value for name, value in ids.items())
