"""Opt-outs to HubSpot: past the two-way switch, filters and pauses, ahead of every other request.

Noted with the word that causes it, as an outbox row for each address and portal; what there is to write is found out
just before it is written, from the state as it is then. Writing the same value twice does no harm, so a crash costs a
request and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mercuri.core.consent import CORRECTIONS, Register, SourceKey, State, closed_by, may_be_closed, shown
from mercuri.core.consent_values import heard, in_value, out_value
from mercuri.core.contact import Address, ContactId, LinkState, PortalId, RecordId, WorkspaceId
from mercuri.core.properties import Property
from mercuri.core.retry import WAITS_FOR, FailureClass, class_of, next_try
from mercuri.core.settings import ConsentItem
from mercuri.engine import follow, registers
from mercuri.engine.app import App
from mercuri.engine.portal import client_for
from mercuri.engine.recorded import own_addresses, properties_of_kind
from mercuri.errors import BadRequest, HubSpotError, MissingScope, Unavailable
from mercuri.hubspot.client import Calls, Client, Write
from mercuri.hubspot.errors import explain
from mercuri.hubspot.pacing import Lane
from mercuri.store import consent as store
from mercuri.store import contacts, failures, links, outbox, portals, workspaces
from mercuri.store.consent import KIND_OF, Held, Key, Told
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
#: How long a batch may take before another worker may try it.
CLAIM = timedelta(minutes=3)
BATCH = 100

_NOWHERE = "This opt-out cannot be passed on to HubSpot: no property that could be written is mapped for {channel}."
_MAP = "Map an opt-in or opt-out property under Settings, Subscription. Sending stays blocked here all the same."
_TURNED_BACK = (
    f"HubSpot turned this opt-out back on after it was written again {CORRECTIONS} times. It is not written any more."
)
_FIND = "Find out which workflow or form in HubSpot sets it, and stop it there. Sending stays blocked here."
_NAMES = {"sms": "SMS", "whatsapp": "WhatsApp", "email": "e-mail"}


def note(tx: Tx, states: Mapping[Key, Held], at: datetime, *, only: PortalId | None = None) -> None:
    """Note for every connected portal what it has to be told of these addresses; what it said itself is left out.

    `only` leaves out every other portal.
    """
    # Most of a first load's words are a plain yes of HubSpot's, which concerns nobody else.
    concerned = {key: held for key, held in states.items() if may_be_closed(held.registers) or _opened_here(held)}
    if not concerned:
        return
    opened = [_failure_key(key) for key, held in concerned.items() if _opened_here(held)]
    for portal in portals.all(tx):
        if portal.state != "disconnected" and only in (None, portal.id):
            failures.clear(tx, portal.id, opened)
            wanted: dict[str, dict[str, str]] = {
                _name(key): {} for key, held in concerned.items() if _concerns(portal, held)
            }
            outbox.note_many(tx, portal.id, "consent", wanted, at)


def note_all(tx: Tx, portal_id: PortalId, keys: Collection[Key], at: datetime) -> None:
    """Note addresses for a portal whatever their state."""
    outbox.note_many(tx, portal_id, "consent", {_name(key): {} for key in keys}, at)


def retry(tx: Tx, portal_id: PortalId, failure_key: str, at: datetime) -> None:
    """Try a failed opt-out again with the next round; the keys of other failures do nothing."""
    prefix, _, name = failure_key.partition(":")
    if prefix == "address":
        outbox.note(tx, portal_id, "consent", name, {}, at)


def note_contacts(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Note the closed addresses of contacts whose records may not know of it."""
    closed = store.closed_of(tx, ids)
    for channel in {channel for channel, _ in closed}:
        mine = [address for known, address in closed if known == channel]
        note(tx, {(channel, address): held for address, held in store.held(tx, channel, mine).items()}, at)


