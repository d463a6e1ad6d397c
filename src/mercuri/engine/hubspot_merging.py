"""Merges in HubSpot, once their hold is over: pairwise, read back, opt-outs said again last. They are for good there.

HubSpot keeps one record's values. What somebody typed into the other one meanwhile stays here, in a conflict that the
merge decided. What HubSpot refuses changes nothing here: the merge stands, its other record stays a known one, so that
no sync makes the duplicate again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mercuri.core.contact import LinkState, PortalId, Record, RecordId, WorkspaceId
from mercuri.core.mapping import properties_to_ask, rules_for
from mercuri.core.settings import Direction
from mercuri.engine import consent, optout_push
from mercuri.engine.app import Actor, App, require
from mercuri.engine.fields import norm_for
from mercuri.engine.portal import client_for
from mercuri.engine.shadow import kept
from mercuri.errors import Clash, HubSpotError, NotThere, RateLimited, Unavailable
from mercuri.hubspot.client import Client
from mercuri.hubspot.errors import explain
from mercuri.hubspot.pacing import Lane
from mercuri.store import conflicts, contacts, hubspot_merges, links, merges, outbox, portals, users, workspaces
from mercuri.store.conflicts import Conflict
from mercuri.store.contacts import Held
from mercuri.store.database import Tx
from mercuri.store.hubspot_merges import HubSpotMerge
from mercuri.store.merges import Merge
from mercuri.store.portals import Portal

#: How long a merge waits when HubSpot is away or its limit is used up.
_LATER = timedelta(minutes=15)
#: Longest time that one worker has for it; then it is dead, and another one goes on.
_AT_MOST = timedelta(minutes=10)
_OFF = "its portal is not connected, or two-way sync is off."
_CANCELLED = "Cancelled: HubSpot keeps its records apart."
_FAILED = "Not merged in HubSpot: {why} The records stay apart there; here the contacts are merged."


def hubspot_merges_due(app: App, ws: WorkspaceId) -> int:
    """Do the merges whose hold is over, each portal by itself; returns how many were made."""
    with app.db.read(ws) as tx:
        due = hubspot_merges.due(tx, app.now())
    return sum(_do(app, ws, merge, portal) for merge, portal in due)


def decide_in_hubspot(
    app: App, ws: WorkspaceId, merge_id: int, action: str, actor: Actor, *, portal: PortalId | None = None
) -> Merge:
    """Make a held merge in HubSpot `now`, or `cancel` it: the records stay apart there.

    In one portal, or in all that wait. Raises Clash when none does.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        merge = merges.get(tx, merge_id, lock=True)
        known = hubspot_merges.of_merges(tx, [merge_id], lock=True).get(merge_id, [])
        waiting = [one for one in known if one.state in ("held", "failed") and portal in (None, one.portal)]
        if merge.undone_at is not None or not waiting:
            raise Clash("No merge in HubSpot is waiting here. Nothing was changed.")
        for one in waiting:
            changed = replace(one, state="held", until=app.now()) if action != "cancel" else _ended(one, _CANCELLED)
            hubspot_merges.save(tx, merge_id, changed)
        users.note_audit(tx, actor.name, f"merge.hubspot_{action}", {"merge": merge_id}, app.now())
    if action != "cancel":
        for one in waiting:
            _do(app, ws, merge_id, one.portal)
    with app.db.read(ws) as tx:
        return merges.get(tx, merge_id)


def cancel_waiting(tx: Tx, merge: Merge) -> None:
    """Let nothing more of a merge happen in HubSpot, since it is taken back here. Raises Clash while it happens."""
    for one in hubspot_merges.of_merges(tx, [merge.id], lock=True).get(merge.id, []):
        if one.state == "merging":
            raise Clash("HubSpot is just merging these records. Nothing was undone; try again in a moment.")
        if one.state == "held":
            hubspot_merges.save(tx, merge.id, _ended(one, "The merge was taken back before HubSpot's was made."))


def _ended(one: HubSpotMerge, note: str) -> HubSpotMerge:
    return replace(one, state="cancelled", until=None, note=note)


def _do(app: App, ws: WorkspaceId, merge_id: int, portal_id: PortalId) -> bool:
    """Make one merge in one portal, pair by pair; each pair is stored before the next begins."""
    with app.db.write(ws) as tx:
        merge, portal = merges.get(tx, merge_id, lock=True), portals.get(tx, portal_id)
        found = hubspot_merges.of_merges(tx, [merge_id], lock=True).get(merge_id, [])
        item = next((one for one in found if one.portal == portal_id), None)
        if item is None or item.state not in ("held", "merging") or item.until is None or item.until > app.now():
            return False
        item = replace(item, state="merging", until=app.now() + _AT_MOST)
        hubspot_merges.save(tx, merge_id, item)
    if portal.state != "connected" or not portal.settings.two_way:
        return _end(app, ws, merge, item, "failed", _FAILED.format(why=_OFF))
    try:
        client = client_for(app, ws, portal, Lane.BUTTON)
        while item.others:
            item = _pair(app, ws, merge, portal, client, item)
    except (RateLimited, Unavailable):
        return _end(app, ws, merge, item, "held", "HubSpot is busy; tried again.", app.now() + _LATER)
    except HubSpotError as error:
        return _end(app, ws, merge, item, "failed", _FAILED.format(why=explain(error).message))
    optout_push.push_outs(app, ws, portal_id)
    _end(app, ws, merge, item, "done", "")
    app.wake()
    return True


