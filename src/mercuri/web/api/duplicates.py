"""Duplicates: groups, merges and their undo, shared values, possible pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Path, Query, Response

from mercuri.core.contact import PortalId
from mercuri.engine import dedupe
from mercuri.store import duplicates, merges
from mercuri.store.duplicates import GroupQuery
from mercuri.web.api.access import Caller, Manager, Reader
from mercuri.web.api.duplicate_models import (
    BatchAsked,
    BatchOut,
    DismissIn,
    GroupOut,
    GroupPage,
    HubSpotIn,
    HubSpotMerge,
    MergeIn,
    MergeLine,
    MergeOut,
    MergePage,
    PossibleOut,
    PossiblePage,
    SafeIn,
    SafeOut,
    SharedIn,
    SharedOut,
    UndoIn,
    UndoneOut,
)
from mercuri.web.api.models import Contact
from mercuri.web.api.paging import Cursor, Limit, following, starting_at
from mercuri.web.api.problems import ProblemRoute

router = APIRouter(tags=["duplicates"], route_class=ProblemRoute)

IdPath = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/duplicates")
def list_groups(
    who: Reader,
    reason: Literal["email", "phone", "both"] | None = None,
    linked: Annotated[bool, Query(description="Only groups with two or more members in HubSpot")] = False,
    consent: Annotated[bool, Query(description="Only groups whose members differ in consent")] = False,
    sort: Literal["certain", "size", "newest"] = "certain",
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> GroupPage:
    """Groups of contacts that share a phone number or an e-mail."""
    query = GroupQuery(reason=reason or "", linked=linked, consent=consent, sort=sort, cursor=cursor, limit=limit)
    views, next_cursor = dedupe.list_groups(who.app, who.ws, query)
    with who.app.db.read(who.ws) as tx:
        totals = duplicates.totals(tx)
    return GroupPage(
        items=[GroupOut.of(view) for view in views],
        next_cursor=next_cursor,
        groups=totals.groups,
        contacts=totals.contacts,
    )


@router.get("/duplicates/possible")
def possible(who: Reader, cursor: Cursor = None, limit: Limit = 50) -> PossiblePage:
    """Pairs that weaker evidence suggests; they are never merged by themselves."""
    views, next_cursor = dedupe.possible_pairs(who.app, who.ws, cursor=cursor, limit=limit)
    return PossiblePage(items=[PossibleOut.of(view) for view in views], next_cursor=next_cursor)


@router.get("/duplicates/shared-values")
def shared_values(who: Reader, limit: Limit = 100) -> list[SharedOut]:
    """Values that join nobody: those declared shared, then those that too many contacts hold."""
    return [SharedOut.of(view) for view in dedupe.shared_values(who.app, who.ws, limit=limit)]


@router.post("/duplicates/shared-values", status_code=201)
def share(who: Manager, body: SharedIn) -> SharedOut:
    """Declare a value shared: it joins nobody from now on."""
    return SharedOut.of(dedupe.share(who.app, who.ws, body.kind, body.value, who.actor, body.note))


@router.delete("/duplicates/shared-values/{value_id}", status_code=204)
def unshare(who: Manager, value_id: IdPath) -> None:
    """Let a value join contacts again."""
    dedupe.unshare(who.app, who.ws, value_id, who.actor)


@router.post("/duplicates/merge-safe", response_model=SafeOut | BatchAsked, responses={202: {"model": BatchAsked}})
def merge_safe(
    who: Manager, response: Response, tasks: BackgroundTasks, body: SafeIn = SafeIn()
) -> SafeOut | BatchAsked:
    """Merge every group that is certainly one person (202 with a batch), or only count the next ones (`preview`)."""
    if body.preview:
        start = dedupe.SafePreview(reached=starting_at(body.cursor) or 0)
        return SafeOut.of(dedupe.preview_safe(who.app, who.ws, start))
    batch = dedupe.merge_safe(who.app, who.ws, who.actor)
    _work(who, batch, response, tasks)
    return BatchAsked(batch_id=batch.id)


def _work(who: Caller, batch: merges.Batch, response: Response, tasks: BackgroundTasks) -> None:
    """Begin with a batch once the answer is sent; what is left is a worker's."""
    tasks.add_task(dedupe.work_on_batches, who.app, who.ws)
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/merge-batches/{batch.id}"


