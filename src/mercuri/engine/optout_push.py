"""Write the noted opt-outs to HubSpot, ahead of every other request.

Writing the same value twice does no harm, so a crash costs a request and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from mercuri.core.consent import SourceKey, closed_by
from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.core.retry import WAITS_FOR, FailureClass, class_of, next_try
from mercuri.engine import optouts, registers
from mercuri.engine.app import App
from mercuri.engine.optout_plan import EMAIL_LIST, OWN_STATUS, Batch, Plan, Value, put_failure
from mercuri.engine.optouts import failure_key, key_of
from mercuri.engine.portal import client_for
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, Unavailable
from mercuri.hubspot.client import Calls, Client
from mercuri.hubspot.errors import GONE, explain
from mercuri.hubspot.pacing import Lane
from mercuri.store import consent as store
from mercuri.store import failures, links, outbox, portals
from mercuri.store.consent import Held, Key, Told
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.outbox import Pending

#: How long a batch may take before another worker may try it.
CLAIM = timedelta(minutes=3)
BATCH = 100
#: What else to say where a property is gone, by whether the address is closed.
_UNTOLD = {
    True: "HubSpot was not told of this opt-out. Sending stays blocked here all the same.",
    False: "HubSpot was not told of this opt-in.",
}


def push_outs(app: App, ws: WorkspaceId, portal_id: PortalId, *, calls: Calls | None = None) -> int:
    """Write what is noted for a portal to HubSpot, at once; the answer is how many values were written.

    Needs no lease: it goes on beside a run. What HubSpot refuses stands among the failures and is tried again.
    """
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal_id)
        is_waiting = any(outbox.due(tx, portal_id, kind, app.now(), limit=1) for kind in ("consent", "tell"))
        if portal.state != "connected" or not is_waiting:
            return 0
    client = client_for(app, ws, portal, Lane.OPT_OUT, calls)
    written = 0
    while True:
        with app.db.write(ws) as tx:
            batch = _claim(tx, app, portal_id)
        if not batch.pending:
            # Only now, so that a stop that comes meanwhile has few others before it.
            with app.db.write(ws) as tx:
                is_more = optouts.note_next(tx, portal_id, app.now())
            if not is_more:
                return written
            continue
        errors = _send(client, batch)
        with app.db.write(ws) as tx:
            written += _conclude(tx, app, portal_id, batch, errors)


def _claim(tx: Tx, app: App, portal_id: PortalId) -> Batch:
    """Decide what is to be written, note it as told, and keep others from the same work for a while."""
    now = app.now()
    portal = portals.get(tx, portal_id)
    batch = Batch(outbox.due(tx, portal_id, "consent", now, limit=BATCH) if portal.state == "connected" else ())
    if not batch.pending:
        return batch
    outbox.postpone(tx, batch.pending, now + CLAIM)
    store.lock(tx)
    known = registers.load(tx, {key_of(item) for item in batch.pending})
    plan = Plan(tx, portal, now)
    told: dict[Key, Held] = {}
    for item in batch.pending:
        key = key_of(item)
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


def _send(client: Client, batch: Batch) -> dict[str, HubSpotError]:
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


def _conclude(tx: Tx, app: App, portal_id: PortalId, batch: Batch, errors: Mapping[str, HubSpotError]) -> int:
    now = app.now()
    stood = [one for one in batch.values if one.link.record_id not in errors]
    _move_shadows(tx, portal_id, stood, now)
    store.lock(tx)
    _take_back(tx, portal_id, [one for one in batch.values if not _may_stand(errors.get(one.link.record_id))], now)
    _mark_emails(tx, portal_id, [email for email in batch.emails if email not in errors], now)
    for item in batch.pending:
        key = key_of(item)
        error = _error_of(batch, key, errors)
        if error is None:
            outbox.done(tx, [item])
            if any(one.key == key for one in stood) or key[1] in batch.emails:
                failures.clear(tx, portal_id, [failure_key(key)])
        else:
            link = next((one.link for one in batch.values if one.key == key), batch.emails.get(key[1]))
            _refused(tx, portal_id, item, key, link, error, now)
    return len(stood)


def _may_stand(error: HubSpotError | None) -> bool:
    """Whether a write has, or may have, come about."""
    return error is None or (isinstance(error, Unavailable) and error.may_have_happened)


def _error_of(batch: Batch, key: Key, errors: Mapping[str, HubSpotError]) -> HubSpotError | None:
    mine = [errors[one.link.record_id] for one in batch.values if one.key == key and one.link.record_id in errors]
    if key[0] == "email" and key[1] in errors:
        is_told = any(one.key == key and one.link.record_id not in errors for one in batch.values)
        if not (is_told and isinstance(errors[key[1]], MissingScope)):
            mine.append(errors[key[1]])
    return mine[0] if mine else None


def _move_shadows(tx: Tx, portal_id: PortalId, stood: Sequence[Value], now: datetime) -> None:
    """What was written is what was last seen there: coming back, it is no news."""
    found = links.of_records(tx, portal_id, {one.link.record_id for one in stood}, lock=True)
    for one in stood:
        link = found.get(one.link.record_id)
        if link is not None and not one.name.startswith(OWN_STATUS):
            found[link.record_id] = replace(link, shadow={**link.shadow, one.name: one.value}, written_at=now)
    links.save_many(tx, portal_id, list(found.values()))


def _take_back(tx: Tx, portal_id: PortalId, failed: Sequence[Value], now: datetime) -> None:
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
    kind, said = class_of(error), explain(error, partial(portals.property_of, tx, portal_id))
    # Never dropped: what waits for a person is looked at again every night as well.
    again = next_try(kind, item.attempts + 1, now) or next_try(FailureClass.SERVER, 99, now)
    assert again is not None
    outbox.postpone(tx, [item], again)
    if link is not None and isinstance(error, NotThere):
        # Merged away, most likely: what follows it tells the record that it is in now.
        outbox.note_looks(tx, portal_id, {link.record_id: False}, now)
    raw = error.raw if isinstance(error, BadRequest) else ""
    if said.code == GONE:
        is_closed = bool(closed_by(registers.load(tx, {key})[key].registers))
        said = replace(said, message=f"{said.message} {_UNTOLD[is_closed]}", fix=_fix_of_gone(said.property))
    fix = said.fix or WAITS_FOR.get(kind, "Nothing to do: it is tried again.")
    put_failure(tx, portal_id, key, link, kind, said.message, fix, now, raw=raw, again=again)


def _fix_of_gone(name: str) -> str:
    own = name.startswith(OWN_STATUS)
    return f"{'Make it again' if own else 'Map another property'} under Settings, Subscription."
