"""`mercuri connect` and `mercuri portals`: which HubSpot accounts are connected."""

from __future__ import annotations

from typing import Annotated

import typer

from mercuri.cli.edge import say
from mercuri.cli.output import Json, emit, table
from mercuri.cli.session import confirmed, session

app = typer.Typer(help="Connected HubSpot accounts.", invoke_without_command=True)


def connect(
    token: Annotated[str, typer.Option(help="A static token, pat-…; `-` reads it from standard input.")],
    as_json: Json = False,
) -> None:
    """Connect a HubSpot account by static token. OAuth is done in the browser, under Settings."""
    import sys

    from mercuri.engine import portal as engine_portal

    plain = sys.stdin.readline().strip() if token == "-" else token
    with session() as s:
        made = engine_portal.connect_static(s.app, s.ws, plain, s.actor)
    if as_json:
        emit({"portal_id": made.portal_id, "name": made.name, "kind": made.kind, "state": made.state})
    else:
        say(f"Connected to {made.name or 'HubSpot'} ({made.portal_id}). Next: mercuri sync")


@app.callback()
def portals(ctx: typer.Context, as_json: Json = False) -> None:
    """Connected HubSpot accounts; alone, the list."""
    ctx.obj = as_json
    if ctx.invoked_subcommand is None:
        list_portals(ctx)


@app.command("list")
def list_portals(ctx: typer.Context, as_json: Json = False) -> None:
    """Every account that is or was connected."""
    from mercuri.store import portals as stored
    from mercuri.web.api.models import PortalOut

    with session() as s, s.app.db.read(s.ws) as tx:
        found = stored.all(tx)
    if as_json or ctx.obj:
        emit([PortalOut.model_validate(portal) for portal in found])
    else:
        rows = [(p.portal_id, p.name, p.kind, p.state, p.watermark, p.problem) for p in found]
        table(["portal", "name", "kind", "state", "read up to", "problem"], rows, empty="No portal is connected yet.")


@app.command("disconnect")
def disconnect(portal: str, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Forget an account's tokens and stop syncing. The contacts stay, and it can be connected again."""
    import sys

    from mercuri.engine import portal as engine_portal

    with session() as s:
        found = s.the_portal(portal)
        asked_for = yes or not sys.stdin.isatty()
        confirmed(f"Disconnect {found.name or 'HubSpot'} ({found.portal_id})? Contacts stay.", asked_for)
        engine_portal.disconnect(s.app, s.ws, found.portal_id, s.actor)
    say(f"Portal {portal} is disconnected. The contacts stay.")
