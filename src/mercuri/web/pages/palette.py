"""Go anywhere by typing: pages, saved views and contacts. A window over each page (Cmd-K), and a page of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from mercuri.core.contact import Contact
from mercuri.store import pages, views
from mercuri.store.database import Tx
from mercuri.store.users import Identity
from mercuri.web import render
from mercuri.web.auth import Viewer
from mercuri.web.services import app_of, may_edit

router = APIRouter()

#: Most contacts that are offered.
_PEOPLE = 8
#: Icon, text and address of each page that can be gone to, in the order of use.
_PAGES = (
    ("people", "Contacts", "/contacts"),
    ("merge", "Duplicates", "/duplicates"),
    ("sync", "Runs", "/runs"),
    ("swap", "Conflicts", "/conflicts"),
    ("plug", "Settings: Connection", "/settings"),
    ("swap", "Settings: Mapping", "/settings/mapping"),
    ("shield", "Settings: Subscription", "/settings/subscription"),
    ("clock", "Settings: Rules and schedule", "/settings/rules"),
    ("key", "Settings: People and tokens", "/settings/people"),
)
_FOR_EDITORS = (("plus", "New contact", "/contacts/new"), ("upload", "Import contacts", "/contacts/import"))


@router.get("/go")
def show(request: Request, viewer: Viewer, q: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """What fits the words; for htmx the entries alone."""
    words = q.split()
    with app_of(request).db.read(viewer.workspace) as tx:
        entries = [*_fitting(words, _places(tx, viewer, may_edit(request))), *_people(tx, q.strip())]
    template = "parts/palette_entries.html" if render.is_htmx(request) else "palette.html"
    return render.page(request, template, q=q, entries=entries)


def _places(tx: Tx, viewer: Identity, edits: bool) -> Iterable[tuple[str, str, str]]:
    yield from _PAGES
    yield from _FOR_EDITORS if edits else ()
    assert viewer.user_id is not None, "pages are for people"
    for view in views.visible(tx, viewer.user_id):
        yield "eye", f"View: {view.name}", f"/contacts?{view.query}"


def _fitting(words: list[str], places: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    folded = [word.casefold() for word in words]
    return [place for place in places if all(word in place[1].casefold() for word in folded)]


def _people(tx: Tx, q: str) -> list[tuple[str, str, str]]:
    if not q:
        return []
    found = pages.page(tx, pages.Query(q=q, limit=_PEOPLE)).items
    return [("person", _said(contact), f"/contacts/{contact.id}") for contact in found]


def _said(contact: Contact) -> str:
    known = ", ".join(filter(None, (contact.name, contact.fields.get("email"))))
    return known or contact.fields.get("phone") or "No name"
