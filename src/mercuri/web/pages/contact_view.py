"""What the page of one contact shows, gathered in one read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from mercuri.core.contact import STANDARD, Contact, ContactId, Origin, PortalId
from mercuri.core.properties import Option
from mercuri.core.settings import Direction, MappingItem
from mercuri.engine.grouping import KIND_WORDS as KINDS
from mercuri.store import changes, conflicts, duplicates, failures, links, match_keys, portals, shown
from mercuri.store.changes import Change
from mercuri.store.conflicts import Conflict
from mercuri.store.database import Tx
from mercuri.store.failures import Failure
from mercuri.store.links import Link
from mercuri.store.portals import Portal
from mercuri.web.pages.consent_view import ConsentCard, card_of
from mercuri.web.pages.duplicate_view import KIND_WORDS
from mercuri.web.pages.naming import field_kinds

#: Why both sides may differ for good (core.diff.Base), in words.
_WHY = {
    "kept_blank": "is empty there, kept here",
    "stored_differently": "HubSpot writes it in its own way",
    "one_way": "goes one way only",
    "undone": "was put back by an undo",
    "resolved": "was decided by a person",
    "filled": "was filled from the other side",
}
_HISTORY = 30
#: Most contacts that may be the same person.
_POSSIBLE = 5


@dataclass(frozen=True, slots=True)
class FieldShown:
    """One value: where it came from, whether it is locked and why, its conflict, and the choices it has."""

    name: str
    value: str
    origin: Origin | None
    lock: str = ""
    conflict: Conflict | None = None
    options: Sequence[Option] = ()


@dataclass(frozen=True, slots=True)
class LinkView:
    """One record of the contact in HubSpot: its portal, state, address there, and what differs for good."""

    portal: Portal
    link: Link
    state: str
    address: str
    differs: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class ContactView:
    """Everything on the page."""

    contact: Contact
    fields: Sequence[FieldShown]
    links: Sequence[LinkView]
    failures: Sequence[Failure]
    consent: ConsentCard
    history: Sequence[Change]
    older: int | None
    kinds: Mapping[str, str]
    possible: Sequence[tuple[Contact, str]] = ()


def view_of(tx: Tx, contact_id: ContactId, app_url: str, before: int | None) -> ContactView:
    """Read it. `app_url` is HubSpot's host for people; `before` goes on in the history. Raises NotFound."""
    contact = shown.get(tx, contact_id)
    known = {portal.id: portal for portal in portals.all(tx)}
    history = changes.of_contact(tx, contact_id, before=before, limit=_HISTORY + 1)
    return ContactView(
        contact=contact,
        fields=_fields(tx, contact, [portal for portal in known.values() if portal.state != "disconnected"]),
        links=_links(tx, contact, known, app_url),
        failures=failures.of_contacts(tx, [contact_id]),
        consent=card_of(tx, contact),
        history=history[:_HISTORY],
        older=history[_HISTORY - 1].id if len(history) > _HISTORY else None,
        kinds=field_kinds(tx),
        possible=_possible(tx, contact),
    )


def in_panel(view: ContactView, list_href: str) -> dict[str, object]:
    """What the panel beside the list needs besides; `list_href` is the list without it."""
    return {"contact": view.contact, "view": view, "editing": "", "collision": None, "list_href": list_href}


def _possible(tx: Tx, contact: Contact) -> list[tuple[Contact, str]]:
    """Contacts that may be the same person by weaker evidence, each with the kind of it."""
    found = {pair.b if pair.a == contact.id else pair.a: pair.key for pair in duplicates.possible_of(tx, contact.id)}
    people = shown.many(tx, match_keys.contact_ids(list(found)[:_POSSIBLE]))
    return [(other, KIND_WORDS[KINDS[found[other.id].kind]]) for other in people]


def _fields(tx: Tx, contact: Contact, known: Sequence[Portal]) -> list[FieldShown]:
    mapped = {item.field: (portal, item) for portal in known for item in portal.settings.mapping}
    open_now = {c.field: c for c in conflicts.of_contact(tx, contact.id) if c.state == "open"}
    names = dict.fromkeys((*STANDARD, *sorted({*contact.fields, *mapped} - set(STANDARD))))
    options = _options(tx, known)
    return [
        FieldShown(
            name,
            contact.fields.get(name, ""),
            contact.origins.get(name),
            _lock(*mapped[name]) if name in mapped else "",
            open_now.get(name),
            options.get(name, ()),
        )
        for name in names
    ]


def _lock(portal: Portal, item: MappingItem) -> str:
    if item.direction is Direction.IN:
        return f"Comes from HubSpot ({portal.name}) only: change it there."
    return ""


def _options(tx: Tx, known: Sequence[Portal]) -> Mapping[str, Sequence[Option]]:
    """The choices of fields that are mapped to an enumeration of which one is taken."""
    found: dict[str, Sequence[Option]] = {}
    for portal in known:
        if all(item.type != "enumeration" for item in portal.settings.mapping):
            continue
        single = {p.name: p.options for p in portals.schema(tx, portal.id) if p.field_type in ("select", "radio")}
        found.update((i.field, single[i.property]) for i in portal.settings.mapping if i.property in single)
    return found


def _links(tx: Tx, contact: Contact, known: Mapping[PortalId, Portal], app_url: str) -> list[LinkView]:
    states = {(one.portal_id, one.record_id): one.state for one in contact.hubspot}
    return [
        LinkView(
            known[portal_id],
            link,
            states.get((portal_id, link.record_id), link.state.value),
            record_address(known[portal_id], link.record_id, app_url),
            [
                (name, _WHY[base.why])
                for name, base in sorted(link.base.items())
                if base.why in _WHY and base.local != base.remote
            ],
        )
        for portal_id, link in links.all_of_contacts(tx, [contact.id])
        if portal_id in known
    ]


def record_address(portal: Portal, record_id: str, app_url: str) -> str:
    """Where people see a record in HubSpot: /contacts/<portal>/record/0-1/<id> on the account's own host."""
    parts = urlsplit(app_url)
    domain = portal.account.get("uiDomain")
    is_real = parts.netloc == "app.hubspot.com" and isinstance(domain, str) and domain.endswith(".hubspot.com")
    host = f"https://{domain}" if is_real else f"{parts.scheme}://{parts.netloc}"
    return f"{host}/contacts/{portal.id}/record/0-1/{record_id}"
