"""Hints that were taken in, looked at soon after.

The look is a run of its own, so that what it changes can be seen and undone like any other change.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.engine import run
from mercuri.engine.app import SYSTEM, App
from mercuri.errors import Clash
from mercuri.store import outbox, portals, runs
from mercuri.store.database import Tx

#: How long hints wait after a look that failed, or that somebody stopped.
_AFTER_A_FAILURE = timedelta(minutes=10)


def look(app: App, ws: WorkspaceId) -> None:
    """Ask for a run in every portal that has hinted records to look at; a run under way is waited for.

    A hint begins no first load, and after a look that did not succeed the next one waits for a while.
    """
    now = app.now()
    with app.db.read(ws) as tx:
        waiting = outbox.looked_for(tx, now)
        known = [portal for portal in portals.all(tx) if portal.state == "connected" and portal.id in waiting]
        ready = [portal.id for portal in known if portal.watermark and not _has_failed(tx, portal.id, now)]
    for portal_id in ready:
        try:
            run.request(app, ws, portal_id, trigger="webhook", actor=SYSTEM)
        except Clash:
            # The hints wait in the outbox; the next look comes in a moment.
            continue


def _has_failed(tx: Tx, portal: PortalId, now: datetime) -> bool:
    last = next(iter(runs.recent(tx, portal, limit=1)), None)
    if last is None or last.trigger != "webhook" or last.ended_at is None:
        return False
    return last.state != "done" and now - last.ended_at < _AFTER_A_FAILURE
