"""What a portal allows us in a day: how much of it is used, and waiting where there is nothing left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.engine.app import App
from mercuri.engine.portal import pacer_of
from mercuri.errors import RateLimited
from mercuri.hubspot.pacing import Lane
from mercuri.store import portals, runs
from mercuri.store.database import Tx
from mercuri.store.portals import Portal
from mercuri.store.runs import Run

#: HubSpot's status for an account that is being moved to another data centre.
_MOVING = 477
_PARKED = "HubSpot takes no more requests of ours for now. The run begins by itself when it does."


def is_sweeps_part(error: RateLimited, lane: Lane) -> bool:
    """Whether only the sweep's part of the day is used up: everybody else may go on."""
    return error.daily and error.status == 0 and lane is Lane.SWEEP


def park(app: App, ws: WorkspaceId, portal_id: PortalId, error: RateLimited, until: datetime) -> None:
    """Let no run of a portal begin before `until`, where HubSpot's limit concerns more than the moment."""
    if error.daily or error.status == _MOVING:
        with app.db.write(ws) as tx:
            portals.save(tx, portal_id, parked_until=until)


def hold_back(tx: Tx, portal: Portal, made: Run, now: datetime) -> Run:
    """A run that was just asked for; one of a parked portal waits until it may begin."""
    if portal.parked_until is None or portal.parked_until <= now:
        return made
    runs.save(tx, made.id, state="waiting", resume_at=portal.parked_until, message=_PARKED)
    return runs.get(tx, made.id)


def note_usage(
    app: App, ws: WorkspaceId, portal_id: PortalId, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Remember for display what the portal's budget says, and how many requests its runs made in its day.

    `before` and `after` are the requests of one run by kind. HubSpot's own numbers are None where it states none.
    """
    with app.db.write(ws) as tx:
        portal = portals.get(tx, portal_id)
        used, now = pacer_of(app, ws, portal).used(), app.now()
        day = now.astimezone(ZoneInfo(str(portal.account.get("time_zone") or "UTC"))).date().isoformat()
        earlier = int(portal.usage.get("requests", 0)) if portal.usage.get("day") == day else 0
        usage = {
            "at": now.isoformat(),
            "day": day,
            "requests": earlier + _requests(after) - _requests(before),
            "daily_used": used.daily_used,
            "daily_limit": used.daily_limit,
        }
        portals.save(tx, portal_id, usage=usage)


def _requests(calls: Mapping[str, int]) -> int:
    return sum(number for kind, number in calls.items() if kind != "throttled")
