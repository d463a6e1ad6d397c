"""Settings, Connection: the portals, their health, and the ways to connect one."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import RedirectResponse, Response

from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.engine import journal
from mercuri.engine import portal as engine_portal
from mercuri.errors import HubSpotError, UserError
from mercuri.hubspot.oauth import OPTIONAL_SCOPES, SCOPES
from mercuri.store import failures, links, portals, runs, users
from mercuri.store.portals import Portal
from mercuri.store.runs import Run
from mercuri.web import auth, render
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.services import app_of, may_edit, services_of

router = APIRouter()

PortalPath = Annotated[str, Path(max_length=50)]
Sent = Annotated[Form, Depends(sent)]
_STATE = "oauth_state"
#: After how long without a look into the journal something is wrong with us.
_STALE = timedelta(minutes=15)
#: What does not work without a scope.
NEEDED_FOR = {
    "oauth": "connecting at all",
    "crm.objects.contacts.read": "reading contacts",
    "crm.objects.contacts.write": "two-way sync, and opt-outs reaching HubSpot",
    "crm.schemas.contacts.read": "the list of properties to map",
    "crm.schemas.contacts.write": "our own id on each record, so that people without an e-mail are created once",
    "communication_preferences.read_write": "unsubscribing e-mail addresses in HubSpot",
}


@dataclass(frozen=True, slots=True)
class PortalShown:
    """A portal with what a person wants to know of its health."""

    portal: Portal
    missing: Sequence[tuple[str, str]]
    last: Run | None
    linked: int
    failing: int
    parked_until: datetime | None  # None once it is over
    journal: Light


@dataclass(frozen=True, slots=True)
class Light:
    """How something does, in a word with a tone, and a sentence that may end in a moment."""

    word: str
    tone: str
    about: str
    at: datetime | None = None


@router.get("/settings")
def show(request: Request, viewer: Viewer) -> Response:
    """The portals of the workspace."""
    return _page(request, viewer.workspace)


def _page(request: Request, ws: WorkspaceId, problem: str = "") -> Response:
    now = app_of(request).now()
    with app_of(request).db.read(ws) as tx:
        shown = [
            PortalShown(
                portal,
                _missing(portal),
                next(iter(runs.recent(tx, portal.id, "done", limit=1)), None),
                links.count(tx, portal.id),
                len(failures.recent(tx, portal=portal.id, limit=1000)),
                portal.parked_until if portal.parked_until and portal.parked_until > now else None,
                journal_light(portal, now),
            )
            for portal in portals.all(tx)
        ]
    return render.page(
        request,
        "settings/connection.html",
        status=422 if problem else 200,
        section="settings",
        portals=shown,
        problem=problem,
        has_app=bool(services_of(request).settings.hubspot_client_id),
        redirect=services_of(request).settings.redirect_uri,
        may_edit=may_edit(request),
    )


def journal_light(portal: Portal, now: datetime) -> Light:
    """How the reading of HubSpot's journal does."""
    read_at = portal.journal.get("read_at")
    at = datetime.fromisoformat(read_at) if read_at else None
    if portal.journal.get("problem"):
        return Light("not read", "bad", f"{portal.journal['problem']} It is tried again every few minutes.")
    if journal.gap_at(portal):
        return Light("gap", "warn", f"{journal.GAP} It was read again", at)
    if at is None:
        return Light("waiting", "", "It is read once the first sync is done and a worker runs.")
    if now - at > _STALE:
        return Light("not read", "bad", "No worker reads it; start one. It was last read", at)
    return Light("read", "good", "last", at)


def _missing(portal: Portal) -> list[tuple[str, str]]:
    """Scopes that were not granted, and what each is needed for; nothing when the grant is not known."""
    wanted = SCOPES + OPTIONAL_SCOPES
    return [(scope, NEEDED_FOR[scope]) for scope in wanted if portal.scopes and scope not in portal.scopes]


@router.post("/settings/connect")
def connect_token(request: Request, manager: Manager, form: Sent) -> Response:
    """Connect the portal of a static token."""
    try:
        portal = engine_portal.connect_static(
            app_of(request), manager.workspace, form.get("token", ""), actor_of(manager)
        )
    except (UserError, HubSpotError) as error:
        return _page(request, manager.workspace, error.message)
    return _connected(request, portal)


def _connected(request: Request, portal: Portal) -> Response:
    response = render.see_other(request, "/settings/mapping")
    return render.toast(request, response, f"{portal.name} is connected. Look at the mapping, then sync.")


@router.get("/oauth/hubspot")
def begin(request: Request, manager: Manager) -> Response:
    """Send the person to HubSpot, with a state that only this session knows."""
    state = secrets.token_urlsafe(24)
    address = engine_portal.authorize_url(app_of(request), state)
    with app_of(request).db.write(manager.workspace) as tx:
        users.save_session_data(tx, request.cookies[auth.COOKIE], {**manager.data, _STATE: state})
    return RedirectResponse(address, 303)


@router.get("/oauth/hubspot/callback")
def come_back(
    request: Request,
    manager: Manager,
    code: str = "",
    state: str = "",
    error: str = "",
    error_description: str = "",
) -> Response:
    """Where HubSpot sends the person: connect the portal, or say what HubSpot said."""
    expected = str(manager.data.get(_STATE, ""))
    with app_of(request).db.write(manager.workspace) as tx:
        kept = {key: value for key, value in manager.data.items() if key != _STATE}
        users.save_session_data(tx, request.cookies[auth.COOKIE], kept)
    if not expected or not hmac.compare_digest(state.encode(), expected.encode()):
        said = "This answer of HubSpot's does not belong to a connection that you began here. Nothing was connected."
        return _page(request, manager.workspace, f"{said} Press Connect HubSpot again.")
    if error or not code:
        said = error_description or error or "it sent no code"
        return _page(request, manager.workspace, f"HubSpot did not connect the account: {said}. Nothing was changed.")
    try:
        portal = engine_portal.connect_code(app_of(request), manager.workspace, code, actor_of(manager))
    except (UserError, HubSpotError) as refusal:
        return _page(request, manager.workspace, refusal.message)
    return _connected(request, portal)


@router.post("/settings/portals/{portal_id}/disconnect")
def disconnect(request: Request, manager: Manager, portal_id: PortalPath) -> Response:
    """Forget the tokens; contacts, links and settings stay."""
    engine_portal.disconnect(app_of(request), manager.workspace, PortalId(portal_id), actor_of(manager))
    said = "The account is disconnected. Contacts and settings are kept; connecting it again goes on from there."
    return render.toast(request, render.see_other(request, "/settings"), said)
