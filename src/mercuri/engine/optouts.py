"""Note what HubSpot has to be told of an address, in the transaction of the word that causes it.

An outbox row for each address and portal, past the two-way switch, filters and pauses. What there is to write is found
out just before it is written (`optout_plan`), from the state as it is then; `optout_push` writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from mercuri.core.consent import State, closed_by, may_be_closed, shown
from mercuri.core.contact import ContactId, PortalId
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import failures, outbox, portals
from mercuri.store.consent import KIND_OF, Held, Key
from mercuri.store.database import Tx
from mercuri.store.outbox import Pending
from mercuri.store.portals import Portal

#: Addresses that are noted in one transaction: SQLite has one writer, and a person's stop must not wait for it.
STEP = 500
_ALL = "all"


def note(tx: Tx, states: Mapping[Key, Held], at: datetime, *, only: PortalId | None = None) -> None:
    """Note for every connected portal what it has to be told of these addresses; what it said itself is left out.

    `only` leaves out every other portal.
    """
    # Most of a first load's words are a plain yes of HubSpot's, which concerns nobody else.
    concerned = {key: held for key, held in states.items() if may_be_closed(held.registers) or opened_here(held)}
    if not concerned:
        return
    opened = [failure_key(key) for key, held in concerned.items() if opened_here(held)]
    for portal in portals.all(tx):
        if portal.state != "disconnected" and only in (None, portal.id):
            failures.clear(tx, portal.id, opened)
            wanted: dict[str, dict[str, str]] = {
                name_of(key): {} for key, held in concerned.items() if _concerns(portal, held)
            }
            outbox.note_many(tx, portal.id, "consent", wanted, at)


def note_closed(tx: Tx, portal_id: PortalId, at: datetime) -> None:
    """Note every closed address for a portal that can be told of it in another way now, or has only now come back.

    There may be very many: what is more than a few is left to `note_next`.
    """
    outbox.note_many(tx, portal_id, "tell", {channel: {} for channel in KIND_OF}, at)
    for _ in KIND_OF:
        note_next(tx, portal_id, at)


def note_all(tx: Tx, portal_id: PortalId, channel: str, at: datetime) -> None:
    """The same for every address of a channel, whatever its state."""
    outbox.note(tx, portal_id, "tell", f"{channel}:{_ALL}", {}, at)


def note_next(tx: Tx, portal_id: PortalId, at: datetime) -> bool:
    """Note the next addresses of those that are to be noted; false where none are left."""
    waiting = outbox.due(tx, portal_id, "tell", at, limit=1)
    for item in waiting:
        channel, _, which = item.key.partition(":")
        only = None if which == _ALL else "unsubscribed"
        found = store.states_after(tx, channel, item.payload.get("after", ""), only=only, limit=STEP)
        states = {(channel, address): held for address, held in found.items()}
        if which == _ALL:
            outbox.note_many(tx, portal_id, "consent", {name_of(key): {} for key in states}, at)
        else:
            note(tx, states, at, only=portal_id)
        # Asked for anew meanwhile, it begins at the first address again: that row is kept.
        outbox.done(tx, [item])
        if len(found) == STEP:
            outbox.note_many(tx, portal_id, "tell", {item.key: {"after": next(reversed(found))}}, at, keep=True)
    return bool(waiting)


def retry(tx: Tx, portal_id: PortalId, failure_key: str, at: datetime) -> None:
    """Try a failed opt-out again with the next round; the keys of other failures do nothing."""
    prefix, _, name = failure_key.partition(":")
    if prefix == "address":
        outbox.note(tx, portal_id, "consent", name, {}, at)


def note_contacts(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Note the closed addresses of contacts whose records may not know of it."""
    closed = holders.closed_of(tx, ids)
    for channel in {channel for channel, _ in closed}:
        mine = [address for known, address in closed if known == channel]
        note(tx, {(channel, address): held for address, held in store.held(tx, channel, mine).items()}, at)


def name_of(key: Key) -> str:
    """An address on a channel as one text."""
    return f"{key[0]}:{key[1]}"


def key_of(pending: Pending) -> Key:
    """Which address a noted row speaks of."""
    channel, _, address = pending.key.partition(":")
    return channel, address


def failure_key(key: Key) -> str:
    """Under which key it stands among the failures that a portal cannot be told of an address."""
    return f"address:{name_of(key)}"


def opened_here(held: Held) -> bool:
    """Whether an address may be sent to, and it was not only HubSpot that said so."""
    person, staff = held.registers.person, held.registers.staff
    said_here = (person is not None and person.state is State.IN) or (staff is not None and staff.state is State.IN)
    return said_here and shown(held.registers).sendable


def _concerns(portal: Portal, held: Held) -> bool:
    if closing := closed_by(held.registers):
        return any(key is None or key[0] != portal.id for _, key, _ in closing)
    return portal.settings.two_way and opened_here(held)
