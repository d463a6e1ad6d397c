"""Contacts: list, read, create, change, delete, history."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Response

from mercuri.core.contact import Contact as CoreContact
from mercuri.core.contact import ContactId, PortalId
from mercuri.engine import edit
from mercuri.errors import Clash
from mercuri.store import changes, contacts, pages, shown
from mercuri.web.api.access import Caller, Manager, Reader
from mercuri.web.api.models import ChangeOut, ChangePage, Contact, ContactChange, ContactIn, ContactPage
from mercuri.web.api.paging import Cursor, Limit, following, starting_at
from mercuri.web.api.problems import ApiProblem, ProblemRoute

router = APIRouter(tags=["contacts"], route_class=ProblemRoute)

ContactPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description='The version last seen, as `"7"`; refused with 412')
]
Sort = Literal["name", "-name", "updated", "-updated", "created", "-created", "email"]
Health = Literal["in_sync", "excluded", "failing"]


@router.get("/contacts")
def list_contacts(
    who: Reader,
    q: Annotated[str, Query(max_length=200, description="Part of a name, e-mail or phone number")] = "",
    status: Literal["subscribed", "not_subscribed"] | None = None,
    duplicate: bool | None = None,
    portal: Annotated[str | None, Query(max_length=50)] = None,
    health: Health | None = None,
    has_phone: bool | None = None,
    has_email: bool | None = None,
    sort: Sort = "name",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
    limit: Limit = 50,
) -> ContactPage:
    """One page of contacts; follow `next_cursor` until it is null."""
    query = pages.Query(
        q=q,
        status=status,
        duplicate=duplicate,
        portal=PortalId(portal) if portal else None,
        health=health,
        has_phone=has_phone,
        has_email=has_email,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    with who.app.db.read(who.ws) as tx:
        page = pages.page(tx, query)
    return ContactPage(
        items=[Contact.of(item) for item in page.items],
        next_cursor=page.next_cursor,
        total=page.total,
        total_is_exact=page.total_is_exact,
    )


@router.post("/contacts", status_code=201)
def create_contact(who: Manager, body: ContactIn, response: Response) -> Contact:
    """Create a contact from the values given."""
    made = edit.create_contact(who.app, who.ws, body.fields(), who.actor, kind="api")
    response.headers["Location"] = f"/api/v1/contacts/{made.id}"
    return _tagged(response, made)


@router.get("/contacts/{contact_id}")
def read_contact(who: Reader, contact_id: ContactPath, response: Response) -> Contact:
    """One contact. The id of one that was merged away answers 410 with a Link to the survivor."""
    return _tagged(response, _present(who, contact_id))


@router.patch("/contacts/{contact_id}")
def update_contact(
    who: Manager, contact_id: ContactPath, body: ContactChange, response: Response, if_match: IfMatch = None
) -> Contact:
    """Set the values given; the others stay. With If-Match, only when nobody changed the contact meanwhile."""
    _present(who, contact_id)
    try:
        changed = edit.update_contact(
            who.app, who.ws, ContactId(contact_id), body.fields(), who.actor, version=_version(if_match), kind="api"
        )
    except Clash as clash:
        raise _precondition(clash) from clash
    return _tagged(response, changed)


@router.delete("/contacts/{contact_id}", status_code=204)
def delete_contact(
    who: Manager,
    contact_id: ContactPath,
    if_match: IfMatch = None,
    erase: Annotated[bool, Query(description="Remove the person for good, here and in HubSpot")] = False,
) -> None:
    """Delete a contact; it can be restored. `erase=true` cannot be undone, and keeps the person from being imported."""
    _present(who, contact_id)
    act = edit.erase_contact if erase else edit.delete_contact
    try:
        act(who.app, who.ws, ContactId(contact_id), who.actor, version=_version(if_match))
    except Clash as clash:
        raise _precondition(clash) from clash


@router.post("/contacts/{contact_id}/restore")
def restore_contact(who: Manager, contact_id: ContactPath, response: Response) -> Contact:
    """Bring a deleted contact back."""
    return _tagged(response, edit.restore_contact(who.app, who.ws, ContactId(contact_id), who.actor))


@router.get("/contacts/{contact_id}/history")
def history(who: Reader, contact_id: ContactPath, cursor: Cursor = None, limit: Limit = 50) -> ChangePage:
    """Every change of the contact, newest first: who, when, before, after and why."""
    with who.app.db.read(who.ws) as tx:
        shown.get(tx, ContactId(contact_id))
        rows = changes.of_contact(tx, ContactId(contact_id), before=starting_at(cursor), limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return ChangePage(items=[ChangeOut.model_validate(row) for row in items], next_cursor=next_cursor)


def _present(who: Caller, contact_id: int) -> CoreContact:
    with who.app.db.read(who.ws) as tx:
        contact = shown.get(tx, ContactId(contact_id))
        survivor = contacts.survivor_of(tx, contact.id) if contact.merged_into else None
    if survivor is not None:
        raise ApiProblem(
            410,
            "Merged",
            f"Contact {contact_id} was merged into contact {survivor}.",
            headers={"Link": f'</api/v1/contacts/{survivor}>; rel="successor-version"'},
        )
    if contact.deleted_at is not None:
        raise ApiProblem(410, "Deleted", f"Contact {contact_id} was deleted. It can be restored.")
    return contact


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ApiProblem(400, "Invalid request", 'If-Match is the version of the contact, such as "7".')
    return int(text)


def _precondition(clash: Clash) -> ApiProblem:
    return ApiProblem(412, "Changed meanwhile", clash.message, present=clash.present)


def _tagged(response: Response, contact: CoreContact) -> Contact:
    response.headers["ETag"] = f'"{contact.version}"'
    return Contact.of(contact)
