"""What the card "Subscription" of a contact shows: each address and channel, the reason, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mercuri.core.consent import ConsentEvent, Verdict, status_of_contact
from mercuri.core.contact import Contact
from mercuri.core.settings import CHANNELS
from mercuri.engine.gate import Explained, explained
from mercuri.store import workspaces
from mercuri.store.consent import KIND_OF
from mercuri.store.database import Tx

CHANNEL_NAMES: Mapping[str, str] = {"sms": "SMS", "whatsapp": "WhatsApp", "email": "E-mail"}
_SAID = {"in": "yes", "out": "no", "pause": "looks like a stop", "resume": "no stop after all"}
_HOW = {
    "message": "message",
    "preference": "WhatsApp preference",
    "complaint": "complaint",
    "carrier": "carrier",
    "form": "form",
    "staff": "by hand",
    "import": "import",
    "property": "HubSpot property",
    "suppression": "kept from before an erasure",
}


@dataclass(frozen=True, slots=True)
class EventShown:
    """One event in words: what was said, by whom and how, and its proof by name."""

    event: ConsentEvent
    said: str
    how: str
    proof: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class LineShown:
    """One address on one channel."""

    found: Explained
    channel_name: str
    evidence: Sequence[EventShown]

    @property
    def verdict(self) -> Verdict:
        """What is shown of it."""
        return self.found.verdict


@dataclass(frozen=True, slots=True)
class ConsentCard:
    """All lines, the reason of the label, and how many addresses of the label's channel are closed."""

    lines: Sequence[LineShown]
    reason: str
    closed: int
    of: int


def card_of(tx: Tx, contact: Contact) -> ConsentCard:
    """The card of a contact."""
    channel = workspaces.settings(tx).status_channel
    lines = [
        _line(explained(tx, name, address.normal))
        for address in contact.addresses
        for name in CHANNELS
        if address.normal and KIND_OF[name] == address.kind
    ]
    states = {(line.found.channel, line.found.address): line.verdict for line in lines}
    _, reason = status_of_contact(contact.addresses, states, channel)
    mine = [line for line in lines if line.found.channel == channel]
    return ConsentCard(lines, reason, sum(line.verdict.closed_by is not None for line in mine), len(mine))


def _line(found: Explained) -> LineShown:
    events = [_event(event) for event in reversed(found.evidence)]
    return LineShown(found, CHANNEL_NAMES[found.channel], events)


def _event(event: ConsentEvent) -> EventShown:
    how = _HOW.get(event.kind, event.kind)
    if event.source_key:
        how = f"{how} {event.source_key[2]} of record {event.source_key[1]} in portal {event.source_key[0]}"
    return EventShown(event, _SAID[event.state.value], how, sorted(event.proof.items()))
