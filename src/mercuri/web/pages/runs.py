"""Runs: the list, one run live with its changes and failures, and what can be done about it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from mercuri.core.contact import PortalId, RunId, WorkspaceId
from mercuri.engine import consent_setup, edit
from mercuri.engine import run as engine_run
from mercuri.engine.csv_files import csv_lines
from mercuri.engine.portal import requests_per_second
from mercuri.errors import NotFound
from mercuri.store import changes, failures, portals, runs
from mercuri.store.changes import Change
from mercuri.store.database import Tx
from mercuri.store.failures import Failure
from mercuri.store.runs import Run
from mercuri.web import render
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.pages import sync
from mercuri.web.pages.naming import contact_names, field_kinds
from mercuri.web.services import app_of, may_edit

router = APIRouter()

RunPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]
#: Rows of a page of any list here.
PAGE = 50
#: Most failing things of one cause that are named.
SHOWN = 50
#: How often a watched run is looked at, in seconds; a comment goes out after so many looks without news.
LOOK_EVERY, QUIET_LOOKS = 0.5, 30
STATES = ("queued", "running", "waiting", "done", "failed", "cancelled", "stopped")
#: The parts that fetched is the sum of: key, tone of the bar, word.
PARTS = (
    ("created", "good", "new"),
    ("updated", "accent", "updated"),
    ("unchanged", "", "unchanged"),
    ("excluded", "warn", "excluded"),
    ("failing", "bad", "failing"),
)
#: What else a run counts.
FURTHER = (
    ("pushed_created", "created in HubSpot"),
    ("pushed_updated", "updated in HubSpot"),
    ("conflicts", "conflicts"),
    ("archived", "archived"),
)


#: How long a run has to have taken for its pace to mean something.
_TELLING = timedelta(seconds=1)


@dataclass(frozen=True)
class Live:
    """What a run's page tells of its pace; None where it cannot be told.

    Time left, time taken, contacts a second, and the part of HubSpot's limit that its requests took, in percent.
    """

    left: timedelta | None
    took: timedelta | None
    rate: int | None
    share: int | None
    may_edit: bool
    parts: ClassVar = PARTS
    further: ClassVar = FURTHER
    stages: ClassVar = sync.STAGES


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures that say the same, with what would mend them."""

    message: str
    fix: str
    failures: Sequence[Failure]


