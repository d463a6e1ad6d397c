"""One run from start to end: asked for, done step by step, resumed after a crash, stopped safely, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mercuri.core.contact import PortalId, RunId, WorkspaceId
from mercuri.core.retry import FailureClass, next_try
from mercuri.core.settings import PortalSettings
from mercuri.engine import (
    allowance,
    comparing,
    increment,
    load,
    optout_push,
    parting,
    proof,
    push,
    schema,
    settle,
    sweep,
)
from mercuri.engine import preview as plans
from mercuri.engine import undo as undoing
from mercuri.engine.app import Actor, App, require
from mercuri.engine.portal import client_for
from mercuri.engine.work import CHECKPOINT_VERSION, LEASE, Stopped, Work
from mercuri.errors import AppError, Clash, HubSpotError, RateLimited, SafetyStop, Unauthorised, Unavailable, UserError
from mercuri.hubspot.client import Calls
from mercuri.hubspot.pacing import Cancelled, Lane
from mercuri.store import failures, outbox, portals, runs, workspaces
from mercuri.store.database import Tx
from mercuri.store.portals import LeaseLost, Portal
from mercuri.store.runs import Run

#: How old the place in the list may be at which a failed or cancelled load is taken up by the next run.
CURSOR_LIFE = timedelta(days=1)

_PUT_ASIDE = "The full sync was put aside: its part of today's requests is used up. It goes on by itself tomorrow."
_GOES_ON = "What was stored so far is kept, and the next run goes on from there."
#: What somebody waits for; the rest comes by itself.
_ASKED = ("button", "cli", "api")
_LANES = {**dict.fromkeys(_ASKED, Lane.BUTTON), "webhook": Lane.WEBHOOK}

Progress = Callable[[Run], None]


def request(
    app: App,
    ws: WorkspaceId,
    portal_id: PortalId,
    *,
    full: bool = False,
    preview: bool = False,
    trigger: str,
    actor: Actor,
    two_way: bool | None = None,
) -> Run:
    """Queue a run of a connected portal. Raises Clash with the live run when there is one.

    The first run of a portal is a full one, and so is the next one once another property speaks of consent. A preview
    may ask what turning `two_way` on would do. What somebody asks for tries at once what waits for its next try, and
    lets a live run go on that waits because HubSpot did not answer.
    """
    require(actor, "manager")
    if trigger in _ASKED and not preview:
        _hurry(app, ws, portal_id)
    with app.db.write(ws) as tx:
        portal = _connected(tx, portal_id)
        reread = bool(portal.reading.get("reread")) and trigger != "webhook"
        kind = "full" if full or reread or portal.watermark is None else "incremental"
        options = {} if two_way is None else {"two_way": two_way}
        found = _create(tx, app, portal, kind, trigger, actor, preview=preview, options=options)
        if kind == "full" and not preview and not reread:
            _take_up(tx, found, app.now())
    app.wake()
    return found


def _hurry(app: App, ws: WorkspaceId, portal_id: PortalId) -> None:
    with app.db.write(ws) as tx:
        outbox.retry_all_now(tx, portal_id, claimed_until=app.now() + optout_push.CLAIM)
        live = runs.live(tx, portal_id)
        if live is not None and live.state == "waiting" and live.checkpoint.get("waits"):
            runs.save(tx, live.id, resume_at=app.now())
    app.wake()


def cancel(app: App, ws: WorkspaceId, run_id: RunId, actor: Actor) -> None:
    """Ask a run to stop after the page under way; one that no worker has begun stops at once."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        found = runs.get(tx, run_id)
        runs.ask_cancel(tx, run_id)
        if found.state in ("queued", "waiting") and portals.lease_holder(tx, found.portal_id, app.now()) is None:
            _finish(tx, app, run_id, "cancelled", "Stopped. What was stored so far is kept.")


