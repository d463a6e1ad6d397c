"""Lists of contacts under a name: a person's own, everybody's, and the one that Contacts opens with."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from mercuri.errors import NotFound, UserError
from mercuri.store import schema
from mercuri.store.database import Tx

#: Most views that one person sees, and the longest name.
MOST = 100
LONGEST_NAME = 60
_v, _m = schema.saved_view.c, schema.membership.c


@dataclass(frozen=True, slots=True)
class View:
    """A list of contacts by name; `query` is what stands behind the `?` of its address."""

    id: int
    name: str
    query: str
    is_shared: bool


def visible(tx: Tx, user_id: int) -> list[View]:
    """A person's own views and everybody's, by name."""
    query = sa.select(_v.id, _v.name, _v.query, _v.user_id.is_(None)).where(*_seen_by(tx, user_id))
    return sorted((View(*row) for row in tx.execute(query)), key=lambda view: (view.name.casefold(), view.id))


def get(tx: Tx, user_id: int, view_id: int) -> View:
    """One that the person sees. Raises NotFound."""
    for view in visible(tx, user_id):
        if view.id == view_id:
            return view
    raise NotFound("There is no such view any more.")


def save(tx: Tx, user_id: int, name: str, query: str, *, shared: bool) -> View:
    """Keep a list under a name, in place of the one of that name. Raises UserError for a name that will not do."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise UserError(f"A view needs a name of at most {LONGEST_NAME} characters. Nothing was saved.")
    same = [view for view in visible(tx, user_id) if (view.name, view.is_shared) == (name, shared)]
    if same:
        old = (_v.workspace_id == tx.workspace, _v.id == same[0].id)
        tx.execute(sa.update(schema.saved_view).where(*old).values(query=query))
        return View(same[0].id, name, query, shared)
    if len(visible(tx, user_id)) >= MOST:
        raise UserError(f"There are {MOST} views already. Nothing was saved; remove one first.")
    row = {"workspace_id": tx.workspace, "user_id": None if shared else user_id, "name": name, "query": query}
    id_ = tx.execute(sa.insert(schema.saved_view).values(row).returning(_v.id)).scalar_one()
    return View(id_, name, query, shared)


def remove(tx: Tx, view_id: int) -> None:
    """Forget a view; whoever opened Contacts with it opens all contacts again."""
    tx.execute(sa.delete(schema.saved_view).where(_v.workspace_id == tx.workspace, _v.id == view_id))
    used = (_m.workspace_id == tx.workspace, _m.first_view == view_id)
    tx.execute(sa.update(schema.membership).where(*used).values(first_view=None))


def remove_all_of(tx: Tx, user_id: int) -> None:
    """Forget a person's own views."""
    tx.execute(sa.delete(schema.saved_view).where(_v.workspace_id == tx.workspace, _v.user_id == user_id))


def first(tx: Tx, user_id: int) -> View | None:
    """The view that Contacts opens with for this person; None is all contacts."""
    chosen = sa.select(_m.first_view).where(_m.workspace_id == tx.workspace, _m.user_id == user_id).scalar_subquery()
    query = sa.select(_v.id, _v.name, _v.query, _v.user_id.is_(None))
    row = tx.execute(query.where(*_seen_by(tx, user_id), _v.id == chosen)).first()
    return View(*row) if row else None


def set_first(tx: Tx, user_id: int, view_id: int | None) -> None:
    """Let Contacts open with a view; None is all contacts."""
    mine = (_m.workspace_id == tx.workspace, _m.user_id == user_id)
    tx.execute(sa.update(schema.membership).where(*mine).values(first_view=view_id))


def _seen_by(tx: Tx, user_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _v.workspace_id == tx.workspace, sa.or_(_v.user_id.is_(None), _v.user_id == user_id)