@router.get("/runs")
def index(
    request: Request,
    viewer: Viewer,
    state: str = "",
    portal: str = "",
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Every run, newest first."""
    wanted = state if state in STATES else None
    with app_of(request).db.read(viewer.workspace) as tx:
        known = [(p.id, p.name) for p in portals.all(tx)]
        chosen = PortalId(portal) if portal in dict(known) else None
        found = runs.recent(tx, chosen, wanted, before=RunId(before) if before else None, limit=PAGE + 1)
    more = f"/runs?state={state}&portal={portal}&before={found[PAGE - 1].id}" if len(found) > PAGE else None
    template = "parts/run_rows.html" if render.is_htmx(request) and before else "runs.html"
    return render.page(
        request,
        template,
        section="runs",
        runs=found[:PAGE],
        more_href=more,
        portals=known,
        portal=portal,
        state=state,
        state_options=[("", "Every state"), *((name, name.capitalize()) for name in STATES)],
    )


@router.get("/runs/{run_id}")
def show(
    request: Request,
    viewer: Viewer,
    run_id: RunPath,
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """One run: live while it is under way, then what it changed and what failed."""
    with app_of(request).db.read(viewer.workspace) as tx:
        run = runs.get(tx, RunId(run_id))
        rows, more = _some_changes(tx, run.id, q, after)
        failing = failures.of_run(tx, run.id, limit=1000)
        causes = _causes(failing)
        named = [row.contact_id for row in rows]
        named += [failure.contact_id for cause in causes for failure in cause.failures[:SHOWN]]
        names = contact_names(tx, {id_ for id_ in named if id_ is not None})
        total, kinds = changes.count(tx, run.id), field_kinds(tx)
        warnings = _warnings(tx, run, app_of(request).now())
    more_href = f"/runs/{run.id}?{urlencode({'q': q, 'after': more})}" if more else None
    if render.is_htmx(request) and after:
        return render.page(
            request, "parts/run_changes.html", changes=rows, names=names, kinds=kinds, more_href=more_href
        )
    return render.page(
        request,
        "run.html",
        section="runs",
        run=run,
        live=_live(request, viewer.workspace, run),
        changes=rows,
        names=names,
        kinds=kinds,
        more_href=more_href,
        q=q,
        total=total,
        causes=causes,
        shown=SHOWN,
        elsewhere=max(0, run.counts["failing"] - len(failing)) if not run.is_live else 0,
        warnings=warnings,
        may_edit=may_edit(request),
    )


def _live(request: Request, ws: WorkspaceId, run: Run) -> Live:
    app = app_of(request)
    took = (run.ended_at or app.now()) - run.started_at if run.started_at else None
    left = sync.time_left(run, app.now()) if run.is_live else None
    if took is None or took < _TELLING:
        return Live(left, took, None, None, may_edit(request))
    with app.db.read(ws) as tx:
        allowed = requests_per_second(app, portals.get(tx, run.portal_id)) * took.total_seconds()
    sent = sum(run.calls[kind] for kind in ("list", "read", "write", "other"))
    rate = round(run.counts["fetched"] / took.total_seconds())
    return Live(left, took, rate, min(100, round(100 * sent / allowed)), may_edit(request))


def _some_changes(tx: Tx, run: RunId, q: str, after: int) -> tuple[list[Change], int | None]:
    """A page of a run's changes that hold a text, and where the next page begins."""
    found: list[Change] = []
    for change in _all_changes(tx, run, after):
        if q.casefold() in f"{change.field} {change.before} {change.after} {change.reason}".casefold():
            found.append(change)
        if len(found) > PAGE:
            return found[:PAGE], found[PAGE - 1].id
    return found, None


def _all_changes(tx: Tx, run: RunId, after: int = 0) -> Iterator[Change]:
    while page := changes.of_run(tx, run, after=after, limit=500):
        yield from page
        after = page[-1].id


def _warnings(tx: Tx, run: Run, now: datetime) -> list[str]:
    """What is wrong with the properties that speak of consent, as of the portal's latest run."""
    if runs.recent(tx, run.portal_id, limit=1)[0].id != run.id:
        return []
    return consent_setup.warnings_of(tx, portals.get(tx, run.portal_id), now)


def _causes(found: Sequence[Failure]) -> list[Cause]:
    groups: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in found:
        groups[failure.message, failure.fix].append(failure)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [Cause(message, fix, group) for (message, fix), group in ordered]


@router.get("/runs/{run_id}/part")
def part(request: Request, viewer: Viewer, run_id: RunPath) -> Response:
    """The live part of a run's page, for a browser that cannot hear its events."""
    with app_of(request).db.read(viewer.workspace) as tx:
        run = runs.get(tx, RunId(run_id))
    return render.page(request, "parts/run_live.html", run=run, live=_live(request, viewer.workspace, run))


@router.get("/runs/{run_id}/events", response_class=StreamingResponse)
async def events(request: Request, viewer: Viewer, run_id: RunPath, part: str = "sync") -> StreamingResponse:
    """Server-sent events named `run`: the sync button, or the live part of the run's page, at each change."""
    first = await run_in_threadpool(_painted, request, viewer, run_id, part)
    return StreamingResponse(
        _events(request, viewer, run_id, part, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _painted(request: Request, viewer: Viewer, run_id: int, part: str) -> tuple[str, bool]:
    """The part as it is now, and whether the run is over."""
    app = app_of(request)
    with app.db.read(viewer.workspace) as tx:
        run = runs.get(tx, RunId(run_id))
        shown = sync.sync_shown(tx, app.now())
    if part == "run":
        text = render.text_of(request, "parts/run_live.html", run=run, live=_live(request, viewer.workspace, run))
    else:
        text = render.text_of(request, "parts/sync_button.html", sync=shown, may_edit=may_edit(request))
    return text, not run.is_live


async def _events(
    request: Request, viewer: Viewer, run_id: int, part: str, first: tuple[str, bool]
) -> AsyncIterator[str]:
    text, ended = first
    yield _event(text)
    quiet = 0
    while not ended and not await request.is_disconnected():
        await asyncio.sleep(LOOK_EVERY)
        try:
            seen, ended = await run_in_threadpool(_painted, request, viewer, run_id, part)
        except NotFound:
            return
        quiet = 0 if seen != text else quiet + 1
        if seen != text:
            text = seen
            yield _event(text)
        elif quiet % QUIET_LOOKS == 0:
            yield ": still here\n\n"


def _event(html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines())
    return f"event: run\n{lines}\n"


@router.get("/runs/{run_id}/changes.csv")
def download(request: Request, viewer: Viewer, run_id: RunPath) -> Response:
    """Every change of a run as a file."""
    with app_of(request).db.read(viewer.workspace) as tx:
        runs.get(tx, RunId(run_id))
    return StreamingResponse(
        _lines(request, viewer, RunId(run_id)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="run-{run_id}-changes.csv"'},
    )


def _lines(request: Request, viewer: Viewer, run: RunId) -> Iterator[str]:
    columns = ("contact", "record", "field", "side", "before", "after", "reason", "at")
    with app_of(request).db.read(viewer.workspace) as tx:
        yield from csv_lines(columns, (_cells(change) for change in _all_changes(tx, run)))


def _cells(change: Change) -> tuple[str, ...]:
    ids = (str(change.contact_id or ""), change.record_id or "")
    return (*ids, change.field, change.side, change.before, change.after, change.reason, change.at.isoformat())


@router.post("/runs/{run_id}/cancel")
def cancel(request: Request, manager: Manager, run_id: RunPath) -> Response:
    """Ask the run to stop after the page under way."""
    engine_run.cancel(app_of(request), manager.workspace, RunId(run_id), actor_of(manager))
    return render.see_other(request, f"/runs/{run_id}")


@router.post("/runs/{run_id}/undo")
def undo(request: Request, manager: Manager, run_id: RunPath) -> Response:
    """Put back what the run changed; the way there is the page of the undoing run."""
    made = engine_run.undo(app_of(request), manager.workspace, RunId(run_id), actor_of(manager), "button")
    return render.see_other(request, f"/runs/{made.id}")


@router.post("/runs/{run_id}/apply")
def apply(request: Request, manager: Manager, run_id: RunPath) -> Response:
    """Do what the preview showed."""
    made = engine_run.apply(app_of(request), manager.workspace, RunId(run_id), actor_of(manager), "button")
    return render.see_other(request, f"/runs/{made.id}")


@router.post("/runs/{run_id}/retry")
def retry(request: Request, manager: Manager, run_id: RunPath, form: Sent) -> Response:
    """Try failing records again with the next run: those named in `ids`, or all of this run."""
    app = app_of(request)
    ids = [int(text) for text in form.get("ids", "").split(",") if text.isdecimal() and len(text) < 19]
    if not ids:
        with app.db.read(manager.workspace) as tx:
            ids = [failure.id for failure in failures.of_run(tx, RunId(run_id), limit=10_000)]
    count = edit.retry_failures(app, manager.workspace, ids, actor_of(manager))
    response = render.see_other(request, f"/runs/{run_id}")
    return render.toast(request, response, f"{count} will be tried again with the next sync.")
