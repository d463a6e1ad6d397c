"""What is done to several contacts at once, picked in the list: set a field, delete, bring back what was deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mercuri.core.contact import ContactId
from mercuri.engine import edit
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import portals
from mercuri.store.database import Tx
from mercuri.web import auth, render, words
from mercuri.web.auth import Form, Manager, actor_of, sent
from mercuri.web.pages import contact_query
from mercuri.web.services import app_of

router = APIRouter()

#: Most contacts of one act: what a page appends at most, with room.
MOST = 500


def fields(tx: Tx) -> list[str]:
    """The fields that several people can have in common: names and mapped ones, never a phone number or an e-mail."""
    mapped = {item.field for portal in portals.all(tx) for item in portal.settings.mapping} - {"phone", "email"}
    return ["last_name", "first_name", *sorted(mapped - {"last_name", "first_name"})]


async def picked(request: Request) -> list[ContactId]:
    """The contacts whose boxes are ticked. Raises UserError for none or too many."""
    form = await request.form()
    ids = {int(str(text)) for text in form.getlist("id") if str(text).isascii() and str(text).isdigit()}
    if not ids:
        raise UserError("No contact is picked. Nothing was changed. Tick the boxes in front of their names.")
    if len(ids) > MOST:
        raise UserError(f"More than {MOST} contacts are picked. Nothing was changed. Do it in parts.")
    return [ContactId(id_) for id_ in sorted(ids) if id_ < 2**63]


Sent = Annotated[Form, Depends(sent)]
Picked = Annotated[list[ContactId], Depends(picked)]


@router.post("/contacts/bulk/delete")
def delete(request: Request, manager: Manager, ids: Picked, form: Sent) -> Response:
    """Take the picked contacts out of every list; the message offers to bring them back."""
    app, actor = app_of(request), actor_of(manager)
    done = each(ids, lambda id_: edit.delete_contact(app, manager.workspace, id_, actor))
    auth.remember(request, manager, deleted_together=done)
    response = render.see_other(request, back(form))
    return render.toast(request, response, _said(done, ids, "deleted"), undo="/contacts/bulk/restore")


@router.post("/contacts/bulk/restore")
def restore(request: Request, manager: Manager) -> Response:
    """Bring back what this person deleted together last."""
    app, actor = app_of(request), actor_of(manager)
    ids = [ContactId(id_) for id_ in manager.data.get("deleted_together", ())]
    done = each(ids, lambda id_: edit.restore_contact(app, manager.workspace, id_, actor))
    auth.remember(request, manager, deleted_together=[])
    return render.toast(request, render.see_other(request, "/contacts"), _said(done, ids, "brought back"))


@router.post("/contacts/bulk/set")
def set_field(request: Request, manager: Manager, ids: Picked, form: Sent) -> Response:
    """Give one field the same value on all picked contacts; each one's history can put the old value back."""
    app, actor = app_of(request), actor_of(manager)
    field, value = form.get("field", ""), form.get("value", "").strip()
    with app.db.read(manager.workspace) as tx:
        known = fields(tx)
    if field not in known:
        raise UserError("That field cannot be set for several people at once. Nothing was changed.")
    done = each(ids, lambda id_: edit.update_contact(app, manager.workspace, id_, {field: value}, actor))
    said = _said(done, ids, f"changed: {words.field_name(field)} is now {value or 'empty'}")
    return render.toast(request, render.see_other(request, back(form)), said)


def back(form: Form) -> str:
    """The list that the contacts were picked in."""
    return contact_query.read(dict(parse_qsl(form.get("list", "")))).address()


def each(ids: list[ContactId], act: Callable[[ContactId], object]) -> list[int]:
    """Do it to each; those that are gone or were changed meanwhile are left as they are."""
    done = []
    for id_ in ids:
        try:
            act(id_)
        except (NotFound, Clash):
            continue
        done.append(int(id_))
    return done


def _said(done: list[int], ids: list[ContactId], what: str) -> str:
    left = len(ids) - len(done)
    rest = f" {words.counted(left, 'other')} left as they were." if left else ""
    return f"{words.counted(len(done), 'contact')} {what}.{rest}"