def push_outs(app: App, ws: WorkspaceId, portal_id: PortalId, *, calls: Calls | None = None) -> int:
    """Write what is noted for a portal to HubSpot, at once; the answer is how many values were written.

    Needs no lease: it goes on beside a run. What HubSpot refuses stands among the failures and is tried again.
    """
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
        if portal.state != "connected" or not outbox.due(tx, portal_id, "consent", app.now(), limit=1):
            return 0
    client = client_for(app, ws, portal, Lane.OPT_OUT, calls)
    written = 0
    while True:
        with app.db.write(ws) as tx:
            batch = _claim(tx, app, portal_id)
        if not batch.pending:
            return written
        errors = _send(client, batch)
        with app.db.write(ws) as tx:
            written += _conclude(tx, app, portal_id, batch, errors)


@dataclass(frozen=True, slots=True)
class _Value:
    """One value to be written; `key` is the address because of which."""

    link: Link
    name: str
    value: str
    key: Key


@dataclass(slots=True)
class _Batch:
    """What one round writes."""

    pending: Sequence[Pending]
    values: list[_Value] = field(default_factory=list)
    emails: dict[str, Link] = field(default_factory=dict)  # to be taken off HubSpot's list of e-mail addresses
    contact: dict[Key, ContactId] = field(default_factory=dict)

    def writes(self) -> list[Write]:
        """One write for each record."""
        wanted: dict[RecordId, dict[str, str]] = {}
        for one in self.values:
            wanted.setdefault(one.link.record_id, {})[one.name] = one.value
        return [Write(record, properties) for record, properties in wanted.items()]


def _name(key: Key) -> str:
    return f"{key[0]}:{key[1]}"


def _key(pending: Pending) -> Key:
    channel, _, address = pending.key.partition(":")
    return channel, address


def _failure_key(key: Key) -> str:
    return f"address:{_name(key)}"


def _concerns(portal: Portal, held: Held) -> bool:
    if registers.speaks_elsewhere(held.registers, portal.id):
        return True
    if closed_by(held.registers) or not _opened_here(held):
        return False
    return portal.settings.two_way


def _opened_here(held: Held) -> bool:
    said = (held.registers.person, held.registers.staff)
    return any(entry is not None and entry.state is State.IN for entry in said) and shown(held.registers).sendable


def _claim(tx: Tx, app: App, portal_id: PortalId) -> _Batch:
    """Decide what is to be written, note it as told, and keep others from the same work for a while."""
    now = app.now()
    portal = portals.get(tx, portal_id)
    batch = _Batch(outbox.due(tx, portal_id, "consent", now, limit=BATCH) if portal.state == "connected" else ())
    if not batch.pending:
        return batch
    outbox.postpone(tx, batch.pending, now + CLAIM)
    store.lock(tx)
    known = registers.load(tx, {_key(item) for item in batch.pending})
    plan = _Plan(tx, portal, now)
    told: dict[Key, Held] = {}
    for item in batch.pending:
        key = _key(item)
        before = known.get(key, Held())
        plan.add(batch, key, before)
        marks: dict[SourceKey, str] = {
            (portal_id, v.link.record_id, v.name): v.value for v in batch.values if v.key == key
        }
        if marks:
            told[key] = Held(before.registers, {**before.told, **_marked(before, marks, now)})
    store.save(tx, told, now)
    return batch


def _marked(held: Held, marks: Mapping[SourceKey, str], now: datetime) -> dict[SourceKey, Told]:
    none = Told("", now)
    return {source: replace(held.told.get(source, none), value=value, at=now) for source, value in marks.items()}


