"""HubSpot's hints that something happened to a record: noted when they come, looked at soon after.

A hint is a reason to look, never a value to take. Noting costs one transaction and no request; the look is a run of its
own, so that what it changes can be seen and undone like any other change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mercuri.core.contact import PortalId, RecordId, WorkspaceId
from mercuri.engine import run
from mercuri.engine.app import SYSTEM, App
from mercuri.errors import Clash
from mercuri.hubspot.webhooks import Hint, HintKind
from mercuri.store import outbox, portals, runs
from mercuri.store.database import ANY, Tx

#: How often the last hint's time is written down; it is shown as a light, not as a protocol.
_SHOWN_EVERY = timedelta(seconds=10)
#: How long hints wait after a look that failed, or that somebody stopped.
_AFTER_A_FAILURE = timedelta(minutes=10)


def note(app: App, hints: Iterable[Hint]) -> int:
    """Note the records that hints name, in every workspace that has their portal; how many hints concerned one.

    Hints about portals that nobody here has connected are left out.
    """
    by_portal: dict[PortalId, list[Hint]] = {}
    for hint in hints:
        by_portal.setdefault(PortalId(hint.portal_id), []).append(hint)
    noted = 0
    for portal, its in by_portal.items():
        with app.db.read(ANY) as tx:
            workspaces = portals.everywhere(tx, portal)
        for ws in workspaces:
            with app.db.write(ws) as tx:
                note_in(tx, portal, its, app.now())
        noted += len(its) if workspaces else 0
    if noted:
        app.wake()
    return noted


def note_in(tx: Tx, portal: PortalId, hints: Iterable[Hint], now: datetime) -> None:
    """Note the records that hints name, in the transaction of one workspace that has their portal."""
    outbox.note_looks(tx, portal, _records(hints), now)
    before = portals.get(tx, portal).hint_at
    if before is None or now - before >= _SHOWN_EVERY:
        portals.save(tx, portal, hint_at=now)


def _records(hints: Iterable[Hint]) -> Mapping[RecordId, bool]:
    """Every record that is named, and whether one of the hints told of its privacy deletion."""
    named: dict[RecordId, bool] = {}
    for hint in hints:
        for record in hint.record_ids():
            named[record] = named.get(record, False) or hint.kind is HintKind.ERASED
    return named


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
