"""Conflicts: fields that both sides changed, for a person to settle; and those that a rule decided."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.engine import edit
from mercuri.engine.app import Actor, App
from mercuri.engine.resolve import resolve_conflict
from mercuri.errors import Clash, UserError
from mercuri.store import conflicts
from mercuri.store.conflicts import Conflict
from mercuri.web import render, words
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.pages.naming import contact_names, field_kinds
from mercuri.web.services import app_of, may_edit

router = APIRouter()

ConflictPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]
PAGE = 50
#: How many alike are settled by one press.
AT_ONCE = 1000
TABS = (("open", "Waiting for you"), ("decided", "Decided by a rule"), ("resolved", "Settled"))


@router.get("/conflicts")
def index(
    request: Request,
    viewer: Viewer,
    state: str = "open",
    before: Annotated[int | None, Query(ge=1)] = None,
    contact: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Conflicts in one state, newest first; those of one contact when one is named."""
    wanted = state if state in dict(TABS) else "open"
    with app_of(request).db.read(viewer.workspace) as tx:
        if contact is None:
            found = conflicts.recent(tx, state=wanted, before=before, limit=PAGE + 1)
        else:
            found = [one for one in conflicts.of_contact(tx, ContactId(contact)) if one.state == wanted]
        names = contact_names(tx, {one.contact_id for one in found})
        waiting, kinds = conflicts.count_open(tx), field_kinds(tx)
    more = f"/conflicts?state={wanted}&before={found[PAGE - 1].id}" if len(found) > PAGE else None
    template = "parts/conflict_rows.html" if render.is_htmx(request) and before else "conflicts.html"
    return render.page(
        request,
        template,
        section="conflicts",
        conflicts=found[:PAGE],
        names=names,
        kinds=kinds,
        more_href=more,
        state=wanted,
        fields=[(name, words.field_name(name)) for name in sorted({conflict.field for conflict in found})],
        tabs=[
            (text, f"/conflicts?state={key}", waiting if key == "open" else None, key == wanted) for key, text in TABS
        ],
        may_edit=may_edit(request),
    )


@router.post("/conflicts/{conflict_id}")
def settle(request: Request, manager: Manager, conflict_id: ConflictPath, form: Sent) -> Response:
    """Settle one conflict: HubSpot's value, ours, or one that was typed."""
    take = form.get("take", "")
    value = form.get("value", "").strip() if take == "other" else None
    resolve_conflict(app_of(request), manager.workspace, conflict_id, take, actor_of(manager), value)
    return render.toast(request, render.see_other(request, "/conflicts"), "The conflict was settled.")


@router.post("/conflicts")
def settle_alike(request: Request, manager: Manager, form: Sent) -> Response:
    """Settle every open conflict of one field the same way."""
    field, take = form.get("field", ""), form.get("take", "")
    if take not in ("hubspot", "mercuri"):
        raise UserError("Choose whose values to take. Nothing was changed.")
    app, actor = app_of(request), actor_of(manager)
    done = sum(_settled(app, manager.workspace, one, take, actor) for one in _alike(app, manager.workspace, field))
    whose = "HubSpot's" if take == "hubspot" else "Mercuri's"
    said = f"{words.counted(done, 'conflict')} of {words.field_name(field)} settled with {whose} values."
    return render.toast(request, render.see_other(request, "/conflicts"), said)


def _alike(app: App, ws: WorkspaceId, field: str) -> list[Conflict]:
    with app.db.read(ws) as tx:
        return [one for one in conflicts.recent(tx, limit=AT_ONCE) if one.field == field]


def _settled(app: App, ws: WorkspaceId, conflict: Conflict, take: str, actor: Actor) -> bool:
    """Whether it was still open; one that someone settled meanwhile stays as they chose."""
    try:
        resolve_conflict(app, ws, conflict.id, take, actor)
    except Clash:
        return False
    return True


@router.post("/conflicts/{conflict_id}/other")
def put_other_back(request: Request, manager: Manager, conflict_id: ConflictPath) -> Response:
    """Give the field the value that a rule let lose; with two-way on it goes to HubSpot with the next sync."""
    app = app_of(request)
    with app.db.read(manager.workspace) as tx:
        conflict = conflicts.get(tx, conflict_id)
    value = conflict.local if conflict.resolution == "hubspot" else conflict.remote
    edit.update_contact(app, manager.workspace, conflict.contact_id, {conflict.field: value}, actor_of(manager))
    response = render.see_other(request, f"/contacts/{conflict.contact_id}")
    return render.toast(request, response, f"{words.field_name(conflict.field)} has the other value again.")
