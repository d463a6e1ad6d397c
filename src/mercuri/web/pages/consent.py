"""What a user may say about an address of a contact: out with one click, in with a reason, and is it a stop?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from mercuri.engine import consent
from mercuri.errors import UserError
from mercuri.web import render
from mercuri.web.auth import Form, Manager, actor_of, sent
from mercuri.web.services import app_of

router = APIRouter()

ContactPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]


@router.post("/contacts/{contact_id}/consent")
def act(request: Request, manager: Manager, contact_id: ContactPath, form: Sent) -> Response:
    """Record what the user decided about one address; it holds on every contact that has it."""
    return decide(request, manager, form, f"/contacts/{contact_id}#consent")


@router.post("/settings/subscription/decide")
def decide_pause(request: Request, manager: Manager, form: Sent) -> Response:
    """The same, from the list of messages that wait for a decision."""
    return decide(request, manager, form, "/settings/subscription#waiting")


def decide(request: Request, manager: Manager, form: Form, back: str) -> Response:
    """Record it and go back to where the button was."""
    app, ws, actor = app_of(request), manager.workspace, actor_of(manager)
    channel, address, reason = form.get("channel", ""), form.get("address", ""), form.get("reason", "").strip()
    match form.get("act"):
        case "out":
            consent.staff_out(app, ws, channel, address, actor, reason)
            said = "Opted out. HubSpot is told."
        case "in":
            consent.staff_in(app, ws, channel, address, actor, reason)
            said = "Opted in; the reason was kept."
        case "stop" | "resume" as word:
            consent.settle_pause(app, ws, channel, address, actor, is_stop=word == "stop", reason=reason)
            said = "Opted out. HubSpot is told." if word == "stop" else "Sending goes on."
        case _:
            raise UserError("Nobody said what to do. Nothing was recorded.")
    return render.toast(request, render.see_other(request, back), said)