def undo(app: App, ws: WorkspaceId, run_id: RunId, actor: Actor, trigger: str) -> Run:
    """Queue a run that undoes another one. Raises Clash while a run of the portal is under way."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        done = runs.get(tx, run_id)
        if done.preview or done.is_live:
            raise UserError("Only a run that is over and was no preview can be undone. Nothing was changed.")
        if done.undone_by is not None:
            raise UserError(f"Run {run_id} was undone by run {done.undone_by}. Nothing was changed.")
        made = _create(tx, app, _connected(tx, done.portal_id), "undo", trigger, actor, undo_of=run_id)
    app.wake()
    return made


def apply(app: App, ws: WorkspaceId, run_id: RunId, actor: Actor, trigger: str) -> Run:
    """Queue the run that a preview showed; what changed since the preview is left for the next one.

    A preview of turning two-way on turns it on. Raises Clash while a run of the portal is under way.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        shown = runs.get(tx, run_id)
        if not shown.preview or shown.state != "done":
            raise UserError("Only a preview that is done can be applied. Nothing was changed.")
        portal = _connected(tx, shown.portal_id)
        if shown.options.get("two_way"):
            portals.update_settings(tx, portal.id, replace(portal.settings, two_way=True))
        portals.save(tx, portal.id, reading={**portal.reading, "compare": app.now().isoformat()})
        made = _create(tx, app, portal, shown.kind, trigger, actor, options={"apply_of": run_id})
    app.wake()
    return made


def resume_sweep(app: App, ws: WorkspaceId, aside: Run) -> None:
    """Go on with a sweep that was put aside. Raises Clash while a run of the portal is under way."""
    with app.db.write(ws) as tx:
        live = runs.live(tx, aside.portal_id)
        if live is not None:
            raise Clash("A run of this portal is under way. Nothing was started.", live)
        runs.save(tx, aside.id, state="queued", message="", resume_at=None, ended_at=None)
    app.wake()


def is_put_aside(found: Run, now: datetime) -> bool:
    """Whether a sweep waits for its part of another day's requests, and its place in the list is still good."""
    is_recent = found.ended_at is not None and now - found.ended_at < CURSOR_LIFE
    return found.state == "cancelled" and found.resume_at is not None and found.undone_by is None and is_recent


def free_of_dead(app: App, ws: WorkspaceId, run_id: RunId, is_dead: Callable[[str], bool]) -> None:
    """Free a run's portal of an owner that is certainly dead, so that nobody waits for the end of its lease."""
    with app.db.write(ws) as tx:
        portal_id = runs.get(tx, run_id).portal_id
        owner = portals.lease_holder(tx, portal_id, app.now())
        if owner is not None and is_dead(owner):
            portals.end_lease(tx, portal_id, owner)


def give_up(app: App, ws: WorkspaceId, run_id: RunId, message: str) -> None:
    """End a run that met an error nobody foresaw, so that it is not begun again for ever."""
    with app.db.write(ws) as tx:
        if runs.get(tx, run_id).is_live:
            _finish(tx, app, run_id, "failed", message)


def execute(app: App, ws: WorkspaceId, run_id: RunId, *, owner: str, progress: Progress | None = None) -> Run:
    """Do a run, or go on with it where it was left, until it is over or has to wait (`resume_at`).

    `owner` names who executes; a run that someone else executes, or that is over, is returned as it is.
    """
    fence = _take_lease(app, ws, run_id, owner)
    if fence is None:
        with app.db.read(ws) as tx:
            return runs.get(tx, run_id)
    with app.db.read(ws) as tx:
        found = runs.get(tx, run_id)
    try:
        state, values = _execute(app, ws, found, fence, owner, progress)
        with app.db.write(ws) as tx:
            portals.check_fence(tx, found.portal_id, fence)
            _finish(tx, app, run_id, state, **values)
    except LeaseLost:
        pass
    finally:
        with app.db.write(ws) as tx:
            portals.release_lease(tx, found.portal_id, fence)
    with app.db.read(ws) as tx:
        found = runs.get(tx, run_id)
    if progress:
        progress(found)
    return found


