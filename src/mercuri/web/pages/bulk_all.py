"""What is done to all contacts of a list: confirmed with their number, then done in steps that the page asks for.

Each step is a request that acts on the next contacts, in the order they came here, and answers with the following one.
So the person sees it advance and can stop it, and whoever closes the page has done a part and no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.engine import edit
from mercuri.engine.app import Actor, App
from mercuri.errors import UserError
from mercuri.store import pages
from mercuri.store.conditions import Span
from mercuri.store.database import Tx
from mercuri.store.pages import Query
from mercuri.web import render, words
from mercuri.web.auth import Form, Manager, actor_of, sent
from mercuri.web.pages import bulk, contact_query
from mercuri.web.services import app_of

router = APIRouter()

#: Contacts of one step: about half a second.
STEP = 100
Sent = Annotated[Form, Depends(sent)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and to whom: to all of a list who were here when it was asked for."""

    act: str  # set | delete
    field: str
    value: str
    list: str  # what stands behind the `?` of the list's address
    asked_at: datetime

    @property
    def words(self) -> str:
        """What becomes of the contacts."""
        if self.act == "delete":
            return "deleted"
        return f"changed: {words.field_name(self.field)} is now {self.value or 'empty'}"

    @property
    def query(self) -> Query:
        """The contacts, in an order that no change disturbs."""
        query = contact_query.read(dict(parse_qsl(self.list))).query(self.asked_at)
        asked, end = query.created or Span(), self.asked_at + timedelta(milliseconds=1)
        until = min(asked.end, end) if asked.end else end
        return replace(query, sort="created", created=Span(asked.start, until), limit=STEP)


@router.post("/contacts/bulk/all")
def confirm(request: Request, manager: Manager, form: Sent) -> Response:
    """Say what would be done to how many, and ask."""
    app = app_of(request)
    plan = _plan(form, app.now())
    with app.db.read(manager.workspace) as tx:
        _check(tx, plan)
        found = pages.page(tx, plan.query)
    count = words.at_least(found.total, found.total_is_exact)
    return render.page(request, "bulk_all.html", section="contacts", plan=plan, count=count, total=found.total)


@router.post("/contacts/bulk/step")
def step(request: Request, manager: Manager, form: Sent) -> Response:
    """Do it to the next contacts, and answer with the step that follows, or with the list once it is over."""
    app, actor = app_of(request), actor_of(manager)
    try:
        plan = _plan(form, _past(form.get("asked_at", ""), app.now()))
        done, left, total = (int(form.get(name, "")) for name in ("done", "left", "total"))
    except ValueError:
        raise UserError("This form is not complete. Nothing more was changed. Begin again from the list.") from None
    with app.db.read(manager.workspace) as tx:
        _check(tx, plan)
        page = pages.page(tx, replace(plan.query, cursor=form.get("cursor") or None))
    ids = [contact.id for contact in page.items]
    changed = len(bulk.each(ids, lambda id_: _act(app, manager.workspace, id_, plan, actor)))
    done, left = done + changed, left + len(ids) - changed
    if page.next_cursor is None:
        rest = f" {words.counted(left, 'other')} left as they were." if left else ""
        said = f"{words.counted(done, 'contact')} {plan.words}.{rest}"
        return render.toast(request, render.see_other(request, bulk.back({"list": plan.list})), said)
    template = "parts/bulk_step.html" if render.is_htmx(request) else "bulk_all.html"
    following = page.next_cursor
    return render.page(
        request, template, section="contacts", plan=plan, done=done, left=left, total=total, cursor=following
    )


def _plan(form: Form, asked_at: datetime) -> Plan:
    words_of = {name: form.get(name, "").strip() for name in ("act", "field", "value", "list")}
    return Plan(**words_of, asked_at=asked_at)


def _past(text: str, now: datetime) -> datetime:
    """The moment at which a person was asked. Raises ValueError for what is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment > now:
        raise ValueError(text)
    return moment


def _check(tx: Tx, plan: Plan) -> None:
    if plan.act not in ("set", "delete") or (plan.act == "set" and plan.field not in bulk.fields(tx)):
        raise UserError("That cannot be done to several people at once. Nothing was changed.")


def _act(app: App, ws: WorkspaceId, id_: ContactId, plan: Plan, actor: Actor) -> None:
    if plan.act == "delete":
        edit.delete_contact(app, ws, id_, actor)
    else:
        edit.update_contact(app, ws, id_, {plan.field: plan.value}, actor)