class _Plan:
    """What one portal has to be told."""

    def __init__(self, tx: Tx, portal: Portal, now: datetime) -> None:
        self.tx, self.portal, self.now = tx, portal, now
        self.schema = {found.name: found for found in portals.schema(tx, portal.id)}
        self.region = workspaces.settings(tx).default_region

    def add(self, batch: _Batch, key: Key, held: Held) -> None:
        """Add the values that tell the portal of an address, or a failure that says why it cannot be told."""
        linked = self._linked(key)
        if linked:
            batch.contact[key] = linked[0].contact_id
        is_closed = registers.speaks_elsewhere(held.registers, self.portal.id)
        is_in = not is_closed and self.portal.settings.two_way and _opened_here(held)
        values = self._values(key, held, linked, State.OUT if is_closed else State.IN if is_in else None)
        if not is_closed or not linked:
            batch.values += values or []
            failures.clear(self.tx, self.portal.id, [_failure_key(key)])
            return
        if self._corrections(held, linked) > CORRECTIONS:
            self._fail(key, linked[0], _TURNED_BACK, _FIND)
            return
        by_email = self._by_email(batch, key, held, linked)
        if values is None and not by_email:
            self._fail(key, linked[0], _NOWHERE.format(channel=_NAMES[key[0]]), _MAP)
        elif not values and key[1] not in batch.emails:
            failures.clear(self.tx, self.portal.id, [_failure_key(key)])
        batch.values += values or []

    def _linked(self, key: Key) -> list[Link]:
        """The records that hold the address."""
        ids = store.owners(self.tx, key[0], [key[1]]).get(key[1], [])
        found = links.all_of_contacts(self.tx, ids)
        mine = [link for portal, link in found if portal == self.portal.id and _is_reachable(link)]
        if not mine:
            return []
        kind = KIND_OF[key[0]]
        held, own = contacts.held(self.tx, ids), store.addresses(self.tx, ids)
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

    def _corrections(self, held: Held, linked: Iterable[Link]) -> int:
        """How often HubSpot turned the opt-out back on."""
        records = {link.record_id for link in linked}
        mine = [
            t.corrections for source, t in held.told.items() if source[0] == self.portal.id and source[1] in records
        ]
        return max(mine, default=0)

    def _values(self, key: Key, held: Held, linked: Sequence[Link], wanted: State | None) -> list[_Value] | None:
        """The values that are not there yet; None when there is nowhere to write one."""
        items = [item for item in self.portal.settings.consent_mapping if item.channel == key[0] and wanted]
        places = [(item, place) for item in items if (place := self._place(item, wanted is State.OUT)) is not None]
        values = [
            _Value(link, *place, key)
            for link in linked
            for item, place in places
            if heard(item, link.shadow) is not wanted
        ]
        own = self._own_values(key, held, linked, wanted)
        return None if not places and own is None else [*values, *(own or ())]

    def _place(self, item: ConsentItem, is_closed: bool) -> tuple[str, str] | None:
        name = item.properties[-1] if is_closed else item.properties[0]
        found = self.schema.get(name)
        if found is None:
            return None
        return out_value(item, found, self.now) if is_closed else in_value(item, found, self.now)

    def _own_values(self, key: Key, held: Held, linked: Sequence[Link], wanted: State | None) -> list[_Value] | None:
        if key[0] != "sms" or not _is_there(self.schema.get(OWN_STATUS)):
            return None
        if wanted is not State.OUT and not self.portal.settings.two_way:
            return None
        verdict = shown(held.registers)
        by, at = _deciding(held)
        values = {OWN_STATUS: verdict.state, f"{OWN_STATUS}_at": at, f"{OWN_STATUS}_source": by}
        told = {source: mark.value for source, mark in held.told.items()}
        return [
            _Value(link, name, value, key)
            for link in linked
            if told.get((self.portal.id, link.record_id, OWN_STATUS)) != verdict.state
            for name, value in values.items()
            if _is_there(self.schema.get(name))
        ]

    def _by_email(self, batch: _Batch, key: Key, held: Held, linked: Sequence[Link]) -> bool:
        """Have HubSpot take an e-mail address off all of its lists; false where that is not to be had."""
        scopes = self.portal.scopes
        if key[0] != "email" or not (EMAIL_SCOPE in scopes or self.portal.kind == "static"):
            return False
        is_told = (self.portal.id, "", EMAIL_LIST) in held.told
        if not is_told and all(link.shadow.get("hs_email_optout") != "true" for link in linked):
            batch.emails[key[1]] = linked[0]
        return True

    def _fail(self, key: Key, link: Link, message: str, fix: str) -> None:
        _put_failure(self.tx, self.portal.id, key, link, FailureClass.VALIDATION, message, fix, self.now)


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


def _send(client: Client, batch: _Batch) -> dict[str, HubSpotError]:
    """Send it; what was refused, by record id and by e-mail."""
    errors: dict[str, HubSpotError] = {}
    writes = batch.writes()
    try:
        outcomes = client.update_many(writes) if writes else []
        errors.update({one.key: one.error for one in outcomes if one.error is not None})
    except HubSpotError as error:
        errors.update(dict.fromkeys((write.key for write in writes), error))
    for email in batch.emails:
        try:
            client.unsubscribe_email(email)
        except HubSpotError as error:
            errors[email] = error
    return errors