def _execute(
    app: App, ws: WorkspaceId, found: Run, fence: int, owner: str, progress: Progress | None
) -> tuple[str, dict[str, Any]]:
    """Do the steps; the state in which the run is left, and what to say."""
    calls = Calls()
    for name, number in found.calls.items():
        setattr(calls, name, number)
    try:
        work = _open(app, ws, found, fence, owner, calls, progress)
        _do(work)
    except (Stopped, Cancelled):
        return "cancelled", {"message": "Stopped. What was stored so far is kept."}
    except SafetyStop as stop:
        return "stopped", {"message": stop.message}
    except Unauthorised as error:
        with app.db.write(ws) as tx:
            portals.set_state(tx, found.portal_id, "reconnect", error.message)
        return "failed", {"message": f"{error.message} {_GOES_ON}"}
    except RateLimited as error:
        until = app.now() + timedelta(seconds=error.retry_after)
        if allowance.is_sweeps_part(error, _lane(found)):
            # As a live run it would keep all others waiting until tomorrow.
            return "cancelled", {"message": _PUT_ASIDE, "resume_at": until}
        allowance.park(app, ws, found.portal_id, error, until)
        return "waiting", _waiting(until, error)
    except Unavailable as error:
        return "waiting", _waiting(_next_try(app, ws, found.id), error)
    except HubSpotError as error:
        return "failed", {"message": f"{error.message} {_GOES_ON}"}
    except UserError as error:
        return "failed", {"message": error.message}
    finally:
        with app.db.write(ws) as tx:
            runs.save(tx, found.id, calls=calls.as_dict())
        allowance.note_usage(app, ws, found.portal_id, found.calls, calls.as_dict())
    return "done", {"message": _summary(work)}


def _waiting(until: datetime, error: AppError) -> dict[str, Any]:
    return {"message": f"{error.message} The run goes on by itself.", "resume_at": until}


def _next_try(app: App, ws: WorkspaceId, run_id: RunId) -> datetime:
    """The ladder, counted from the last step that was stored."""
    with app.db.write(ws) as tx:
        checkpoint = dict(runs.get(tx, run_id).checkpoint)
        checkpoint["waits"] = checkpoint.get("waits", 0) + 1
        runs.save(tx, run_id, checkpoint=checkpoint)
    return next_try(FailureClass.SERVER, checkpoint["waits"], app.now()) or app.now()


def _summary(work: Work) -> str:
    """What is left to say of a run that came to its end; a portal that had to be connected again works again."""
    with work.app.db.write(work.ws) as tx:
        failing = failures.count(tx, run=work.run.id)
        if portals.get(tx, work.portal_id).state == "reconnect":
            portals.set_state(tx, work.portal_id, "connected")
    return f"{failing} could not be synced; each has its reason." if failing else ""


def _take_lease(app: App, ws: WorkspaceId, run_id: RunId, owner: str) -> int | None:
    with app.db.write(ws) as tx:
        found, now = runs.get(tx, run_id), app.now()
        if not found.is_live:
            return None
        fence = portals.take_lease(tx, found.portal_id, owner, now, now + LEASE)
        if fence is not None:
            runs.save(tx, run_id, state="running", started_at=found.started_at or now, resume_at=None, message="")
        return fence


def _finish(tx: Tx, app: App, run_id: RunId, state: str, message: str = "", resume_at: datetime | None = None) -> None:
    over = None if state == "waiting" else app.now()
    runs.save(tx, run_id, state=state, message=message, resume_at=resume_at, ended_at=over)


def _connected(tx: Tx, portal_id: PortalId) -> Portal:
    portal = portals.get(tx, portal_id)
    if portal.state == "disconnected":
        raise UserError(f"Portal {portal_id} is disconnected. Nothing was started; connect it again.")
    return portal


def _create(
    tx: Tx,
    app: App,
    portal: Portal,
    kind: str,
    trigger: str,
    actor: Actor,
    *,
    preview: bool = False,
    options: dict[str, Any] | None = None,
    undo_of: RunId | None = None,
) -> Run:
    live = runs.live(tx, portal.id)
    if live is not None:
        raise Clash("A run of this portal is under way. Nothing was started.", live)
    made = runs.create(
        tx,
        portal.id,
        kind=kind,
        trigger=trigger,
        at=app.now(),
        preview=preview,
        options=options or {},
        undo_of=undo_of,
        requested_by=actor.name,
    )
    return allowance.hold_back(tx, portal, made, app.now())


def _take_up(tx: Tx, new: Run, now: datetime) -> None:
    """Let a full run begin where the last one was cut short, when its place in the list is still good."""
    before = [run for run in runs.recent(tx, new.portal_id, before=new.id, limit=5) if not run.preview]
    if not before or before[0].kind != "full" or before[0].state not in ("failed", "cancelled"):
        return
    place = before[0].checkpoint
    is_recent = before[0].ended_at is not None and now - before[0].ended_at < CURSOR_LIFE
    is_cut = bool(place.get("place")) and not place.get("read")
    if place.get("v") == CHECKPOINT_VERSION and is_cut and is_recent:
        kept = {key: place[key] for key in ("v", "place", "started")}
        runs.save(tx, new.id, checkpoint={**kept, "step": "load"})


