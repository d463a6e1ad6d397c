"""What to do first, after the owner was created: connect, look at the mapping, sync."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from mercuri.store import portals, runs
from mercuri.web import render
from mercuri.web.auth import Viewer
from mercuri.web.services import app_of

router = APIRouter()


@router.get("/welcome")
def show(request: Request, viewer: Viewer) -> HTMLResponse:
    """The three steps, with those marked that are done."""
    with app_of(request).db.read(viewer.workspace) as tx:
        is_connected = any(portal.state == "connected" for portal in portals.all(tx))
        has_run = bool(runs.recent(tx, limit=1))
    steps = (
        (
            is_connected,
            "Connect HubSpot",
            "With your HubSpot login, with an access token, or with the built-in sandbox to try things out.",
            "Connect",
            "/settings",
        ),
        (
            False,
            "Look at the mapping",
            "First name, last name, phone and e-mail are mapped; add the properties that you need, and the opt-ins.",
            "Open the mapping",
            "/settings/mapping",
        ),
        (
            has_run,
            "Sync for the first time",
            "Nothing is written to HubSpot until you turn two-way sync on.",
            "Go to Sync Contacts",
            "/contacts",
        ),
    )
    return render.page(request, "welcome.html", steps=steps)
