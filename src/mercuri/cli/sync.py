"""`mercuri sync`: ask for a run and see it to its end, here or at a worker."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mercuri.cli import progress
from mercuri.cli.edge import DONE, FAILED, STOPPED, WITH_FAILURES, say, unforeseen
from mercuri.cli.output import Json, emit
from mercuri.cli.process import is_dead, own_name
from mercuri.cli.session import Session, session
from mercuri.errors import Clash

if TYPE_CHECKING:
    from mercuri.core.contact import PortalId, RunId
    from mercuri.store.runs import Run

#: How often a run at a worker, or one that waits for HubSpot, is looked at, in seconds.
LOOK_EVERY = 0.5
#: How long a run in this process may take to reach its next safe point after Ctrl-C, in seconds.
PATIENCE = 60
_UNFORESEEN = "The run met an error that nobody foresaw, and stopped. What was stored so far is kept. Start it again."


def sync(
    portal: Annotated[str | None, typer.Option(help="Portal id, where several are connected.")] = None,
    full: Annotated[bool, typer.Option(help="Read every record instead of what changed.")] = False,
    preview: Annotated[bool, typer.Option(help="Show what would change, and change nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the run.")] = True,
    as_json: Json = False,
) -> None:
    """Bring contacts and HubSpot to agree. Exit code 3: some records failed; 4: a safety brake stopped the run."""
    with session() as s:
        run = started(s, s.portal(portal), full=full, preview=preview, wait=wait)
        if wait:
            run = seen_through(s, run.id)
        elif not _at_worker(s):
            say(f"Run {run.id} is queued; the next worker starts it. No worker is running now.")
        report(run, as_json=as_json)
    raise typer.Exit(exit_code(run))


def started(s: Session, portal: PortalId, *, full: bool, preview: bool, wait: bool) -> Run:
    """A new run; one that is under way is joined when it is of the kind asked for, else seen through first."""
    from mercuri.engine import run as engine_run
    from mercuri.store.runs import Run

    while True:
        try:
            return engine_run.request(s.app, s.ws, portal, full=full, preview=preview, trigger="cli", actor=s.actor)
        except Clash as clash:
            live = clash.present
            if not isinstance(live, Run):
                raise
            if live.preview == preview and live.kind != "undo" and (live.kind == "full" or not full):
                say(f"Run {live.id} is under way already.")
                return live
            if not wait:
                raise
            say(f"Run {live.id} is under way; the new one follows it.")
            seen_through(s, live.id)


def seen_through(s: Session, run_id: RunId) -> Run:
    """See a run to its end: at a live worker, or in this process."""
    from mercuri.engine import run as engine_run

    told = False
    with progress.shown() as watcher:
        while True:
            engine_run.free_of_dead(s.app, s.ws, run_id, is_dead)
            run = _watched(s, run_id, watcher) if _at_worker(s) else _executed(s, run_id, watcher)
            if not run.is_live:
                return run
            # It waits for HubSpot, or another process has it: another look decides who goes on with it.
            watcher(run)
            if run.state == "running" and not told:
                told = True
                say("Another process has this run. Should it have died, the run goes on here in a minute or two.")
            time.sleep(LOOK_EVERY)


def report(run: Run, *, as_json: bool) -> None:
    """What came of a run."""
    from mercuri.web.api.models import Run as Shown

    if as_json:
        emit(Shown.model_validate(run))
        return
    words = {"done": "is done", "stopped": "was stopped by a safety brake", "cancelled": "was cancelled"}
    say(f"Run {run.id} {words.get(run.state, run.state)}: {progress.counted(run)}.")
    if run.plan:
        say(_planned(run))
    if run.message:
        say(run.message)


def exit_code(run: Run) -> int:
    """0 done or still going on, 1 failed or cancelled, 3 done with failing records, 4 stopped by a brake."""
    if run.state == "done":
        # What failed need not be a record that was counted: a permission may be missing. The message tells of it then.
        return WITH_FAILURES if run.counts.get("failing") or run.message else DONE
    return {"stopped": STOPPED, "failed": FAILED, "cancelled": FAILED}.get(run.state, DONE)


def _planned(run: Run) -> str:
    plan = run.plan
    return (
        f"{plan.get('here', 0):,} contacts here would change, {plan.get('hubspot', 0):,} in HubSpot, "
        f"{plan.get('conflicts', 0):,} conflicts, for about {plan.get('api_calls', 0):,} requests. "
        f"Changes: mercuri runs show {run.id}. Nothing was changed."
    )


def _at_worker(s: Session) -> bool:
    from mercuri.store import workers
    from mercuri.store.database import ANY

    with s.app.db.read(ANY) as tx:
        return workers.any_alive(tx, s.app.now())


def _look(s: Session, run_id: RunId) -> Run:
    from mercuri.store import runs

    with s.app.db.read(s.ws) as tx:
        return runs.get(tx, run_id)


def _watched(s: Session, run_id: RunId, watcher: progress.Watcher) -> Run:
    """Look on while a worker is alive. Ctrl-C ends the looking, not the run."""
    try:
        while (run := _look(s, run_id)).is_live and _at_worker(s):
            watcher(run)
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        say(f"The run goes on at the worker: mercuri runs show {run_id}. To stop it: mercuri runs cancel {run_id}.")
        raise typer.Exit(FAILED) from None
    return run


def _executed(s: Session, run_id: RunId, watcher: progress.Watcher) -> Run:
    """Execute in this process, in a thread, so that Ctrl-C can ask it to stop at its next safe point."""
    from mercuri.engine import run as engine_run
    from mercuri.errors import AppError

    ended: list[Run | AppError] = []
    is_over = threading.Event()

    def work() -> None:
        try:
            ended.append(engine_run.execute(s.app, s.ws, run_id, owner=own_name(), progress=watcher))
        except AppError as error:
            ended.append(error)
        except Exception as error:  # noqa: BLE001 - an edge: the run is ended with a sentence
            engine_run.give_up(s.app, s.ws, run_id, _UNFORESEEN)
            ended.append(unforeseen(error))
        finally:
            is_over.set()

    threading.Thread(target=work, name="run", daemon=True).start()
    _wait_for(s, run_id, is_over)
    if not ended:
        raise typer.Exit(FAILED)
    if isinstance(ended[0], AppError):
        raise ended[0]
    run = ended[0]
    if run.state == "waiting" and not _waited(s, run, watcher):
        engine_run.cancel(s.app, s.ws, run_id, s.actor)
        return _look(s, run_id)
    return run


def _wait_for(s: Session, run_id: RunId, is_over: threading.Event) -> None:
    from mercuri.engine import run as engine_run

    # Not by joining the thread: a join that Ctrl-C interrupts takes the thread for ended.
    try:
        while not is_over.wait(LOOK_EVERY):
            pass
    except KeyboardInterrupt:
        say("Stopping at the next safe point. What was stored stays. Press Ctrl-C again to leave at once.")
        engine_run.cancel(s.app, s.ws, run_id, s.actor)
        is_over.wait(PATIENCE)


def _waited(s: Session, run: Run, watcher: progress.Watcher) -> bool:
    """Wait until HubSpot lets the run go on; False when a person stopped it meanwhile."""
    watcher(run)
    try:
        while run.resume_at is not None and run.resume_at > s.app.now() and not _look(s, run.id).cancel_asked:
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        return False
    return True
