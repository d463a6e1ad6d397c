"""The list of contacts: search as you type, filters, sorting, pages by key; the duplicates banner; the export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.datastructures import QueryParams

from mercuri.core.contact import Contact, ContactId, PortalId
from mercuri.engine.app import App
from mercuri.engine.csv_export import export_columns, export_csv
from mercuri.store import contacts, duplicates, failures, pages, portals
from mercuri.store.database import Tx
from mercuri.store.pages import ContactPage
from mercuri.store.portals import Portal
from mercuri.web import auth, render, words
from mercuri.web.auth import Viewer
from mercuri.web.pages import bulk, contact_columns, contact_filters, views
from mercuri.web.pages.contact_query import CHOICES, Asked, read
from mercuri.web.pages.contact_view import in_panel, record_address, view_of
from mercuri.web.pages.naming import field_kinds
from mercuri.web.pages.sync import sync_shown
from mercuri.web.services import app_of, may_edit

router = APIRouter()

#: How the ids of rows begin.
ROW = "contact-"
#: How many rows are appended by themselves before a person has to ask for more.
AUTOMATIC = 300


@router.get("/contacts")
def show(request: Request, viewer: Viewer) -> Response:
    """The whole page; for htmx the list, or the next rows of it."""
    if chosen := _chosen_columns(request.query_params):
        return render.see_other(request, read(request.query_params).address(columns=",".join(chosen)))
    asked, app = read(request.query_params), app_of(request)
    if "of" in request.query_params:
        return render.see_other(request, asked.address(**contact_filters.composed(request.query_params)))
    target = request.headers.get("HX-Target", "") if render.is_htmx(request) else "page"
    with app.db.read(viewer.workspace) as tx:
        known = [portal for portal in portals.all(tx) if portal.state != "disconnected"]
        page = _one(tx, target) if target.startswith(ROW) else pages.page(tx, asked.query(app.now()))
        context = _list(asked, page, known, app.settings.hubspot_app_url)
        failing = {item.contact_id for item in failures.of_contacts(tx, [contact.id for contact in page.items])}
        context |= {
            "failing": failing,
            "kinds": field_kinds(tx),
            "views": views.menu(tx, viewer, asked.text),
            "asked": asked,
        }
        sync = sync_shown(tx, app.now())
        context |= {"may_edit": may_edit(request), "is_syncing": sync.is_live, "bulk_fields": bulk.fields(tx)}
        if target == "page":
            context |= {"sync": sync, "may_restore": False, **_banner(tx, viewer.data), **_panel(tx, request, asked)}
    if target == "page":
        return render.page(request, "contacts.html", section="contacts", selects=_selects(asked), **context)
    if target != "list":
        return render.page(request, "parts/contact_rows.html", **context)
    response = render.page(request, "parts/contact_list.html", **context)
    response.headers["HX-Replace-Url"] = asked.address()
    return response


def _one(tx: Tx, target: str) -> ContactPage:
    """The row of one contact, which was changed beside the list."""
    id_ = _id_of(target.removeprefix(ROW))
    found = contacts.many(tx, [id_]) if id_ else []
    return ContactPage(found, None, len(found), True)


def _panel(tx: Tx, request: Request, asked: Asked) -> dict[str, object]:
    """The contact that the address opens beside the list; none where it is in no list any more."""
    id_ = _id_of(request.query_params.get("open", ""))
    held = contacts.held(tx, [id_]) if id_ else {}
    if id_ not in held or held[id_].deleted_at is not None or held[id_].merged_into is not None:
        return {"view": None}
    return in_panel(view_of(tx, id_, app_of(request).settings.hubspot_app_url, None), asked.address())


def _id_of(text: str) -> ContactId | None:
    return ContactId(int(text)) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _chosen_columns(parameters: QueryParams) -> tuple[str, ...]:
    """What the form of the columns asks for: those that are ticked, one of them a place earlier if so wanted."""
    ticked = contact_columns.read(",".join(parameters.getlist("column"))) if "column" in parameters else ()
    return contact_columns.moved(ticked, parameters.get("earlier", ""))


def _list(asked: Asked, page: ContactPage, known: list[Portal], app_url: str) -> dict[str, Any]:
    shown, shown_columns = asked.shown + len(page.items), contact_columns.shown(asked.columns)
    return {
        "contacts": page.items,
        "records": _records(page.items, {portal.id: portal for portal in known}, app_url),
        "total_words": _total(page),
        "columns": [
            _column(asked, "Name", "name"),
            *(_column(asked, c.heading, c.sort, c.style) for c in shown_columns),
        ],
        "shown_columns": shown_columns,
        "other_columns": contact_columns.others(asked.columns, _own_fields(page, known)),
        "filters": _filters(asked, known),
        "is_filtered": asked.is_filtered,
        "own_fields": sorted(_own_fields(page, known), key=words.field_name),
        "times": contact_filters.TIMES,
        "latest": contact_filters.LATEST,
        "how": contact_filters.HOW,
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
    noun = "contact" if page.total == 1 and page.total_is_exact else "contacts"
    return f"{words.at_least(page.total, page.total_is_exact)} {noun}"


def _own_fields(page: ContactPage, known: Sequence[Portal]) -> set[str]:
    """The custom fields that are mapped, or that contacts of this page have: asking all contacts would take long."""
    mapped = {item.field for portal in known for item in portal.settings.mapping}
    held = {name for contact in page.items for name in contact.fields}
    return {name for name in mapped | held if name.startswith("custom.")}


def _column(asked: Asked, text: str, key: str, style: str = "") -> dict[str, object]:
    if not key:
        return {"text": text, "class": style}
    direction = {key: "ascending", f"-{key}": "descending"}.get(asked.sort)
    # Times are wanted newest first, names from A; a second press turns the order round.
    first, second = ("-updated", "updated") if key == "updated" else (key, f"-{key}")
    order = second if asked.sort == first else first
    return {"text": text, "href": asked.address(sort=order), "direction": direction, "class": style}


def _filters(asked: Asked, known: list[Portal]) -> list[tuple[str, str]]:
    """Each filter that is on, with the address of the list without it."""
    chips = [(CHOICES[name][1][value], asked.address(**{name: ""})) for name, value in asked.choices.items() if value]
    if asked.portal:
        name = next((portal.name for portal in known if portal.id == asked.portal), asked.portal)
        chips.append((f"In {name}", asked.address(portal="")))
    own = asked.conditions.items()
    return chips + [(contact_filters.said(name, text), asked.address(**{name: ""})) for name, text in own]


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
    """The contacts that the filters show, all pages of them, as a file that can be imported again."""
    asked, app = read(request.query_params), app_of(request)
    return _file(app, export_csv(app, viewer.workspace, asked.query(app.now())))


@router.get("/contacts/list.csv")
def export_list(request: Request, viewer: Viewer) -> Response:
    """The same contacts with the columns of the list, as a file to read."""
    asked, app = read(request.query_params), app_of(request)
    columns = {column.key: column.heading for column in contact_columns.shown(asked.columns)}
    return _file(app, export_columns(app, viewer.workspace, asked.query(app.now()), columns))


def _file(app: App, lines: Iterator[str]) -> Response:
    name = f"contacts-{app.now():%Y-%m-%d}.csv"
    return StreamingResponse(
        lines, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
