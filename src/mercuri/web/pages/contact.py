"""One contact: every value with its source and time, editing in place, deleting, restoring, erasing, trying again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from mercuri.core.contact import STANDARD, Contact, ContactId, WorkspaceId
from mercuri.engine import edit
from mercuri.errors import Clash, UserError
from mercuri.store import contacts
from mercuri.web import render, words
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.pages.contact_view import view_of
from mercuri.web.services import app_of, may_edit

router = APIRouter()

ContactPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]


@dataclass(frozen=True, slots=True)
class Collision:
    """Two values of one field, typed at the same time: what stands now, and what this person wanted."""

    field: str
    theirs: str
    mine: str


@router.get("/contacts/new")
def new(request: Request, manager: Manager) -> Response:
    """The form of a new contact."""
    return _new_form(request, {})


def _new_form(request: Request, values: Form, problem: str = "") -> Response:
    status = 422 if problem else 200
    return render.page(
        request, "contact_new.html", status=status, section="contacts", values=values, problem=problem, names=STANDARD
    )


@router.post("/contacts")
def create(request: Request, manager: Manager, form: Sent) -> Response:
    """Create a contact from what was typed."""
    values = {name: form.get(name, "").strip() for name in STANDARD}
    try:
        contact = edit.create_contact(app_of(request), manager.workspace, values, actor_of(manager))
    except UserError as error:
        return _new_form(request, values, error.message)
    said = f"{contact.name or 'The contact'} was created."
    return render.toast(request, render.see_other(request, f"/contacts/{contact.id}"), said)


@router.get("/contacts/{contact_id}")
def show(
    request: Request, viewer: Viewer, contact_id: ContactPath, edit: str = "", before: int | None = None
) -> Response:
    """The page of a contact; the id of an absorbed one leads to its survivor, and says so."""
    with app_of(request).db.read(viewer.workspace) as tx:
        survivor = contacts.survivor_of(tx, ContactId(contact_id))
    if survivor is not None:
        response = render.see_other(request, f"/contacts/{survivor}")
        return render.toast(request, response, f"Contact {contact_id} was merged into this one.")
    return _page(request, viewer.workspace, ContactId(contact_id), editing=edit, before=before)


def _page(
    request: Request,
    workspace: WorkspaceId,
    contact_id: ContactId,
    *,
    editing: str = "",
    before: int | None = None,
    collision: Collision | None = None,
) -> Response:
    app = app_of(request)
    with app.db.read(workspace) as tx:
        view = view_of(tx, contact_id, app.settings.hubspot_app_url, before)
    in_panel = request.headers.get("HX-Target") == "panel"
    part = "parts/contact_panel.html" if in_panel else "parts/contact_body.html"
    template = part if render.is_htmx(request) else "contact.html"
    return render.page(
        request,
        template,
        status=409 if collision else 200,
        section="contacts",
        contact=view.contact,
        view=view,
        kinds=view.kinds,
        editing=editing,
        collision=collision,
        list_href="/contacts",
        may_edit=may_edit(request) and view.contact.deleted_at is None,
        may_restore=may_edit(request) and view.contact.deleted_at is not None,
    )


@router.post("/contacts/{contact_id}/fields/{field}")
def change(request: Request, manager: Manager, contact_id: ContactPath, field: str, form: Sent) -> Response:
    """Give one field a new value. When someone else changed this very field meanwhile, both values are shown."""
    id_, value = ContactId(contact_id), form.get("value", "").strip()
    if value == form.get("shown"):
        value = form.get("was", "")
    try:
        _save(request, manager, id_, field, value, form)
    except Clash as clash:
        present = clash.present
        if not isinstance(present, Contact):
            raise
        collision = Collision(field, present.fields.get(field, ""), value)
        response = _page(request, manager.workspace, id_, collision=collision)
        return _in_place(response)
    if render.is_htmx(request):
        return _page(request, manager.workspace, id_)
    response = render.see_other(request, f"/contacts/{id_}")
    return render.toast(request, response, f"{words.field_name(field)} was saved.")


def _save(request: Request, manager: Manager, id_: ContactId, field: str, value: str, form: Form) -> None:
    """Save, also when another field of the contact changed since the page was made."""
    app, actor = app_of(request), actor_of(manager)
    version = int(text) if (text := form.get("version", "")).isdecimal() and len(text) < 10 else None
    try:
        edit.update_contact(app, manager.workspace, id_, {field: value}, actor, version=version)
    except Clash as clash:
        present = clash.present
        if not isinstance(present, Contact) or present.fields.get(field, "") != form.get("was", ""):
            raise
        edit.update_contact(app, manager.workspace, id_, {field: value}, actor, version=present.version)


def _in_place(response: Response) -> Response:
    """A refusal that belongs into the page itself, not among the toasts."""
    response.headers["HX-Retarget"] = "#contact"
    response.headers["HX-Reswap"] = "outerHTML"
    return response


@router.post("/contacts/{contact_id}/delete")
def delete(request: Request, manager: Manager, contact_id: ContactPath) -> Response:
    """Take the contact out of every list; the message offers to undo it."""
    edit.delete_contact(app_of(request), manager.workspace, ContactId(contact_id), actor_of(manager))
    response = render.see_other(request, _list_left(request))
    return render.toast(request, response, "The contact was deleted.", undo=f"/contacts/{contact_id}/restore")


def _list_left(request: Request) -> str:
    """The list beside which the contact was open, as it was filtered and sorted; else the list of all."""
    left, _, query = request.headers.get("Referer", "").partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name != "open"]
    return f"/contacts?{urlencode(kept)}" if left.endswith("/contacts") and kept else "/contacts"


@router.post("/contacts/{contact_id}/restore")
def restore(request: Request, manager: Manager, contact_id: ContactPath) -> Response:
    """Bring a deleted contact back."""
    contact = edit.restore_contact(app_of(request), manager.workspace, ContactId(contact_id), actor_of(manager))
    response = render.see_other(request, f"/contacts/{contact.id}")
    return render.toast(request, response, "The contact is back.")


@router.post("/contacts/{contact_id}/erase")
def erase(request: Request, manager: Manager, contact_id: ContactPath, form: Sent) -> Response:
    """Remove a contact for good, once that was confirmed."""
    if not form.get("sure"):
        raise UserError("Erasing cannot be undone, so it needs the tick beside it. Nothing was erased.")
    edit.erase_contact(app_of(request), manager.workspace, ContactId(contact_id), actor_of(manager))
    return render.toast(request, render.see_other(request, "/contacts"), "The contact was erased for good.")


@router.post("/contacts/{contact_id}/retry")
def retry(request: Request, manager: Manager, contact_id: ContactPath) -> Response:
    """Let what fails about this contact be tried with the next run."""
    app = app_of(request)
    with app.db.read(manager.workspace) as tx:
        failing = view_of(tx, ContactId(contact_id), "", None).failures
    edit.retry_failures(app, manager.workspace, [item.id for item in failing], actor_of(manager))
    response = render.see_other(request, f"/contacts/{contact_id}")
    return render.toast(request, response, "It is tried again with the next run.")
