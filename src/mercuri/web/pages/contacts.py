"""The list of contacts: search as you type, filters, sorting, pages by key; the duplicates banner; the export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from mercuri.core.contact import Contact, ContactId, PortalId
from mercuri.engine.csv_export import export_csv
from mercuri.store import duplicates, pages, portals
from mercuri.store.database import Tx
from mercuri.store.pages import ContactPage, Query
from mercuri.store.portals import Portal
from mercuri.web import auth, render, words
from mercuri.web.auth import Viewer
from mercuri.web.pages import bulk
from mercuri.web.pages.contact_view import record_address
from mercuri.web.pages.sync import sync_shown
from mercuri.web.services import app_of, may_edit

router = APIRouter()

#: Rows of one page, and how many are appended by themselves before a person has to ask for more.
PAGE = 50
AUTOMATIC = 300
#: What can be chosen, by name in the address: key -> how it is said. The first choice is "any".
CHOICES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "status": (
        "Subscription",
        {"": "Any subscription", "subscribed": "Subscribed", "not_subscribed": "Not Subscribed"},
    ),
    "health": (
        "HubSpot state",
        {"": "Any HubSpot state", "in_sync": "In sync", "excluded": "Excluded", "failing": "Failing"},
    ),
    "duplicate": ("Duplicates", {"": "Duplicates or not", "true": "Duplicates", "false": "No duplicates"}),
    "reach": (
        "Phone and e-mail",
        {
            "": "Any address",
            "phone": "Has a phone",
            "-phone": "No phone",
            "email": "Has an e-mail",
            "-email": "No e-mail",
        },
    ),
}
SORTS = ("name", "-name", "updated", "-updated", "created", "-created", "email", "-email")
_COLUMNS = (
    ("Name", "name"),
    ("Phone", ""),
    ("E-mail", "email"),
    ("Subscription", ""),
    ("HubSpot", ""),
    ("Updated", "updated"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; a value that nobody offers counts as none."""

    choices: Mapping[str, str]
    q: str = ""
    sort: str = "name"
    cursor: str = ""
    shown: int = 0
    portal: str = ""

    @property
    def query(self) -> Query:
        """The same for the store."""
        reach = self.choices["reach"]
        return Query(
            q=self.q,
            status=self.choices["status"] or None,
            duplicate={"true": True, "false": False}.get(self.choices["duplicate"]),
            portal=PortalId(self.portal) if self.portal else None,
            health=self.choices["health"] or None,
            has_phone={"phone": True, "-phone": False}.get(reach),
            has_email={"email": True, "-email": False}.get(reach),
            sort=self.sort,
            cursor=self.cursor or None,
            limit=PAGE,
        )

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the order is asked for."""
        return bool(self.q or self.portal or any(self.choices.values()))

    def address(self, path: str = "/contacts", **other: str | int) -> str:
        """The address of this list with some parts replaced, as short as it can be; it starts at the first page."""
        parts = {"q": self.q, **self.choices, "portal": self.portal, "sort": "" if self.sort == "name" else self.sort}
        parts.update({name: str(value) for name, value in other.items()})
        if parts["sort"] == "name":
            parts["sort"] = ""
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"{path}?{query}" if query else path


def read(parameters: Mapping[str, str]) -> Asked:
    """What an address asks for.

    >>> read({"q": " ana ", "status": "subscribed", "sort": "nonsense"}).address()
    '/contacts?q=ana&status=subscribed'
    """
    choices = {name: parameters.get(name, "") for name in CHOICES}
    shown = parameters.get("shown", "")
    return Asked(
        q=parameters.get("q", "").strip()[:200],
        sort=sort if (sort := parameters.get("sort", "name")) in SORTS else "name",
        cursor=parameters.get("cursor", ""),
        shown=int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 7 else 0,
        portal=parameters.get("portal", "")[:50],
        choices={name: value if value in CHOICES[name][1] else "" for name, value in choices.items()},
    )


@router.get("/contacts")
def show(request: Request, viewer: Viewer) -> Response:
    """The whole page; for htmx the list, or the next rows of it."""
    asked, app = read(request.query_params), app_of(request)
    target = request.headers.get("HX-Target", "") if render.is_htmx(request) else "page"
    with app.db.read(viewer.workspace) as tx:
        known = [portal for portal in portals.all(tx) if portal.state != "disconnected"]
        context = _list(asked, pages.page(tx, asked.query), known, app.settings.hubspot_app_url)
        sync = sync_shown(tx, app.now())
        context |= {"may_edit": may_edit(request), "is_syncing": sync.is_live, "bulk_fields": bulk.fields(tx)}
        if target == "page":
            context |= {"sync": sync, **_banner(tx, viewer.data)}
    if target == "page":
        return render.page(
            request, "contacts.html", section="contacts", asked=asked, selects=_selects(asked), **context
        )
    if target != "list":
        return render.page(request, "parts/contact_rows.html", **context)
    response = render.page(request, "parts/contact_list.html", **context)
    response.headers["HX-Replace-Url"] = asked.address()
    return response


def _list(asked: Asked, page: ContactPage, known: list[Portal], app_url: str) -> dict[str, Any]:
    shown = asked.shown + len(page.items)
    return {
        "contacts": page.items,
        "records": _records(page.items, {portal.id: portal for portal in known}, app_url),
        "total_words": _total(page),
        "columns": [_column(asked, text, key) for text, key in _COLUMNS],
        "filters": _filters(asked, known),
        "is_filtered": asked.is_filtered,
        "is_later_page": bool(asked.cursor),
        "first_href": asked.address(),
        "here_list": asked.address(),
        "suffix": asked.address("").removeprefix("/contacts"),
        "more_href": asked.address(cursor=page.next_cursor, shown=shown) if page.next_cursor else "",
        "more_auto": shown < AUTOMATIC,
        "has_portal": bool(known),
    }


def _records(items: Sequence[Contact], known: Mapping[PortalId, Portal], app_url: str) -> dict[ContactId, str]:
    """Where each contact is seen in HubSpot: its first record in a portal that is connected."""
    return {
        contact.id: record_address(known[link.portal_id], link.record_id, app_url)
        for contact in items
        for link in reversed(contact.hubspot)
        if link.portal_id in known
    }


def _total(page: ContactPage) -> str:
    if page.total_is_exact:
        return words.counted(page.total, "contact")
    return f"{words.number(page.total)}+ contacts"


def _column(asked: Asked, text: str, key: str) -> dict[str, object]:
    if not key:
        return {"text": text}
    direction = {key: "ascending", f"-{key}": "descending"}.get(asked.sort)
    # Times are wanted newest first, names from A; a second press turns the order round.
    first, second = ("-updated", "updated") if key == "updated" else (key, f"-{key}")
    order = second if asked.sort == first else first
    return {"text": text, "href": asked.address(sort=order), "direction": direction}


def _filters(asked: Asked, known: list[Portal]) -> list[tuple[str, str]]:
    """Each filter that is on, with the address of the list without it."""
    chips = [(CHOICES[name][1][value], asked.address(**{name: ""})) for name, value in asked.choices.items() if value]
    if asked.portal:
        name = next((portal.name for portal in known if portal.id == asked.portal), asked.portal)
        chips.append((f"In {name}", asked.address(portal="")))
    return chips


def _selects(asked: Asked) -> list[dict[str, object]]:
    return [
        {"name": name, "label": label, "options": list(options.items()), "value": asked.choices[name]}
        for name, (label, options) in CHOICES.items()
    ]


def _banner(tx: Tx, session: Mapping[str, object]) -> dict[str, Any]:
    totals = duplicates.totals(tx)
    return {
        "duplicate_groups": totals.groups,
        "duplicate_contacts": totals.contacts,
        "banner_dismissed": bool(session.get("banner_dismissed")),
    }


@router.get("/contacts/banner")
def banner(request: Request, viewer: Viewer) -> Response:
    """The duplicates banner alone, after a sync."""
    with app_of(request).db.read(viewer.workspace) as tx:
        return render.page(request, "parts/duplicates_banner.html", **_banner(tx, viewer.data))


@router.post("/contacts/banner")
def dismiss_banner(request: Request, viewer: Viewer) -> Response:
    """Hide the banner for this session."""
    known = auth.remember(request, viewer, banner_dismissed=True)
    return banner(request, known) if render.is_htmx(request) else render.see_other(request, "/contacts")


@router.get("/contacts/export.csv")
def export(request: Request, viewer: Viewer) -> Response:
    """The contacts that the filters show, all pages of them, as a file."""
    app = app_of(request)
    lines = export_csv(app, viewer.workspace, read(request.query_params).query)
    name = f"contacts-{app.now():%Y-%m-%d}.csv"
    return StreamingResponse(
        lines, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
