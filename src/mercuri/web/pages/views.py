"""Saved views: lists of contacts under a name, of one person or of everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, Response

from mercuri.engine.app import require
from mercuri.store import pages, views
from mercuri.store.database import Tx
from mercuri.store.users import Identity
from mercuri.store.views import View
from mercuri.web import render, words
from mercuri.web.auth import Form, Viewer, actor_of, sent
from mercuri.web.pages import contact_query
from mercuri.web.services import app_of

router = APIRouter()
ViewPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]


@dataclass(frozen=True, slots=True)
class Menu:
    """The views that a person may choose from, the one that is shown, and the one that Contacts opens with."""

    views: Sequence[View]
    current: View | None
    first: View | None


def menu(tx: Tx, viewer: Identity, query: str) -> Menu:
    """The menu over a list with this query."""
    known = views.visible(tx, _person(viewer))
    current = next((view for view in known if view.query == query), None)
    return Menu(known, current, views.first(tx, _person(viewer)))


def home(tx: Tx, viewer: Identity) -> str:
    """Where Contacts leads this person."""
    first = views.first(tx, _person(viewer))
    return f"/contacts?{first.query}" if first else "/contacts"


@router.post("/views")
def save(request: Request, viewer: Viewer, form: Sent) -> Response:
    """Keep the list that is shown under a name; for everybody only by a manager."""
    shared = bool(form.get("shared"))
    if shared:
        require(actor_of(viewer), "manager")
    asked = contact_query.read(dict(parse_qsl(form.get("query", ""))))
    with app_of(request).db.write(viewer.workspace) as tx:
        view = views.save(tx, _person(viewer), form.get("name", ""), asked.text, shared=shared)
    return render.toast(request, render.see_other(request, asked.address()), f"Saved as {view.name}.")


@router.post("/views/{view_id}/delete")
def delete(request: Request, viewer: Viewer, view_id: ViewPath) -> Response:
    """Forget a view; one of everybody's only by a manager."""
    with app_of(request).db.write(viewer.workspace) as tx:
        view = views.get(tx, _person(viewer), view_id)
        if view.is_shared:
            require(actor_of(viewer), "manager")
        views.remove(tx, view.id)
    return render.toast(request, render.see_other(request, "/contacts"), f"The view {view.name} is gone.")


@router.post("/views/first")
def open_first(request: Request, viewer: Viewer, form: Sent) -> Response:
    """Let Contacts open with a view, or with all contacts again."""
    wanted = form.get("view", "")
    with app_of(request).db.write(viewer.workspace) as tx:
        view = next((one for one in views.visible(tx, _person(viewer)) if str(one.id) == wanted), None)
        views.set_first(tx, _person(viewer), view.id if view else None)
    said = f"Contacts opens with {view.name if view else 'all contacts'} from now on."
    return render.toast(request, render.see_other(request, f"/contacts?{view.query}" if view else "/contacts"), said)


@router.get("/views/{view_id}/count")
def count(request: Request, viewer: Viewer, view_id: ViewPath) -> HTMLResponse:
    """How many contacts a view shows, asked for once its menu is open."""
    app = app_of(request)
    with app.db.read(viewer.workspace) as tx:
        view = views.get(tx, _person(viewer), view_id)
        found = pages.page(tx, contact_query.read(dict(parse_qsl(view.query))).query(app.now()))
    return HTMLResponse(words.at_least(found.total, found.total_is_exact))


def _person(viewer: Identity) -> int:
    assert viewer.user_id is not None, "pages are for people"
    return viewer.user_id
