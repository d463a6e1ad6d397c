"""Runs: ask for one, watch it, see what it changed, cancel, undo, apply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from mercuri.core.contact import PortalId, RunId
from mercuri.engine import edit
from mercuri.engine import run as engine_run
from mercuri.errors import NotFound
from mercuri.store import changes, failures, runs
from mercuri.web.api.access import Caller, Manager, Reader
from mercuri.web.api.models import ChangeOut, ChangePage, FailureOut, FailurePage, Run, RunIn, RunPage
from mercuri.web.api.paging import Cursor, Limit, following, starting_at
from mercuri.web.api.portals import the_portal
from mercuri.web.api.problems import ProblemRoute

router = APIRouter(tags=["sync runs"], route_class=ProblemRoute)

RunPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
State = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "stopped"]
END_STATES = frozenset({"done", "failed", "cancelled", "stopped"})
#: How often a watched run is looked at, in seconds.
LOOK_EVERY = 0.5
#: A comment is sent after this many looks without news, so that proxies keep the connection.
QUIET_LOOKS = 30


@router.post("/sync-runs", status_code=202)
def start_run(who: Manager, response: Response, body: RunIn = RunIn()) -> Run:
    """Ask for a run. While one is live for the portal the answer is 409 with that run as `present`."""
    portal = the_portal(who, body.portal_id)
    made = engine_run.request(
        who.app, who.ws, portal, full=body.full, preview=body.preview, trigger="api", actor=who.actor
    )
    return _located(response, made)


@router.get("/sync-runs")
def list_runs(
    who: Reader,
    portal: Annotated[str | None, Query(max_length=50)] = None,
    state: State | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> RunPage:
    """Runs, newest first."""
    with who.app.db.read(who.ws) as tx:
        rows = runs.recent(tx, PortalId(portal) if portal else None, state, before=_before(cursor), limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return RunPage(items=[Run.model_validate(row) for row in items], next_cursor=next_cursor)


@router.get("/sync-runs/{run_id}")
def read_run(who: Reader, run_id: RunPath) -> Run:
    """One run, live or ended."""
    return Run.model_validate(_stored(who, run_id))


@router.get("/sync-runs/{run_id}/changes")
def run_changes(who: Reader, run_id: RunPath, cursor: Cursor = None, limit: Limit = 100) -> ChangePage:
    """What the run changed, or what a preview would change, oldest first."""
    with who.app.db.read(who.ws) as tx:
        runs.get(tx, RunId(run_id))
        rows = changes.of_run(tx, RunId(run_id), after=starting_at(cursor) or 0, limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return ChangePage(items=[ChangeOut.model_validate(row) for row in items], next_cursor=next_cursor)


@router.get("/sync-runs/{run_id}/failures")
def run_failures(who: Reader, run_id: RunPath, cursor: Cursor = None, limit: Limit = 100) -> FailurePage:
    """Records that fail since this run: why, and what to fix."""
    with who.app.db.read(who.ws) as tx:
        runs.get(tx, RunId(run_id))
        rows = failures.of_run(tx, RunId(run_id), after=starting_at(cursor) or 0, limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return FailurePage(items=[FailureOut.model_validate(row) for row in items], next_cursor=next_cursor)


@router.get("/failures")
def all_failures(
    who: Reader, portal: Annotated[str | None, Query(max_length=50)] = None, cursor: Cursor = None, limit: Limit = 100
) -> FailurePage:
    """What fails at present, of all runs and of none: also every opt-out that HubSpot could not be told."""
    with who.app.db.read(who.ws) as tx:
        named = PortalId(portal) if portal else None
        rows = failures.recent(tx, portal=named, after=starting_at(cursor) or 0, limit=limit + 1)
    items, next_cursor = following(rows, limit)
    return FailurePage(items=[FailureOut.model_validate(row) for row in items], next_cursor=next_cursor)


@router.post("/sync-runs/{run_id}/failures/retry", status_code=202)
def retry_failures(who: Manager, run_id: RunPath) -> dict[str, int]:
    """Try every failing record of this run again with the next run; answers how many."""
    with who.app.db.read(who.ws) as tx:
        runs.get(tx, RunId(run_id))
        ids = [row.id for row in failures.of_run(tx, RunId(run_id), after=0, limit=10_000)]
    return {"retried": edit.retry_failures(who.app, who.ws, ids, who.actor)}


@router.get("/sync-runs/{run_id}/events", response_class=StreamingResponse)
async def run_events(who: Reader, run_id: RunPath, request: Request) -> StreamingResponse:
    """The run as server-sent events: one `run` event now and at each change, until it ends."""
    first = await run_in_threadpool(_document, who, run_id)
    return StreamingResponse(
        _events(who, run_id, request, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/sync-runs/{run_id}/cancel", status_code=202)
def cancel_run(who: Manager, run_id: RunPath) -> Run:
    """Ask a live run to stop at its next safe point; what it has done stays."""
    engine_run.cancel(who.app, who.ws, RunId(run_id), who.actor)
    return Run.model_validate(_stored(who, run_id))


@router.post("/sync-runs/{run_id}/undo", status_code=202)
def undo_run(who: Manager, run_id: RunPath, response: Response) -> Run:
    """Put back what the run changed and nobody touched since; a new run of kind `undo`."""
    return _located(response, engine_run.undo(who.app, who.ws, RunId(run_id), who.actor, "api"))


@router.post("/sync-runs/{run_id}/apply", status_code=202)
def apply_run(who: Manager, run_id: RunPath, response: Response) -> Run:
    """Carry out what a preview showed; a new run."""
    return _located(response, engine_run.apply(who.app, who.ws, RunId(run_id), who.actor, "api"))


def _before(cursor: str | None) -> RunId | None:
    row = starting_at(cursor)
    return None if row is None else RunId(row)


def _stored(who: Caller, run_id: int) -> runs.Run:
    with who.app.db.read(who.ws) as tx:
        return runs.get(tx, RunId(run_id))


def _document(who: Caller, run_id: int) -> tuple[str, bool]:
    run = Run.model_validate(_stored(who, run_id))
    return run.model_dump_json(), run.state in END_STATES


async def _events(who: Caller, run_id: int, request: Request, first: tuple[str, bool]) -> AsyncIterator[str]:
    text, ended = first
    yield f"event: run\ndata: {text}\n\n"
    quiet = 0
    while not ended and not await request.is_disconnected():
        await asyncio.sleep(LOOK_EVERY)
        try:
            seen, ended = await run_in_threadpool(_document, who, run_id)
        except NotFound:
            return
        quiet = 0 if seen != text else quiet + 1
        if seen != text:
            text = seen
            yield f"event: run\ndata: {text}\n\n"
        elif quiet % QUIET_LOOKS == 0:
            yield ": still here\n\n"


def _located(response: Response, run: runs.Run) -> Run:
    response.headers["Location"] = f"/api/v1/sync-runs/{run.id}"
    return Run.model_validate(run)
