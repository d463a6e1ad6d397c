"""HubSpot's hints that something happened to a record, on their way into the tables.

A hint is a reason to look, never a value to take. Taking one in costs one write and no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from mercuri.core.contact import PortalId, RecordId
from mercuri.engine.app import App
from mercuri.hubspot.webhooks import Hint, HintKind
from mercuri.store import outbox, portals
from mercuri.store.database import ANY, Tx

#: How often the last hint's time is written down; it is shown as a light, not as a protocol.
_SHOWN_EVERY = timedelta(seconds=10)


def accept(app: App, hints: Iterable[Hint]) -> int:
    """Keep the records that hints name, for every workspace that has their portal; how many hints concerned one.

    Hints about portals that nobody here has connected are left out. Once this returns nothing is lost, whatever happens
    to the process. With SQLite the records wait beside the database for `take_in`, so that a load holds up no call.
    """
    by_portal: dict[PortalId, list[Hint]] = {}
    for hint in hints:
        by_portal.setdefault(PortalId(hint.portal_id), []).append(hint)
    with app.db.read(ANY) as tx:
        known = {portal: its for portal, its in by_portal.items() if portals.everywhere(tx, portal)}
    for portal, its in known.items():
        if app.db.inbox is None:
            _store(app, portal, _records(its), app.now())
        else:
            app.db.inbox.put({"portal": portal, "records": _records(its), "at": app.now().isoformat()})
    if known:
        app.wake()
    return sum(map(len, known.values()))


def take_in(app: App) -> None:
    """Store what waits beside the database. What is stored twice, after a crash in between, is one hint."""
    while app.db.inbox is not None and (waiting := app.db.inbox.first()):
        for _, body in waiting:
            _take(app, body)
        app.db.inbox.drop([number for number, _ in waiting])


def note(tx: Tx, portal: PortalId, hints: Iterable[Hint], at: datetime) -> None:
    """Note the records that hints name as records to look at."""
    _note(tx, portal, _records(hints), at)


def _take(app: App, body: Mapping[str, Any]) -> None:
    records = {RecordId(record): bool(erased) for record, erased in body["records"].items()}
    _store(app, PortalId(body["portal"]), records, datetime.fromisoformat(body["at"]))


def _store(app: App, portal: PortalId, records: Mapping[RecordId, bool], at: datetime) -> None:
    with app.db.read(ANY) as tx:
        workspaces = portals.everywhere(tx, portal)
    for ws in workspaces:
        with app.db.write(ws) as tx:
            _note(tx, portal, records, at)


def _note(tx: Tx, portal: PortalId, records: Mapping[RecordId, bool], at: datetime) -> None:
    outbox.note_looks(tx, portal, records, at)
    before = portals.get(tx, portal).hint_at
    if before is None or at - before >= _SHOWN_EVERY:
        portals.save(tx, portal, hint_at=at)


def _records(hints: Iterable[Hint]) -> dict[RecordId, bool]:
    """Every record that is named, and whether one of the hints told of its privacy deletion."""
    named: dict[RecordId, bool] = {}
    for hint in hints:
        for record in hint.record_ids():
            named[record] = named.get(record, False) or hint.kind is HintKind.ERASED
    return named
