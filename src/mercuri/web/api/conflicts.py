"""Conflicts: two values of one field, and the choice between them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from mercuri.engine import edit
from mercuri.store import conflicts
from mercuri.web.api.access import Manager, Reader
from mercuri.web.api.models import ConflictOut, ConflictPage, ConflictSide, ResolveIn
from mercuri.web.api.paging import Cursor, Limit, following, starting_at
from mercuri.web.api.problems import ProblemRoute

router = APIRouter(tags=["conflicts"], route_class=ProblemRoute)


@router.get("/conflicts")
def list_conflicts(
    who: Reader,
    state: Literal["open", "resolved", "decided"] = "open",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ConflictPage:
    """Conflicts, newest first: open ones wait for a person, `decided` ones were settled by a rule."""
    with who.app.db.read(who.ws) as tx:
        rows = conflicts.recent(tx, state=state, before=starting_at(cursor), limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return ConflictPage(items=[shown(row) for row in items], next_cursor=next_cursor)


@router.post("/conflicts/{conflict_id}/resolve")
def resolve_conflict(
    who: Manager, conflict_id: Annotated[int, Path(ge=1, le=2**63 - 1)], body: ResolveIn
) -> ConflictOut:
    """Settle an open conflict: one side's value, or a third with `take: other`."""
    return shown(edit.resolve_conflict(who.app, who.ws, conflict_id, body.take, who.actor, value=body.value))


def shown(row: conflicts.Conflict) -> ConflictOut:
    """A conflict as the API shows it."""
    return ConflictOut(
        id=row.id,
        contact_id=row.contact_id,
        field=row.field,
        mercuri=ConflictSide(value=row.local, changed_at=row.local_at, by=row.local_by),
        hubspot=ConflictSide(value=row.remote, changed_at=row.remote_at, by=row.remote_by),
        state=row.state,
        portal_id=row.portal_id,
        record_id=row.record_id,
        resolution=row.resolution,
        resolved_by=row.resolved_by,
    )
