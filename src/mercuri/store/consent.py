"""Consent in the tables: evidence that is only ever added to, and the state computed from it.

The statements are written by hand, since a load runs each of them for every page.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from mercuri.core.consent import (
    ConsentEvent,
    Register,
    Registers,
    SourceKey,
    State,
    Verdict,
    from_json,
    shown,
    state_of,
    to_json,
)
from mercuri.core.contact import PortalId
from mercuri.store import schema, suppression, workspaces
from mercuri.store.among import among
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps, dumps_text, dumps_texts, loads
from mercuri.store.times import from_ms, to_ms

#: The kind of address that each channel sends to.
KIND_OF = {"sms": "phone", "whatsapp": "phone", "email": "email"}
#: The channels that send to each kind of address.
CHANNELS_OF = {"phone": ("sms", "whatsapp"), "email": ("email",)}


@dataclass(frozen=True, slots=True)
class Told:
    """What was last written of an address to one HubSpot property. `value` "" means that it was changed there since.

    `corrections` counts how often HubSpot turned an opt-out back on.
    """

    value: str
    at: datetime
    corrections: int = 0


class Held(NamedTuple):
    """All that is known of an address on a channel. A tuple, since a load makes many."""

    registers: Registers = Registers()
    told: Mapping[SourceKey, Told] = MappingProxyType({})


_LIKE = re.compile(r"[%_\\]")

#: An address on a channel.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The channel that labels show, the region of numbers, and whether any address was closed by an erasure.

    `spoken_of` are the channels on which anything is known of any address.
    """

    status_channel: str
    region: str
    has_suppressed: bool
    spoken_of: frozenset[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event as it was kept."""

    id: int
    event: ConsentEvent


def lock(tx: Tx) -> None:
    """Let one transaction at a time change this workspace's consent, so that no word is lost to another one.

    Whoever also changes contacts does that first: the order keeps two transactions from waiting for each other.
    """
    if not tx.is_sqlite:
        tx.execute(_LOCK, {"ws": tx.workspace})


def surroundings(tx: Tx) -> Surroundings:
    """What every change of consent needs to know of its workspace."""
    asked = {"ws": tx.workspace, "kind": suppression.CLOSED}
    row = tx.raw().execute(_SURROUNDINGS, asked).fetchone() if tx.is_sqlite else tx.execute(_AROUND, asked).first()
    assert row is not None
    settings = workspaces.parsed(row[0])
    spoken_of = frozenset(channel for channel, is_known in zip(KIND_OF, row[2:], strict=True) if is_known)
    return Surroundings(settings.status_channel, settings.default_region, bool(row[1]), spoken_of)


def held(tx: Tx, channel: str, addresses: Collection[str]) -> dict[str, Held]:
    """What is known of these addresses; those of which nothing is known are missing."""
    rows = among(tx, _HELD, addresses, channel=channel)
    return {address: Held(from_json(registers), _told_in(told)) for address, registers, told in rows}


def verdicts(tx: Tx, channel: str, addresses: Collection[str]) -> dict[str, Verdict]:
    """What is shown of these addresses; those of which nothing is known are missing."""
    found: dict[str, Verdict] = {}
    for address, state, reason, paused in among(tx, _VERDICTS, addresses, channel=channel):
        found[address] = Verdict(state, state == "subscribed" and not paused, reason, None, bool(paused))
    return found


def had(tx: Tx, channel: str, addresses: Collection[str]) -> set[str]:
    """Which of these texts are normal addresses that somebody has."""
    return {row[0] for row in among(tx, _HAD, addresses, kind=KIND_OF[channel])}


def suppressed(tx: Tx, keys: Collection[Key]) -> dict[Key, datetime]:
    """Which of these addresses were closed when their person was erased, and since when."""
    if not keys or not surroundings(tx).has_suppressed:
        return {}
    hashes = {tx.keyed_hash(suppression.closed_text(*key)): key for key in keys}
    rows = among(tx, _SUPPRESSED, hashes, kind=suppression.CLOSED)
    return {hashes[found]: from_ms(at) for found, at in rows}


def add_events(tx: Tx, events: Iterable[ConsentEvent]) -> None:
    """Keep evidence; an event that is kept already stays as it is."""
    if rows := [_event_out(tx, event) for event in events]:
        tx.merge_many(schema.consent_event, _EVENT, rows, _KEEP)


def is_kept(tx: Tx, event: ConsentEvent) -> bool:
    """Whether this very event is kept already."""
    mine = {"ws": tx.workspace, "channel": event.channel, "address": event.address, "key": event.key}
    return tx.execute(_IS_KEPT, mine).first() is not None


def save(tx: Tx, states: Mapping[Key, Held], at: datetime) -> dict[Key, Verdict]:
    """Write the state of addresses; the answer is what is shown of them, which follows from it."""
    now, verdicts = to_ms(at), {key: shown(states[key].registers) for key in sorted(states)}
    if rows := [_state_out(tx, key, states[key], verdict, now) for key, verdict in verdicts.items()]:
        tx.merge_many(schema.consent_state, _STATE, rows, _REPLACE)
    return verdicts


def rebuilt(tx: Tx, channel: str, addresses: Collection[str]) -> dict[str, Registers]:
    """The registers that the evidence of each address gives, computed from nothing."""
    events: dict[str, list[ConsentEvent]] = {address: [] for address in addresses}
    for item in evidence(tx, channel, addresses):
        events[item.event.address].append(item.event)
    return {address: state_of(found) for address, found in events.items()}


def evidence(tx: Tx, channel: str, addresses: Collection[str]) -> list[Evidence]:
    """The evidence of addresses on a channel, oldest first."""
    return [_event_in(row) for row in sorted(among(tx, _EVENTS_OF, addresses, channel=channel), key=lambda row: row[0])]


def evidence_after(tx: Tx, after: int, *, limit: int = 1000) -> list[Evidence]:
    """The next events of the workspace after one, in the order in which they were kept."""
    return [_event_in(row) for row in tx.execute(_NEXT_EVENTS, {"ws": tx.workspace, "after": after, "limit": limit})]


def states_after(tx: Tx, channel: str, after: str, *, only: str | None, limit: int) -> dict[str, Held]:
    """What is known of the next addresses of a channel after one, in their order; `only` those in one state."""
    asked = {"ws": tx.workspace, "channel": channel, "after": after, "limit": limit}
    rows = tx.execute(_NEXT_STATES, asked) if only is None else tx.execute(_NEXT_IN, {**asked, "state": only})
    return {address: Held(from_json(registers), _told_in(told)) for address, registers, told in rows}


def paused(tx: Tx, *, limit: int = 50) -> list[Key]:
    """The addresses whose sending waits for a person's decision, longest first."""
    return [(row[0], row[1]) for row in tx.execute(_PAUSED, {"ws": tx.workspace, "limit": limit})]


def last_said(tx: Tx, portal: PortalId, name: str) -> datetime | None:
    """When what a mapped property said last came about; None when it never said anything."""
    pattern = '["' + _LIKE.sub(r"\\\g<0>", portal) + '",%,"' + _LIKE.sub(r"\\\g<0>", name) + '"]'
    at = tx.execute(_LAST_SAID, {"ws": tx.workspace, "pattern": pattern}).scalar()
    return None if at is None else from_ms(at)


_LOCK = sa.text("SELECT pg_advisory_xact_lock(4242002, CAST(:ws AS integer))")
_SPOKEN_OF = ", ".join(
    f"EXISTS (SELECT 1 FROM consent_state WHERE workspace_id = :ws AND channel = '{channel}')" for channel in KIND_OF
)
_SURROUNDINGS = (
    "SELECT settings, EXISTS (SELECT 1 FROM suppression WHERE workspace_id = :ws AND kind = :kind),"
    f" {_SPOKEN_OF} FROM workspace WHERE id = :ws"
)
_AROUND = sa.text(_SURROUNDINGS)
_HELD = "SELECT address, registers, told FROM consent_state WHERE workspace_id = :ws AND channel = :channel AND address"
_VERDICTS = (
    "SELECT address, state, reason, paused FROM consent_state"
    " WHERE workspace_id = :ws AND channel = :channel AND address"
)
_HAD = "SELECT DISTINCT normal FROM contact_address WHERE workspace_id = :ws AND kind = :kind AND normal"
_SUPPRESSED = "SELECT hash, at FROM suppression WHERE workspace_id = :ws AND kind = :kind AND hash"
_EVENT_COLUMNS = (
    "id, channel, address, register, state, kind, source, actor, proof, occurred_at, observed_at FROM consent_event"
)
_EVENTS_OF = f"SELECT {_EVENT_COLUMNS} WHERE workspace_id = :ws AND channel = :channel AND address"
_NEXT_EVENTS = sa.text(f"SELECT {_EVENT_COLUMNS} WHERE workspace_id = :ws AND id > :after ORDER BY id LIMIT :limit")
_IS_KEPT = sa.text(
    "SELECT 1 FROM consent_event"
    " WHERE workspace_id = :ws AND channel = :channel AND address = :address AND event_key = :key"
)
_OF_CHANNEL = (
    "SELECT address, registers, told FROM consent_state"
    " WHERE workspace_id = :ws AND channel = :channel AND address > :after"
)
_NEXT_STATES = sa.text(f"{_OF_CHANNEL} ORDER BY address LIMIT :limit")
_NEXT_IN = sa.text(f"{_OF_CHANNEL} AND state = :state ORDER BY address LIMIT :limit")
_LAST_SAID = sa.text(
    "SELECT occurred_at FROM consent_event"
    " WHERE workspace_id = :ws AND register = 'crm' AND source LIKE :pattern ESCAPE '\\' ORDER BY id DESC LIMIT 1"
)
_PAUSED = sa.text(
    "SELECT channel, address FROM consent_state WHERE workspace_id = :ws AND paused AND state <> 'unsubscribed'"
    " ORDER BY updated_at LIMIT :limit"
)
_EVENT = (
    *("workspace_id", "event_key", "channel", "address", "register", "state", "kind", "source", "actor", "proof"),
    *("occurred_at", "observed_at"),
)
_KEEP = "ON CONFLICT (workspace_id, channel, address, event_key) DO NOTHING"
_STATE = (*("workspace_id", "channel", "address", "registers", "state", "reason", "paused", "told", "updated_at"),)
_REPLACE = (
    "ON CONFLICT (workspace_id, channel, address) DO UPDATE SET registers = excluded.registers,"
    " state = excluded.state, reason = excluded.reason, paused = excluded.paused, told = excluded.told,"
    " updated_at = excluded.updated_at"
)


def _event_out(tx: Tx, event: ConsentEvent) -> tuple[object, ...]:
    channel, address, register, state, kind, occurred_at, observed_at, actor, source, proof, source_key = event
    return (
        tx.workspace,
        event.key,
        channel,
        address,
        register.value,
        state.value,
        kind,
        f"[{','.join(map(dumps_text, source_key))}]" if source_key else source,
        actor,
        dumps_texts(proof),
        to_ms(occurred_at),
        to_ms(observed_at),
    )


def _event_in(row: Any) -> Evidence:
    id_, channel, address, register, state, kind, source, actor, proof, occurred, observed = row
    is_crm = register == Register.CRM.value
    event = ConsentEvent(
        channel,
        address,
        Register(register),
        State(state),
        kind,
        from_ms(occurred),
        from_ms(observed),
        actor,
        "" if is_crm else source,
        loads(proof),
        tuple(loads(source)) if is_crm else None,
    )
    return Evidence(id_, event)


def _state_out(tx: Tx, key: Key, state: Held, verdict: Verdict, at: int) -> tuple[object, ...]:
    return (
        tx.workspace,
        *key,
        to_json(state.registers),
        verdict.state,
        verdict.reason,
        verdict.paused,
        _told_out(state.told) if state.told else "[]",
        at,
    )


def _told_out(told: Mapping[SourceKey, Told]) -> str:
    return dumps([[*source, one.value, to_ms(one.at), one.corrections] for source, one in sorted(told.items())])


def _told_in(text: str) -> dict[SourceKey, Told]:
    if text == "[]":
        return {}
    return {(row[0], row[1], row[2]): Told(row[3], from_ms(row[4]), row[5]) for row in loads(text)}
