"""`mercuri runs`: what was done, undo it, stop it."""

from __future__ import annotations

from typing import Annotated

import typer

from mercuri.cli import progress, sync
from mercuri.cli.edge import say
from mercuri.cli.output import Id, Json, emit, table
from mercuri.cli.session import session

app = typer.Typer(help="Sync runs.", no_args_is_help=True)
Wait = Annotated[bool, typer.Option(help="Wait for the end.")]


@app.command("list")
def list_runs(
    portal: Annotated[str | None, typer.Option(help="Only this portal's.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Runs, newest first."""
    from mercuri.core.contact import PortalId
    from mercuri.store import runs
    from mercuri.web.api.models import Run

    with session() as s, s.app.db.read(s.ws) as tx:
        found = runs.recent(tx, PortalId(portal) if portal else None, state, limit=limit)
    if as_json:
        emit([Run.model_validate(run) for run in found])
        return
    rows = [
        (
            r.id,
            r.portal_id,
            ("preview " if r.preview else "") + r.kind,
            r.trigger,
            r.state,
            r.started_at,
            progress.counted(r),
        )
        for r in found
    ]
    table(["id", "portal", "kind", "by", "state", "started", "counts"], rows, empty="No runs yet.")


@app.command("show")
def show(run_id: Id, as_json: Json = False) -> None:
    """One run: what it changed, what failed (the first 100 of each)."""
    from mercuri.core.contact import RunId
    from mercuri.store import changes, failures, runs
    from mercuri.web.api.models import ChangeOut, FailureOut, Run

    with session() as s, s.app.db.read(s.ws) as tx:
        run = runs.get(tx, RunId(run_id))
        changed = changes.of_run(tx, run.id, limit=100)
        failing = failures.of_run(tx, run.id, limit=100)
    if as_json:
        document = Run.model_validate(run).model_dump(mode="json")
        document["changes"] = [ChangeOut.model_validate(item) for item in changed]
        document["failures"] = [FailureOut.model_validate(item) for item in failing]
        emit(document)
        return
    sync.report(run, as_json=False)
    columns = ["contact", "record", "field", "side", "before", "after", "reason"]
    rows = [(c.contact_id, c.record_id, c.field, c.side, c.before, c.after, c.reason) for c in changed]
    table(columns, rows, empty="No value was changed.")
    if failing:
        table(
            ["contact", "record", "problem", "fix"],
            [(f.contact_id, f.record_id, f.message, f.fix) for f in failing],
            empty="",
        )


@app.command("undo")
def undo(run_id: Id, wait: Wait = True, as_json: Json = False) -> None:
    """Put back what a run changed and nobody touched since. It is a run of its own, which can be undone too."""
    from mercuri.core.contact import RunId
    from mercuri.engine import run as engine_run

    with session() as s:
        run = engine_run.undo(s.app, s.ws, RunId(run_id), s.actor, "cli")
        if wait:
            run = sync.seen_through(s, run.id)
        sync.report(run, as_json=as_json)
    raise typer.Exit(sync.exit_code(run))


@app.command("apply")
def apply(run_id: Id, wait: Wait = True, as_json: Json = False) -> None:
    """Carry out what a preview showed."""
    from mercuri.core.contact import RunId
    from mercuri.engine import run as engine_run

    with session() as s:
        run = engine_run.apply(s.app, s.ws, RunId(run_id), s.actor, "cli")
        if wait:
            run = sync.seen_through(s, run.id)
        sync.report(run, as_json=as_json)
    raise typer.Exit(sync.exit_code(run))


@app.command("cancel")
def cancel(run_id: Id, as_json: Json = False) -> None:
    """Ask a run to stop at its next safe point; what it has done stays."""
    from mercuri.core.contact import RunId
    from mercuri.engine import run as engine_run
    from mercuri.store import runs
    from mercuri.web.api.models import Run

    with session() as s:
        engine_run.cancel(s.app, s.ws, RunId(run_id), s.actor)
        with s.app.db.read(s.ws) as tx:
            run = runs.get(tx, RunId(run_id))
    if as_json:
        emit(Run.model_validate(run))
    else:
        say(f"Run {run_id} {'stops at its next safe point' if run.is_live else 'is ' + run.state}.")
