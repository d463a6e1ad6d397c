"""The Sync Contacts button: what it shows, and what pressing it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, Response

from mercuri.core.contact import RunId
from mercuri.engine import run as engine_run
from mercuri.errors import Clash, UserError
from mercuri.store import failures, portals, runs
from mercuri.store.database import Tx
from mercuri.store.portals import Portal
from mercuri.store.runs import Run
from mercuri.web import render, words
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.services import app_of, may_edit

router = APIRouter()

#: How a stage is said while a run is live.
STAGES = {
    "observe": "reading HubSpot",
    "match": "matching people",
    "compare": "comparing values",
    "write": "writing changes",
    "check": "checking what was written",
}
#: A rate is worth a forecast once a run is this old.
_FORECAST_AFTER = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class SyncShown:
    """The button and its line. `state` is none, reconnect, idle, queued, running, waiting, failed or stopped."""

    state: str
    label: str = ""
    note: str = ""
    run: int | None = None
    done: int = 0
    expected: int | None = None
    synced_at: datetime | None = None
    last_run: int | None = None
    next_at: datetime | None = None
    failing: int = 0
    resume_at: datetime | None = None
    portals: Sequence[tuple[str, str]] = ()

    @property
    def is_live(self) -> bool:
        """Whether a run is under way."""
        return self.state in runs.LIVE

    @property
    def may_start(self) -> bool:
        """Whether pressing it starts a run."""
        return self.state in ("idle", "failed", "stopped")


def sync_shown(tx: Tx, now: datetime) -> SyncShown:
    """The button as the database has it now."""
    known = [portal for portal in portals.all(tx) if portal.state != "disconnected"]
    latest = [run for portal in known for run in runs.recent(tx, portal=portal.id, limit=1)]
    done = [run for portal in known for run in runs.recent(tx, portal=portal.id, state="done", limit=1)]
    return decide(known, latest, done, failures.count(tx), now)


def decide(
    known: Sequence[Portal], latest: Sequence[Run], done: Sequence[Run], failing: int, now: datetime
) -> SyncShown:
    """What the button shows for these portals, their latest runs and their last successful ones."""
    if not known:
        return SyncShown("none", note="Connect your HubSpot account to fetch its contacts.")
    live = next((run for run in latest if run.is_live), None)
    if live is not None:
        return _live(live, now)
    broken = next((portal for portal in known if portal.state == "reconnect"), None)
    last = max(done, key=lambda run: run.id, default=None)
    newest = max(latest, key=lambda run: run.id, default=None)
    state, note = "idle", ""
    if broken is not None:
        state, note = "reconnect", broken.problem or "HubSpot no longer accepts our access. What was read is kept."
    elif newest is not None and newest.state in ("failed", "stopped"):
        state, note = newest.state, newest.message
    nexts = [portal.next_at for portal in known if portal.next_at and portal.settings.schedule != "off"]
    return SyncShown(
        state,
        note=note,
        run=newest.id if newest else None,
        synced_at=last.ended_at if last else None,
        last_run=last.id if last else None,
        next_at=min(nexts, default=None),
        failing=failing,
        portals=[(portal.id, portal.name) for portal in known],
    )


def _live(run: Run, now: datetime) -> SyncShown:
    done, expected = run.counts["fetched"], run.expected or None
    if run.state == "queued":
        return SyncShown("queued", "Queued", "Starts in a moment.", run.id)
    if run.state == "waiting":
        note = run.message or "HubSpot's limit is used up."
        return SyncShown("waiting", "Waiting", note, run.id, resume_at=run.resume_at)
    label = f"Syncing {min(99, done * 100 // expected)} %" if expected else "Syncing"
    parts = [STAGES.get(run.stage, "starting")]
    if done:
        parts.append(f"{words.number(done)} of {words.number(expected)}" if expected else f"{words.number(done)} read")
    left = time_left(run, now)
    if left is not None:
        parts.append(f"about {words.span(left)} left")
    return SyncShown("running", label, ", ".join(parts), run.id, done, expected)


def time_left(run: Run, now: datetime) -> timedelta | None:
    """How long the rest of a run will take at its rate so far; None while that cannot be told."""
    done, expected = run.counts["fetched"], run.expected or 0
    if not done or expected <= done or run.started_at is None or now - run.started_at < _FORECAST_AFTER:
        return None
    return (now - run.started_at) * (expected - done) / done


@router.get("/sync/status")
def status(request: Request, viewer: Viewer) -> HTMLResponse:
    """The button alone, for a page that cannot hear the run's events."""
    app = app_of(request)
    with app.db.read(viewer.workspace) as tx:
        shown = sync_shown(tx, app.now())
    return part(request, shown)


def part(request: Request, shown: SyncShown) -> HTMLResponse:
    """The button as a part."""
    return render.page(request, "parts/sync_button.html", sync=shown, may_edit=may_edit(request))


def _run_or_live(request: Request, manager: Manager, portal: Portal, preview: bool, full: bool) -> Run:
    try:
        return engine_run.request(
            app_of(request),
            manager.workspace,
            portal.id,
            full=full,
            preview=preview,
            trigger="button",
            actor=actor_of(manager),
        )
    except Clash as clash:
        if not isinstance(clash.present, Run):
            raise
        return clash.present


@router.post("/sync/{run_id}/cancel")
def cancel(request: Request, manager: Manager, run_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Ask a run to stop after the page under way."""
    engine_run.cancel(app_of(request), manager.workspace, RunId(run_id), actor_of(manager))
    return status(request, manager) if render.is_htmx(request) else render.see_other(request, "/contacts")


@router.post("/sync")
def start(request: Request, manager: Manager, form: Annotated[Form, Depends(sent)]) -> Response:
    """Start a run of every connected portal, or of one; where one is live, show that one."""
    app = app_of(request)
    preview = bool(form.get("preview"))
    with app.db.read(manager.workspace) as tx:
        chosen = [p for p in portals.all(tx) if p.state == "connected" and form.get("portal", p.id) == p.id]
    if not chosen:
        raise UserError("No HubSpot account is connected. Nothing was started. Connect one in Settings.")
    started = [_run_or_live(request, manager, portal, preview, bool(form.get("full"))) for portal in chosen]
    if preview:
        return render.see_other(request, f"/runs/{started[-1].id}")
    if not render.is_htmx(request):
        return render.see_other(request, "/contacts")
    response = status(request, manager)
    response.headers["HX-Trigger"] = "sync-started"
    return response