def _end(
    app: App, ws: WorkspaceId, merge: Merge, item: HubSpotMerge, state: str, note: str, until: datetime | None = None
) -> bool:
    with app.db.write(ws) as tx:
        hubspot_merges.save(tx, merge.id, replace(item, state=state, note=note, until=until))
    return False


def _pair(app: App, ws: WorkspaceId, merge: Merge, portal: Portal, client: Client, item: HubSpotMerge) -> HubSpotMerge:
    """Merge the next record into the primary one; one that a lost answer hid is seen by looking first."""
    ask = properties_to_ask(portal.settings)
    other = item.others[0]
    here = client.read(item.primary, ask)
    try:
        there = client.read(other, ask)
    except NotThere:
        there = None
    if there is not None and there.id != here.id:
        own = {name: value for name, value in here.properties.items() if value}
        _keep_outvoted(app, ws, merge, portal, there, replace(here, properties={**there.properties, **own}))
        merged = client.merge(here.id, there.id)
        # What HubSpot made of the values is not to be foretold: it is read.
        here = client.read(merged.id, ask)
        _keep_outvoted(app, ws, merge, portal, there, here)
    done = replace(item, primary=here.id, others=item.others[1:], until=app.now() + _AT_MOST)
    with app.db.write(ws) as tx:
        _follow(tx, portal.id, item.primary, other, here, app.now())
        hubspot_merges.save(tx, merge.id, done)
        outbox.note_contacts(tx, [merge.survivor], app.now())
        consent.contacts_changed(tx, [merge.survivor], app.now())
    return done


def _keep_outvoted(app: App, ws: WorkspaceId, merge: Merge, portal: Portal, other: Record, stays: Record) -> None:
    """Keep what somebody typed into the other record in HubSpot during the hold, and what does not stay.

    Before the merge, by what is likely to stay, since its answer may be lost; and after it.
    """
    with app.db.write(ws) as tx:
        link = links.of_records(tx, portal.id, [other.id]).get(other.id)
        held = contacts.held(tx, [merge.survivor]).get(merge.survivor)
        if link is None or held is None:
            return
        rules = rules_for(portal.settings, portal.settings.mapping, norm_for(workspaces.settings(tx).default_region))
        kept_already = {(one.field, one.remote) for one in conflicts.of_contact(tx, held.id)}
        for item in portal.settings.mapping:
            norm, value = rules[item.field].norm, other.properties.get(item.property, "")
            sides = (link.shadow.get(item.property), stays.properties.get(item.property), held.fields.get(item.field))
            is_known = norm(value) in {"", *(norm(text or "") for text in sides)}
            # Of e-mails HubSpot loses none: the other record's become further ones.
            is_kept = is_known or item.property == "email" or (item.field, value) in kept_already
            if not is_kept and item.direction is not Direction.OUT:
                conflicts.add_many(
                    tx, [_lost(portal.id, stays.id, held, item.field, value, other.updated_at, app.now())]
                )


def _lost(
    portal: PortalId, record: RecordId, held: Held, name: str, value: str, typed_at: datetime | None, at: datetime
) -> Conflict:
    origin = held.origins.get(name)
    return Conflict(
        portal,
        record,
        held.id,
        name,
        local=held.fields.get(name, ""),
        remote=value,
        state="decided",
        at=at,
        local_at=origin.at if origin else None,
        local_by=held.author(name),
        remote_at=typed_at,
        remote_by="HubSpot",
        resolution="mercuri",
    )


def _follow(tx: Tx, portal: PortalId, primary: RecordId, other: RecordId, now: Record, at: datetime) -> None:
    """The kept link goes to the record that remains, with what HubSpot shows now; the others are aliases of it."""
    known = links.of_records(tx, portal, [primary, other, now.id], lock=True)
    if primary in known and now.id != primary:
        links.remove(tx, portal, [now.id])
        links.repoint(tx, portal, primary, now.id, at)
    if other in known and other != now.id:
        links.remove(tx, portal, [other])
        links.add_alias(tx, portal, other, now.id, at)
    link = links.of_records(tx, portal, [now.id], lock=True).get(now.id)
    if link is not None:
        seen = replace(link, state=LinkState.LIVE, shadow=kept(now.properties), remote_at=now.updated_at, seen_at=at)
        links.save_many(tx, portal, [replace(seen, archived_at=None, excluded="")])