def _conclude(tx: Tx, app: App, portal_id: PortalId, batch: _Batch, errors: Mapping[str, HubSpotError]) -> int:
    now = app.now()
    stood = [one for one in batch.values if one.link.record_id not in errors]
    _move_shadows(tx, portal_id, stood, now)
    store.lock(tx)
    _take_back(tx, portal_id, [one for one in batch.values if not _may_stand(errors.get(one.link.record_id))], now)
    _mark_emails(tx, portal_id, [email for email in batch.emails if email not in errors], now)
    for item in batch.pending:
        key = _key(item)
        error = _error_of(batch, key, errors)
        if error is None:
            outbox.done(tx, [item])
            if any(one.key == key for one in stood) or key[1] in batch.emails:
                failures.clear(tx, portal_id, [_failure_key(key)])
        else:
            link = next((one.link for one in batch.values if one.key == key), batch.emails.get(key[1]))
            _refused(tx, portal_id, item, key, link, error, now)
    return len(stood)


def _may_stand(error: HubSpotError | None) -> bool:
    """Whether a write has, or may have, come about."""
    return error is None or (isinstance(error, Unavailable) and error.may_have_happened)


def _error_of(batch: _Batch, key: Key, errors: Mapping[str, HubSpotError]) -> HubSpotError | None:
    mine = [errors[one.link.record_id] for one in batch.values if one.key == key and one.link.record_id in errors]
    if key[0] == "email" and key[1] in errors:
        is_told = any(one.key == key and one.link.record_id not in errors for one in batch.values)
        if not (is_told and isinstance(errors[key[1]], MissingScope)):
            mine.append(errors[key[1]])
    return mine[0] if mine else None


def _move_shadows(tx: Tx, portal_id: PortalId, stood: Sequence[_Value], now: datetime) -> None:
    """What was written is what was last seen there: coming back, it is no news."""
    found = links.of_records(tx, portal_id, {one.link.record_id for one in stood}, lock=True)
    for one in stood:
        link = found.get(one.link.record_id)
        if link is not None and not one.name.startswith(OWN_STATUS):
            found[link.record_id] = replace(link, shadow={**link.shadow, one.name: one.value}, written_at=now)
    links.save_many(tx, portal_id, list(found.values()))


def _take_back(tx: Tx, portal_id: PortalId, failed: Sequence[_Value], now: datetime) -> None:
    """What was refused was not told: should the value come from there, it is HubSpot's own word."""
    known = registers.load(tx, {one.key for one in failed})
    for one in failed:
        held, source = known[one.key], (portal_id, one.link.record_id, one.name)
        known[one.key] = Held(held.registers, {**held.told, source: replace(held.told[source], value="")})
    store.save(tx, known, now)


def _mark_emails(tx: Tx, portal_id: PortalId, emails: Sequence[str], now: datetime) -> None:
    known = registers.load(tx, {("email", email) for email in emails})
    mark: dict[SourceKey, Told] = {(portal_id, "", EMAIL_LIST): Told("true", now)}
    store.save(tx, {key: Held(held.registers, {**held.told, **mark}) for key, held in known.items()}, now)


def _refused(
    tx: Tx, portal_id: PortalId, item: Pending, key: Key, link: Link | None, error: HubSpotError, now: datetime
) -> None:
    kind, said = class_of(error), explain(error)
    # Never dropped: what waits for a person is looked at again every night as well.
    again = next_try(kind, item.attempts + 1, now) or next_try(FailureClass.SERVER, 99, now)
    assert again is not None
    outbox.postpone(tx, [item], again)
    raw = error.raw if isinstance(error, BadRequest) else ""
    fix = said.fix or WAITS_FOR.get(kind, "Nothing to do: it is tried again.")
    _put_failure(tx, portal_id, key, link, kind, said.message, fix, now, raw=raw, again=again)


def _put_failure(
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
    name = _failure_key(key)
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
