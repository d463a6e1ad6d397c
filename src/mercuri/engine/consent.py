"""Record what a person, a user or HubSpot said about messages; the gate that every send must pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mercuri.core.contact import ContactId, RecordId, RunId
from mercuri.store.database import Tx
from mercuri.store.portals import Portal


@dataclass(frozen=True, slots=True)
class Observed:
    """What a record says now: its properties, those seen `before` (None for the first time), and when each was set."""

    contact_id: ContactId
    record_id: RecordId
    properties: Mapping[str, str]
    before: Mapping[str, str] | None = None
    times: Mapping[str, datetime | None] = field(default_factory=dict)


def contacts_changed(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Show on these contacts the state of the addresses that they now have."""


def hear_records(tx: Tx, portal: Portal, observed: Sequence[Observed], run: RunId | None, at: datetime) -> None:
    """Let the mapped opt-in properties of records speak for their contacts' addresses (crm register)."""
