"""What runs when. A duty looks for work in our tables, so a missed one costs time, not data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mercuri.core.contact import WorkspaceId
from mercuri.engine import consent, consent_check, dedupe, hints, inbox, journal
from mercuri.engine import run as runs
from mercuri.engine import schedule as times
from mercuri.engine.app import SYSTEM, App
from mercuri.errors import Clash
from mercuri.store import outbox, portals
from mercuri.store import runs as stored_runs
from mercuri.store.portals import Portal
from mercuri.store.runs import Run

#: How often a portal with a schedule is read completely: records erased in HubSpot vanish from its lists unannounced.
SWEEP_EVERY = timedelta(days=1)
#: How long a run that came by itself and found nothing is kept, and a write to HubSpot whose outcome is known.
QUIET_LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to look after in every workspace, at most once per `period`.

    One that is `always` done does not wait for the scheduler to be on.
    """

    name: str
    period: timedelta
    act: Callable[[App, WorkspaceId], None]
    always: bool = False


def start_scheduled(app: App, ws: WorkspaceId) -> None:
    """Ask for the runs that are due. A time missed while nobody was running is caught up once."""
    for portal in _connected(app, ws):
        if portal.settings.schedule == "off":
            continue
        now = app.now()
        following = times.next_time(portal.settings.schedule, now, str(portal.account.get("time_zone") or "UTC"))
        if portal.next_at is not None and portal.next_at <= now:
            try:
                runs.request(app, ws, portal.portal_id, trigger="schedule", actor=SYSTEM)
            except Clash:
                # A run is under way: it reads what this one would have read.
                pass
        if portal.next_at is None or portal.next_at <= now:
            with app.db.write(ws) as tx:
                portals.save(tx, portal.portal_id, next_at=following)


def start_sweeps(app: App, ws: WorkspaceId) -> None:
    """Ask for a full run of every portal that needs one: it finds what no other reading can."""
    for portal in _connected(app, ws):
        with app.db.read(ws) as tx:
            last = stored_runs.newest(tx, portal.portal_id, "full")
        try:
            if last is not None and runs.is_put_aside(last, app.now()):
                _go_on(app, ws, last)
            elif _is_sweep_due(portal, last, app.now()):
                runs.request(app, ws, portal.portal_id, full=True, trigger="schedule", actor=SYSTEM)
        except Clash:
            continue  # a run is under way: the sweep follows it


def _go_on(app: App, ws: WorkspaceId, aside: Run) -> None:
    if aside.resume_at is not None and aside.resume_at <= app.now():
        runs.resume_sweep(app, ws, aside)


def _is_sweep_due(portal: Portal, last: Run | None, now: datetime) -> bool:
    """A day after the last one where there is a schedule, and once where events of the journal may be lost."""
    if portal.watermark is None:
        return False
    noticed = journal.gap_at(portal)
    if noticed is not None and (last is None or last.created_at < noticed):
        return True
    is_tried = last is not None and now - last.created_at < SWEEP_EVERY
    is_swept = portal.swept_at is not None and now - portal.swept_at < SWEEP_EVERY and noticed is None
    return not is_tried and not is_swept and (portal.settings.schedule != "off" or noticed is not None)


def push_opt_outs(app: App, ws: WorkspaceId) -> None:
    """Tell every portal of the opt-outs that wait, also while a run is under way there."""
    with app.db.read(ws) as tx:
        known = [portal.id for portal in portals.all(tx) if portal.state == "connected"]
    for portal_id in known:
        consent.push_outs(app, ws, portal_id)


def take_in(app: App, _: WorkspaceId) -> None:
    """Take in what HubSpot's calls left beside the database."""
    inbox.take_in(app)


def settle_duplicates(app: App, ws: WorkspaceId) -> None:
    """Finish what others began: groups that wait, and the merges in HubSpot whose hold is over."""
    dedupe.drain(app, ws)
    dedupe.hubspot_merges_due(app, ws)


def merge_in_bulk(app: App, ws: WorkspaceId) -> None:
    """A turn of the bulk merges, and of their undos; short, so that a worker that stops need not wait for their end."""
    dedupe.work_on_batches(app, ws)


def check_duplicates(app: App, ws: WorkspaceId) -> None:
    """Compare all groups of duplicates with a rebuild from scratch."""
    dedupe.nightly_check(app, ws)


def check_consent(app: App, ws: WorkspaceId) -> None:
    """Compare the state of every address with the evidence for it."""
    consent_check.nightly_check(app, ws)


def forget(app: App, ws: WorkspaceId) -> None:
    """Drop what nobody asks for any more: runs that came by themselves and found nothing, writes that were settled."""
    with app.db.write(ws) as tx:
        stored_runs.forget_quiet(tx, app.now() - QUIET_LIFE)
        outbox.forget_settled(tx, app.now() - QUIET_LIFE)


def _connected(app: App, ws: WorkspaceId) -> list[Portal]:
    with app.db.read(ws) as tx:
        return [portal for portal in portals.all(tx) if portal.state == "connected"]


#: The whole list.
DUTIES: tuple[Duty, ...] = (
    Duty("opt-outs", timedelta(0), push_opt_outs, always=True),
    Duty("inbox", timedelta(0), take_in, always=True),
    Duty("hints", timedelta(seconds=1), hints.look),
    Duty("journal", timedelta(seconds=10), journal.read),
    Duty("scheduled runs", timedelta(seconds=5), start_scheduled),
    Duty("sweeps", timedelta(minutes=1), start_sweeps),
    Duty("duplicates", timedelta(seconds=2), settle_duplicates, always=True),
    Duty("bulk merges", timedelta(0), merge_in_bulk, always=True),
    Duty("check of duplicates", timedelta(days=1), check_duplicates),
    Duty("check of consent", timedelta(days=1), check_consent),
    Duty("old rows", timedelta(hours=6), forget, always=True),
)
