"""Settings, Rules: who wins, blanks, first match, deletions, brakes, the schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from mercuri.core.contact import PortalId
from mercuri.core.settings import SettingRefused
from mercuri.engine import portal as engine_portal
from mercuri.engine.schedule import next_time
from mercuri.errors import UserError
from mercuri.store import portals
from mercuri.store.portals import Portal
from mercuri.web import render
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.services import app_of, may_edit

router = APIRouter()

PortalPath = Annotated[str, Path(max_length=50)]
Sent = Annotated[Form, Depends(sent)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting with a few values: its key, its name, what it decides, and the values with their words."""

    key: str
    name: str
    about: str
    options: tuple[tuple[str, str], ...]


CHOICES = (
    Choice(
        "conflict_policy",
        "When both sides changed a field",
        "Used where the field has no rule of its own. The value that loses is kept on the Conflicts page.",
        (
            ("hubspot", "HubSpot wins"),
            ("mercuri", "Mercuri wins"),
            ("recent", "the most recent wins"),
            ("ask", "ask me"),
        ),
    ),
    Choice(
        "blanks",
        "When a value was erased on one side",
        "Keep: the other side keeps its value. Example: a phone deleted in HubSpot stays here.",
        (("keep", "keep the other side's value"), ("erase", "erase it on the other side too"), ("ask", "ask me")),
    ),
    Choice(
        "match_by",
        "How people are paired the first time",
        "Only ever one to one; who is ambiguous becomes a contact of their own and is shown among the duplicates.",
        (("email", "by e-mail"), ("email_phone", "by e-mail, then by phone"), ("none", "not at all")),
    ),
    Choice(
        "deletions",
        "When one side deletes a contact",
        "Keep: the other side stays as it is.",
        (("keep", "keep the other side"), ("archive", "archive it on the other side too"), ("ask", "ask me")),
    ),
)
NUMBERS = (
    ("delete_brake", "Stop a run that would archive more than (percent of the linked contacts)", 0, 100),
    ("burst_share", "Share of HubSpot's limits that syncs may use (percent)", 1, 100),
    ("hold_hours", "Hours that a merge waits before it is made in HubSpot too", 0, 720),
)


@router.get("/settings/rules")
def show(request: Request, viewer: Viewer, portal: str = "") -> Response:
    """The rules of one portal, the first one when none is named."""
    return _page(request, viewer, portal)


def _page(request: Request, viewer: Viewer, portal_id: str, problem: str = "") -> Response:
    with app_of(request).db.read(viewer.workspace) as tx:
        known = [one for one in portals.all(tx) if one.state != "disconnected"]
    chosen = next((one for one in known if one.id == portal_id), known[0] if known else None)
    return render.page(
        request,
        "settings/rules.html",
        status=422 if problem else 200,
        section="settings",
        portals=known,
        portal=chosen,
        choices=CHOICES,
        numbers=NUMBERS,
        values=_values(chosen),
        next_times=_next_times(chosen, app_of(request).now()),
        problem=problem,
        may_edit=may_edit(request),
    )


def _values(portal: Portal | None) -> dict[str, object]:
    if portal is None:
        return {}
    settings = portal.settings
    chosen = {choice.key: getattr(settings, choice.key).value for choice in CHOICES}
    others = {key: getattr(settings, key) for key in ("schedule", "journal", *(key for key, *_ in NUMBERS))}
    return {**chosen, **others}


def _next_times(portal: Portal | None, now: datetime) -> list[datetime]:
    """The next three times of the schedule."""
    times: list[datetime] = []
    while portal is not None and len(times) < 3:
        zone = str(portal.account.get("time_zone") or "UTC")
        following = next_time(portal.settings.schedule, times[-1] if times else now, zone)
        if following is None:
            break
        times.append(following)
    return times


@router.post("/settings/rules/{portal_id}")
def save(request: Request, manager: Manager, portal_id: PortalPath, form: Sent) -> Response:
    """Save all rules of a portal, or none."""
    values: dict[str, object] = {choice.key: form[choice.key] for choice in CHOICES if choice.key in form}
    try:
        values |= {key: _whole(form[key], name) for key, name, *_ in NUMBERS if key in form}
        values["schedule"] = form.get("schedule") or "off"
        values["journal"] = form.get("journal") == "on"
        engine_portal.change_settings(
            app_of(request), manager.workspace, PortalId(portal_id), values, actor_of(manager)
        )
    except (SettingRefused, UserError) as refusal:
        return _page(request, manager, portal_id, refusal.message)
    response = render.see_other(request, f"/settings/rules?portal={portal_id}")
    return render.toast(request, response, "The rules were saved.")


def _whole(text: str, name: str) -> int:
    if not text.strip().isdecimal() or len(text) > 9:
        raise UserError(f"“{name}” takes a whole number. Nothing was saved.")
    return int(text)
