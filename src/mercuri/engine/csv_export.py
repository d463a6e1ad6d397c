"""Export contacts as CSV: whatever a filter of the contact list shows, streamed page by page.

Either everything that is known, to be imported again, or what the list's columns show, to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mercuri.core.contact import STANDARD, Contact, WorkspaceId
from mercuri.core.mapping import kind_of
from mercuri.core.normalise import readable_form
from mercuri.engine.app import App
from mercuri.engine.csv_files import csv_lines
from mercuri.store import custom_fields, pages, portals
from mercuri.store.pages import Query

#: Contacts of one read.
PAGE = 200
_AFTER = ("phone_e164", "subscription_status", "hubspot_record", "created_at", "updated_at")


def export_csv(app: App, ws: WorkspaceId, query: Query) -> Iterator[str]:
    """The file line by line, header first. Its columns can be imported again; no read stays open between pages."""
    with app.db.read(ws) as tx:
        custom = [f"custom.{name}" for name in custom_fields.names(tx)]
    fields = [*STANDARD, *custom]
    rows = (_row(contact, fields) for contact in every(app, ws, query))
    return csv_lines(["id", *fields, *_AFTER], rows)


def export_columns(app: App, ws: WorkspaceId, query: Query, columns: Mapping[str, str]) -> Iterator[str]:
    """The file line by line: the name, then these columns of the list (key -> heading), as people read them."""
    with app.db.read(ws) as tx:
        kinds = {item.field: kind_of(item) for portal in portals.all(tx) for item in portal.settings.mapping}
    rows = ([contact.name, *(_shown(contact, key, kinds) for key in columns)] for contact in every(app, ws, query))
    return csv_lines(["Name", *columns.values()], rows)


def _shown(contact: Contact, key: str, kinds: Mapping[str, str]) -> str:
    match key:
        case "status":
            return "Subscribed" if contact.subscription_status == "subscribed" else "Not Subscribed"
        case "hubspot":
            return " ".join(dict.fromkeys(link.state.replace("_", " ") for link in contact.hubspot)) or "not linked"
        case "created" | "updated":
            return (contact.created_at if key == "created" else contact.updated_at).isoformat(" ", "seconds")
    return readable_form(kinds.get(key, ""), contact.fields.get(key, ""))


def every(app: App, ws: WorkspaceId, query: Query) -> Iterator[Contact]:
    """All contacts that a query shows, from its cursor on."""
    query = replace(query, limit=PAGE)
    while True:
        with app.db.read(ws) as tx:
            page = pages.page(tx, query)
        yield from page.items
        if page.next_cursor is None:
            return
        query = replace(query, cursor=page.next_cursor)


def _row(contact: Contact, fields: list[str]) -> list[str]:
    phone = next((a.normal for a in contact.addresses if a.kind == "phone" and a.primary and a.normal), "")
    return [
        str(contact.id),
        *(contact.fields.get(name, "") for name in fields),
        phone,
        contact.subscription_status,
        " ".join(f"{link.portal_id}/{link.record_id}" for link in contact.hubspot),
        contact.created_at.isoformat(),
        contact.updated_at.isoformat(),
    ]