def _open(
    app: App, ws: WorkspaceId, found: Run, fence: int, owner: str, calls: Calls, progress: Progress | None
) -> Work:
    """What the run works with; the portal's schema is asked for when ours is old."""
    with app.db.read(ws) as tx:
        portal, region = _connected(tx, found.portal_id), workspaces.settings(tx).default_region

    def cancelled() -> bool:
        with app.db.read(ws) as tx:
            return runs.is_cancelled(tx, found.id)

    client = client_for(app, ws, portal, _lane(found), calls, cancelled)
    settings = _settings(portal, found)
    known = schema.known(app, ws, portal, settings, client, is_full=found.kind == "full")
    with app.db.read(ws) as tx:
        portal = portals.get(tx, portal.id)
    return Work(
        app=app,
        ws=ws,
        portal=portal,
        settings=settings,
        carried=schema.carried(settings, known, region),
        region=region,
        own_id=app.vault.keyed_hash(f"workspace {ws}")[:10],
        run=found,
        client=client,
        fence=fence,
        owner=owner,
        progress=progress,
        counts=Counter(found.counts),
        checkpoint=_checkpoint(found),
    )


def _lane(found: Run) -> Lane:
    """How urgent the requests are: a full run that nobody waits for leaves room for all others."""
    if found.kind == "full" and found.trigger == "schedule":
        return Lane.SWEEP
    return _LANES.get(found.trigger, Lane.INCREMENT)


def _checkpoint(found: Run) -> dict[str, Any]:
    """Where the run was left; nothing when an older version of the program wrote it down in another form."""
    place = dict(found.checkpoint)
    return place if place.pop("v", CHECKPOINT_VERSION) == CHECKPOINT_VERSION else {}


def _settings(portal: Portal, found: Run) -> PortalSettings:
    if found.preview and "two_way" in found.options:
        return replace(portal.settings, two_way=bool(found.options["two_way"]))
    return portal.settings


def _push_outs(work: Work) -> None:
    """Opt-outs go out at the start of every run and before its other writes, whatever the settings say."""
    if not work.preview:
        optout_push.push_outs(work.app, work.ws, work.portal_id, calls=work.client.calls)


#: The steps of a run: name in the checkpoint, stage that people see, what is done.
_Steps = Sequence[tuple[str, str, Callable[[Work], None]]]

_WRITE: _Steps = (
    ("optouts", "write", _push_outs),
    ("erase", "write", parting.erase_pending),
    ("compare", "compare", comparing.compare_all),
    ("plan", "compare", plans.sum_up),
    ("push", "write", push.push_fields),
)
_FULL: _Steps = (
    ("load", "observe", load.load_records),
    ("aside", "match", load.match_aside),
    ("sweep", "check", sweep.sweep),
    ("increment", "observe", increment.read_changes),
    ("late", "match", load.match_aside),
    ("proof", "check", proof.prove),
    *_WRITE,
)
_INCREMENTAL: _Steps = (
    ("hints", "observe", sweep.look_at_hints),
    ("increment", "observe", increment.read_changes),
    ("aside", "match", load.match_aside),
    ("bin", "check", sweep.look_in_bin),
    *_WRITE,
)
#: A run that hints asked for looks at what they point at; what changed without a hint is the next increment's.
_HINTED: _Steps = tuple(step for step in _INCREMENTAL if step[0] not in ("increment", "bin"))
_UNDO: _Steps = (
    ("undo", "write", undoing.undo_changes),
    ("remove", "write", undoing.remove_created),
)
_STEPS = {"full": _FULL, "incremental": _INCREMENTAL, "undo": _UNDO}


def _do(work: Work) -> None:
    """The steps from the one that the checkpoint names, after a look at every write whose fate is not known."""
    work.stage = "check"
    settle.settle_intents(work)
    _push_outs(work)
    steps = _HINTED if work.run.trigger == "webhook" else _STEPS[work.run.kind]
    names = [name for name, _, _ in steps]
    at = work.checkpoint.get("step", names[0])
    for name, stage, do in steps[names.index(at) if at in names else 0 :]:
        work.stage, work.checkpoint["step"] = stage, name
        do(work)
