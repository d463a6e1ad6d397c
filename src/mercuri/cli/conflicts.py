"""`mercuri conflicts`: two values of one field, and the choice between them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mercuri.cli.edge import say
from mercuri.cli.output import Id, Json, emit, table
from mercuri.cli.session import session

app = typer.Typer(help="Values that both sides changed.", no_args_is_help=True)


@app.command("list")
def list_conflicts(
    state: Annotated[Literal["open", "resolved", "decided"], typer.Option(help="decided: by a rule.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Conflicts, newest first."""
    from mercuri.store import conflicts
    from mercuri.web.api.conflicts import shown

    with session() as s, s.app.db.read(s.ws) as tx:
        found = conflicts.recent(tx, state=state, limit=limit)
    if as_json:
        emit([shown(item) for item in found])
    else:
        rows = [(c.id, c.contact_id, c.field, c.local, c.remote, c.state) for c in found]
        table(["id", "contact", "field", "mercuri", "hubspot", "state"], rows, empty="No conflicts.")


@app.command("resolve")
def resolve(
    conflict_id: Id,
    take: Annotated[Literal["hubspot", "mercuri", "other"], typer.Option(help="Whose value wins.")],
    value: Annotated[str | None, typer.Option(help="A third value, with --take other.")] = None,
    as_json: Json = False,
) -> None:
    """Settle a conflict."""
    from mercuri.engine import edit
    from mercuri.web.api.conflicts import shown

    with session() as s:
        settled = edit.resolve_conflict(s.app, s.ws, conflict_id, take, s.actor, value)
    if as_json:
        emit(shown(settled))
    else:
        say(f"Conflict {conflict_id} is settled: {take}.")
