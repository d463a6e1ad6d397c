"""HubSpot's journal, where it cannot call us: its events become hints to look, in the order in which they stand there.

How far a portal's journal is read (`Portal.journal`) is stored in the transaction that stores the hints:

    offset          where the next file is asked for; absent: at the oldest that HubSpot keeps
    read_at         when nothing was left to read; HubSpot keeps events for three days from then
    properties      whose changes are written down, and `subscribed_at`, when that was last looked after
    gap_at          when it was noticed that events may be lost, and `gap_from`, since when: a full run finds them
    problem         why it could not be read, in plain words, and `next_at`, when it is tried again
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.core.mapping import properties_to_ask
from mercuri.core.settings import RESERVED
from mercuri.engine import inbox
from mercuri.engine.app import App
from mercuri.engine.portal import oauth_of
from mercuri.errors import AppError, BadRequest, HubSpotError, MissingScope, NotThere, Unauthorised, UserError
from mercuri.hubspot.journal import KEPT, SCOPES, File, Journal
from mercuri.hubspot.tokens import AppTokens
from mercuri.store import portals
from mercuri.store.database import Tx
from mercuri.store.portals import Portal

#: How long before HubSpot forgets an event we no longer rely on it.
_MARGIN = timedelta(hours=1)
#: How often subscriptions are looked after: a person can take them off in HubSpot.
_SUBSCRIBED_FOR = timedelta(days=1)
#: How long a journal that could not be read is left alone.
_AFTER_TROUBLE = timedelta(minutes=5)
#: Most files of one portal at a time, so that a long backlog keeps nobody waiting.
_MOST_FILES = 100

#: What is said of a gap until it is closed.
GAP = (
    "Events of HubSpot's journal may be lost: it was not read for three days, or HubSpot no longer knew the place. "
    "What happened in between is found by a full sync, which begins by itself."
)


def read(app: App, ws: WorkspaceId) -> None:
    """Read what is new in the journals that are turned on. As with webhooks, a portal's first load comes before."""
    with app.db.read(ws) as tx:
        known = portals.all(tx)
    for portal in known:
        if portal.state == "connected" and portal.settings.journal and portal.watermark is not None:
            _read_portal(app, ws, portal)


def gap_at(portal: Portal) -> datetime | None:
    """When it was noticed that events may be lost; None once a full run since then has found them."""
    noticed = _moment(portal.journal.get("gap_at"))
    if noticed is None or (portal.swept_at is not None and portal.swept_at > noticed):
        return None
    return noticed


def _read_portal(app: App, ws: WorkspaceId, portal: Portal) -> None:
    again = _moment(portal.journal.get("next_at"))
    if again is not None and app.now() < again:
        return
    try:
        journal = _journal(app, portal)
        _subscribe(app, ws, portal, journal)
        _read_files(app, ws, portal.id, journal)
    except (HubSpotError, UserError) as error:
        app.portals.forget_app_tokens()
        _note(app, ws, portal.id, problem=_in_words(error), next_at=_text(app.now() + _AFTER_TROUBLE))


def _journal(app: App, portal: Portal) -> Journal:
    tokens = app.portals.app_tokens(lambda: AppTokens(oauth_of(app), SCOPES, app.now))
    return Journal(app.http, app.settings.hubspot_api_url, tokens, portal=portal.id)


def _subscribe(app: App, ws: WorkspaceId, portal: Portal, journal: Journal) -> None:
    """Have HubSpot write down what we want to hear, when that is another thing now, and each day anew."""
    wanted = sorted(set(properties_to_ask(portal.settings)) - RESERVED)
    last = _moment(portal.journal.get("subscribed_at"))
    is_recent = last is not None and app.now() - last < _SUBSCRIBED_FOR
    if is_recent and portal.journal.get("properties") == wanted:
        return
    journal.subscribe(wanted)
    _note(app, ws, portal.id, properties=wanted, subscribed_at=_text(app.now()))


def _read_files(app: App, ws: WorkspaceId, portal: PortalId, journal: Journal) -> None:
    _look_for_gap(app, ws, portal)
    for _ in range(_MOST_FILES):
        with app.db.read(ws) as tx:
            offset = portals.get(tx, portal).journal.get("offset")
        file = _next_file(app, ws, portal, journal, offset)
        if file is None:
            _note(app, ws, portal, read_at=_text(app.now()), problem="", next_at=None)
            return
        with app.db.write(ws) as tx:
            # Another worker may have read it meanwhile.
            if portals.get(tx, portal).journal.get("offset") == offset:
                inbox.note(tx, portal, file.hints, app.now())
                _save(tx, portal, offset=file.offset)
    app.wake()


def _next_file(app: App, ws: WorkspaceId, portal: PortalId, journal: Journal, offset: str | None) -> File | None:
    try:
        return journal.next_file(offset)
    except (NotThere, BadRequest):
        if offset is None:
            raise
        _note_gap(app, ws, portal)
        return journal.next_file(None)


def _look_for_gap(app: App, ws: WorkspaceId, portal: PortalId) -> None:
    with app.db.read(ws) as tx:
        last = _moment(portals.get(tx, portal).journal.get("read_at"))
    if last is not None and app.now() - last > KEPT - _MARGIN:
        _note_gap(app, ws, portal)


def _note_gap(app: App, ws: WorkspaceId, portal: PortalId) -> None:
    """Begin at the oldest event again, and leave what came before to a full run."""
    with app.db.write(ws) as tx:
        since = portals.get(tx, portal).journal.get("read_at")
        _save(tx, portal, offset=None, read_at=_text(app.now()), gap_at=_text(app.now()), gap_from=since)


def _note(app: App, ws: WorkspaceId, portal: PortalId, **values: Any) -> None:
    with app.db.write(ws) as tx:
        _save(tx, portal, **values)


def _save(tx: Tx, portal: PortalId, **values: Any) -> None:
    now = {**portals.get(tx, portal).journal, **values}
    portals.save(tx, portal, journal={key: value for key, value in now.items() if value is not None})


def _in_words(error: AppError) -> str:
    if isinstance(error, Unauthorised):
        return "HubSpot does not accept our app's own token for the journal. Check the app's id and secret."
    if isinstance(error, MissingScope | BadRequest):
        return f"{error.message} To read the journal, the app needs {_listed(SCOPES)}, and to be installed there."
    return error.message


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _text(at: datetime) -> str:
    return at.isoformat()


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None