@router.get("/duplicates/{group_id}")
def read_group(who: Reader, group_id: IdPath) -> GroupOut:
    """One group."""
    return GroupOut.of(dedupe.group(who.app, who.ws, group_id))


@router.post("/duplicates/{group_id}/merge")
def merge(who: Manager, group_id: IdPath, body: MergeIn = MergeIn()) -> MergeOut:
    """Merge a group into one contact. 409 with the present group when it changed since it was `seen`."""
    done = dedupe.merge(
        who.app,
        who.ws,
        group_id,
        who.actor,
        survivor_id=body.survivor_id,
        fields=body.fields,
        seen=body.seen,
        override=body.override,
    )
    return MergeOut.of(done)


@router.post("/duplicates/{group_id}/dismiss")
def dismiss(who: Manager, group_id: IdPath, body: DismissIn | None = None) -> dict[str, int]:
    """Remember that members of a group are different people; answers how many pairs."""
    pairs = body.pairs if body else None
    return {"pairs": dedupe.dismiss(who.app, who.ws, group_id, who.actor, pairs)}


@router.get("/merges")
def list_merges(who: Reader, cursor: Cursor = None, limit: Limit = 50) -> MergePage:
    """Merges, newest first."""
    with who.app.db.read(who.ws) as tx:
        rows = merges.recent(tx, before=starting_at(cursor), limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return MergePage(items=[MergeLine.of(row) for row in items], next_cursor=next_cursor)


@router.post("/merges/{merge_id}/undo")
def undo_merge(who: Manager, merge_id: IdPath, body: UndoIn = UndoIn()) -> UndoneOut:
    """Take a merge back; what somebody edited since stays."""
    done = dedupe.undo_merge(who.app, who.ws, merge_id, who.actor, confirm=body.confirm)
    return UndoneOut(merge_id=merge_id, contacts=[Contact.of(one) for one in done.contacts], kept=dict(done.kept))


@router.post("/merges/{merge_id}/hubspot")
def decide_in_hubspot(who: Manager, merge_id: IdPath, body: HubSpotIn) -> HubSpotMerge:
    """Carry a merge to HubSpot now, where it cannot be undone, or keep the records apart there."""
    portal = PortalId(body.portal_id) if body.portal_id else None
    return HubSpotMerge.of(dedupe.decide_in_hubspot(who.app, who.ws, merge_id, body.action, who.actor, portal=portal))


@router.get("/merge-batches/{batch_id}")
def read_batch(who: Reader, batch_id: IdPath) -> BatchOut:
    """How far a bulk merge, or its undo, is."""
    with who.app.db.read(who.ws) as tx:
        return BatchOut.of(merges.batch(tx, batch_id), merges.standing(tx, batch_id))


@router.post("/merge-batches/{batch_id}/undo", status_code=202)
def undo_batch(who: Manager, batch_id: IdPath, response: Response, tasks: BackgroundTasks) -> BatchOut:
    """Take every merge of a bulk merge back, newest first; what more happened after stays merged."""
    _work(who, dedupe.undo_batch(who.app, who.ws, batch_id, who.actor), response, tasks)
    return read_batch(who, batch_id)


@router.post("/merge-batches/{batch_id}/cancel")
def cancel_batch(who: Manager, batch_id: IdPath) -> BatchOut:
    """Stop a bulk merge, or its undo, after the step under way; what was done stays."""
    dedupe.cancel_batch(who.app, who.ws, batch_id, who.actor)
    return read_batch(who, batch_id)
