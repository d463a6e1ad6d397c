"""What one portal has to be told of an address now: the values that are not there yet, or why it cannot be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mercuri.core.consent import CORRECTIONS, Register, State, closed_by, shown
from mercuri.core.consent_values import heard, in_value, out_value
from mercuri.core.contact import Address, LinkState, PortalId, RecordId
from mercuri.core.properties import Property
from mercuri.core.retry import FailureClass
from mercuri.core.settings import CHANNEL_NAMES, ConsentItem
from mercuri.engine import follow, registers
from mercuri.engine.optouts import failure_key, opened_here
from mercuri.engine.recorded import own_addresses, properties_of_kind
from mercuri.hubspot.client import Write
from mercuri.store import consent_holders as holders
from mercuri.store import contacts, failures, links, portals, workspaces
from mercuri.store.consent import KIND_OF, Held, Key
from mercuri.store.database import Tx
from mercuri.store.failures import Failure
from mercuri.store.links import Link
from mercuri.store.outbox import Pending
from mercuri.store.portals import Portal

#: Our own property in HubSpot that carries the state of `sms` there, where it was asked for; with `_at` and `_source`.
OWN_STATUS = "mercuri_sms_status"
#: What stands in the place of a property for HubSpot's own list of e-mail addresses.
EMAIL_LIST = "unsubscribe-all"
EMAIL_SCOPE = "communication_preferences.read_write"

_NOWHERE = "This opt-out cannot be passed on to HubSpot: no property that could be written is mapped for {channel}."
_MAP = "Map an opt-in or opt-out property under Settings, Subscription. Sending stays blocked here all the same."
_TURNED_BACK = (
    f"HubSpot turned this opt-out back on after it was written again {CORRECTIONS} times. It is not written any more."
)
_FIND = "Find out which workflow or form in HubSpot sets it, and stop it there. Sending stays blocked here."


@dataclass(frozen=True, slots=True)
class Value:
    """One value to be written; `key` is the address because of which."""

    link: Link
    name: str
    value: str
    key: Key


@dataclass(slots=True)
class Batch:
    """What one round writes."""

    pending: Sequence[Pending]
    values: list[Value] = field(default_factory=list)
    emails: dict[str, Link] = field(default_factory=dict)  # to be taken off HubSpot's list of e-mail addresses

    def writes(self) -> list[Write]:
        """One write for each record."""
        wanted: dict[RecordId, dict[str, str]] = {}
        for one in self.values:
            wanted.setdefault(one.link.record_id, {})[one.name] = one.value
        return [Write(record, properties) for record, properties in wanted.items()]


class Plan:
    """What one portal has to be told."""

    def __init__(self, tx: Tx, portal: Portal, now: datetime) -> None:
        self.tx, self.portal, self.now = tx, portal, now
        self.schema = {found.name: found for found in portals.schema(tx, portal.id)}
        self.region = workspaces.settings(tx).default_region

    def add(self, batch: Batch, key: Key, held: Held) -> None:
        """Add the values that tell the portal of an address, or a failure that says why it cannot be told."""
        linked = self._linked(key)
        is_closed = registers.speaks_elsewhere(held.registers, self.portal.id)
        is_in = not is_closed and self.portal.settings.two_way and opened_here(held)
        values = self._values(key, held, linked, State.OUT if is_closed else State.IN if is_in else None)
        if not is_closed or not linked:
            batch.values += values or []
            failures.clear(self.tx, self.portal.id, [failure_key(key)])
            return
        turned_back = self._turned_back(held, linked)
        if turned_back is not None:
            self._fail(key, turned_back, _TURNED_BACK, _FIND)
            return
        by_email = self._by_email(batch, key, held, linked)
        if values is None and not by_email:
            self._fail(key, linked[0], _NOWHERE.format(channel=CHANNEL_NAMES[key[0]]), _MAP)
        elif not values and key[1] not in batch.emails:
            failures.clear(self.tx, self.portal.id, [failure_key(key)])
        batch.values += values or []

    def _linked(self, key: Key) -> list[Link]:
        """The records that hold the address."""
        ids = holders.owners(self.tx, key[0], [key[1]]).get(key[1], [])
        found = links.all_of_contacts(self.tx, ids)
        mine = [link for portal, link in found if portal == self.portal.id and _is_reachable(link)]
        if not mine:
            return []
        kind = KIND_OF[key[0]]
        held, own = contacts.held(self.tx, ids), holders.addresses(self.tx, ids)
        return [link for link in mine if self._holds(link, held[link.contact_id], own[link.contact_id], kind, key[1])]

    def _holds(self, link: Link, held: contacts.Held, own: Sequence[Address], kind: str, address: str) -> bool:
        mapping = self.portal.settings.mapping
        there = [link.shadow.get(name, "") for name in properties_of_kind(mapping, kind)]
        here = [
            held.fields.get(item.field, "")
            for item in mapping
            if properties_of_kind([item], kind)[:1] == (item.property,)
        ]
        mine = [one for one in own if one.kind == kind]
        return address in own_addresses([*there, *here], mine, kind, self.region)

    def _turned_back(self, held: Held, linked: Sequence[Link]) -> Link | None:
        """The record on which HubSpot turned the opt-out back on more often than it is written again."""
        flips = {
            source[1]
            for source, told in held.told.items()
            if source[0] == self.portal.id and told.corrections > CORRECTIONS
        }
        return next((link for link in linked if link.record_id in flips), None)

    def _values(self, key: Key, held: Held, linked: Sequence[Link], wanted: State | None) -> list[Value] | None:
        """The values that are not there yet; None when there is nowhere to write one."""
        items = [item for item in self.portal.settings.consent_mapping if item.channel == key[0] and wanted]
        is_closed = wanted is State.OUT
        places = [item for item in items if self._place(item, is_closed, {}) is not None]
        values = [
            Value(link, *place, key)
            for link in linked
            for item in places
            if heard(item, link.shadow) is not wanted
            and (place := self._place(item, is_closed, link.shadow)) is not None
        ]
        own = self._own_values(key, held, linked, wanted)
        return None if not places and own is None else [*values, *(own or ())]

    def _place(self, item: ConsentItem, is_closed: bool, there: Mapping[str, str]) -> tuple[str, str] | None:
        name = item.properties[-1] if is_closed else item.properties[0]
        found = self.schema.get(name)
        if found is None:
            return None
        return out_value(item, found, self.now, there) if is_closed else in_value(item, found, self.now)

    def _own_values(self, key: Key, held: Held, linked: Sequence[Link], wanted: State | None) -> list[Value] | None:
        if key[0] != "sms" or not _is_there(self.schema.get(OWN_STATUS)):
            return None
        if wanted is not State.OUT and not self.portal.settings.two_way:
            return None
        verdict = shown(held.registers)
        by, at = _deciding(held)
        values = {OWN_STATUS: verdict.state, f"{OWN_STATUS}_at": at, f"{OWN_STATUS}_source": by}
        told = {source: mark.value for source, mark in held.told.items()}
        return [
            Value(link, name, value, key)
            for link in linked
            if told.get((self.portal.id, link.record_id, OWN_STATUS)) != verdict.state
            for name, value in values.items()
            if _is_there(self.schema.get(name))
        ]

    def _by_email(self, batch: Batch, key: Key, held: Held, linked: Sequence[Link]) -> bool:
        """Have HubSpot take an e-mail address off all of its lists; false where that is not to be had."""
        scopes = self.portal.scopes
        if key[0] != "email" or not (EMAIL_SCOPE in scopes or self.portal.kind == "static"):
            return False
        is_told = (self.portal.id, "", EMAIL_LIST) in held.told
        if not is_told and all(link.shadow.get("hs_email_optout") != "true" for link in linked):
            batch.emails[key[1]] = linked[0]
        return True

    def _fail(self, key: Key, link: Link, message: str, fix: str) -> None:
        put_failure(self.tx, self.portal.id, key, link, FailureClass.VALIDATION, message, fix, self.now)


def _is_reachable(link: Link) -> bool:
    """Whether the record is there: also when it is only our contact that was deleted or absorbed."""
    if link.state is LinkState.ASLEEP:
        return link.excluded in (follow.DELETED_HERE, follow.MERGED_HERE)
    return link.state in (LinkState.LIVE, LinkState.BLOCKED)


def _is_there(found: Property | None) -> bool:
    return found is not None and not found.archived


def _deciding(held: Held) -> tuple[str, str]:
    """Who said what is shown, and when, as HubSpot writes it."""
    by, at = _decided(held)
    return by, at.strftime("%Y-%m-%dT%H:%M:%S.000Z") if at else ""


def _decided(held: Held) -> tuple[str, datetime | None]:
    closing = closed_by(held.registers)
    if closing:
        return closing[0][0].value, closing[0][2].at
    for register, entry in ((Register.PERSON, held.registers.person), (Register.STAFF, held.registers.staff)):
        if entry is not None and entry.state is State.IN:
            return register.value, entry.at
    said = [entry.at for entry in held.registers.crm.values() if entry.state is State.IN]
    return (Register.CRM.value, max(said)) if said else ("", None)


def put_failure(
    tx: Tx,
    portal_id: PortalId,
    key: Key,
    link: Link | None,
    kind: FailureClass,
    message: str,
    fix: str,
    now: datetime,
    *,
    raw: str = "",
    again: datetime | None = None,
) -> None:
    """Note among the failures that a portal cannot be told of an address."""
    name = failure_key(key)
    tries = failures.attempts(tx, portal_id, [name]).get(name, 0) + 1
    failures.put(
        tx,
        Failure(
            portal_id,
            name,
            kind.value,
            message,
            fix,
            now,
            link.contact_id if link else None,
            link.record_id if link else None,
            None,
            raw,
            tries,
            again,
        ),
    )
