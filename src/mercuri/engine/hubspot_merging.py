"""Merges in HubSpot, once their hold is over: pairwise, read back, opt-outs said again last. They are for good there.

What HubSpot refuses changes nothing here: the merge stands, its other record stays a known one, so that no sync makes
the duplicate again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mercuri.core.contact import LinkState, PortalId, Record, RecordId, WorkspaceId
from mercuri.core.mapping import properties_to_ask
from mercuri.engine import consent, optout_push
from mercuri.engine.app import Actor, App, require
from mercuri.engine.portal import client_for
from mercuri.engine.shadow import kept
from mercuri.errors import Clash, HubSpotError, NotThere, RateLimited, Unavailable
from mercuri.hubspot.client import Client
from mercuri.hubspot.errors import explain
from mercuri.hubspot.pacing import Lane
from mercuri.store import links, merges, outbox, portals, users
from mercuri.store.database import Tx
from mercuri.store.merges import Merge
from mercuri.store.portals import Portal

#: How long a merge waits when HubSpot is away or its limit is used up.
_LATER = timedelta(minutes=15)
_FAILED = "Not merged in HubSpot: {why} The records stay apart there; here the contacts are merged."


def hubspot_merges_due(app: App, ws: WorkspaceId) -> int:
    """Do the merges whose hold is over; returns how many were made in HubSpot."""
    with app.db.read(ws) as tx:
        due = merges.held(tx, app.now())
    return sum(_do(app, ws, one) for one in due)


def decide_in_hubspot(app: App, ws: WorkspaceId, merge_id: int, action: str, actor: Actor) -> Merge:
    """Make a held merge in HubSpot `now`, or `cancel` it: the records stay apart there. Raises Clash when not held."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        merge = merges.get(tx, merge_id, lock=True)
        if merge.undone_at is not None or merge.hubspot_state not in ("held", "failed"):
            raise Clash("No merge in HubSpot is waiting here. Nothing was changed.")
        if action == "cancel":
            merges.set_hubspot(tx, merge_id, "cancelled", note="Cancelled: HubSpot keeps its records apart.")
        else:
            merges.set_hubspot(tx, merge_id, "held", until=app.now())
        users.note_audit(tx, actor.name, f"merge.hubspot_{action}", {"merge": merge_id}, app.now())
        merge = merges.get(tx, merge_id)
    if action != "cancel":
        _do(app, ws, merge)
        with app.db.read(ws) as tx:
            merge = merges.get(tx, merge_id)
    return merge


def _do(app: App, ws: WorkspaceId, merge: Merge) -> bool:
    """Make one merge in HubSpot, pair by pair; each pair is stored before the next begins."""
    journal = dict(merge.journal)
    for wanted in journal["hubspot"]:
        with app.db.read(ws) as tx:
            portal = portals.get(tx, PortalId(wanted["portal"]))
        if portal.state != "connected" or not portal.settings.two_way:
            return _end(app, ws, merge, "failed", "its portal is not connected, or two-way sync is off.")
        client = client_for(app, ws, portal, Lane.BUTTON)
        try:
            while wanted["others"]:
                _pair(app, ws, merge, portal, client, wanted, journal)
        except (RateLimited, Unavailable):
            with app.db.write(ws) as tx:
                merges.set_hubspot(tx, merge.id, "held", until=app.now() + _LATER, note="HubSpot is busy; tried again.")
            return False
        except HubSpotError as error:
            return _end(app, ws, merge, "failed", explain(error).message)
        optout_push.push_outs(app, ws, portal.id)
    with app.db.write(ws) as tx:
        merges.set_hubspot(tx, merge.id, "done")
    app.wake()
    return True


def _end(app: App, ws: WorkspaceId, merge: Merge, state: str, why: str) -> bool:
    with app.db.write(ws) as tx:
        merges.set_hubspot(tx, merge.id, state, note=_FAILED.format(why=why))
    return False


def _pair(
    app: App,
    ws: WorkspaceId,
    merge: Merge,
    portal: Portal,
    client: Client,
    wanted: dict[str, Any],
    journal: Mapping[str, Any],
) -> None:
    """Merge the next record into the primary one; one that a lost answer hid is seen by looking first."""
    ask = properties_to_ask(portal.settings)
    primary, other = RecordId(wanted["primary"]), RecordId(wanted["others"][0])
    here = client.read(primary, ask)
    try:
        there = client.read(other, ask)
    except NotThere:
        there = None
    if there is not None and there.id != here.id:
        merged = client.merge(here.id, there.id)
        # What HubSpot made of the values is not to be foretold: it is read.
        here = client.read(merged.id, ask)
    wanted["primary"] = here.id
    wanted["others"] = wanted["others"][1:]
    with app.db.write(ws) as tx:
        _follow(tx, portal.id, primary, other, here, app.now())
        merges.set_hubspot(tx, merge.id, "held", until=app.now(), journal=journal)
        outbox.note_contacts(tx, [merge.survivor], app.now())
        consent.contacts_changed(tx, [merge.survivor], app.now())


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
