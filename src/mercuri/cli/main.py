"""`mercuri`: every command, by group."""

from __future__ import annotations

from typing import Annotated

import typer

from mercuri import __version__
from mercuri.cli import (
    conflicts,
    connections,
    consent,
    contacts,
    demo,
    duplicates,
    people,
    runs,
    sandbox,
    serving,
    settings,
    sync,
    upkeep,
)
from mercuri.cli.edge import Edge

app = typer.Typer(
    cls=Edge,
    name="mercuri",
    help="Keep a team's contacts in sync with HubSpot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mercuri {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Say which version this is.")
    ] = False,
) -> None:
    """Keep a team's contacts in sync with HubSpot."""


for _command in (demo.demo, serving.serve, serving.worker, sandbox.sandbox, connections.connect, sync.sync):
    app.command()(_command)
app.add_typer(connections.app, name="portals")
app.add_typer(runs.app, name="runs")
app.add_typer(contacts.app, name="contacts")
app.add_typer(duplicates.app, name="duplicates")
app.add_typer(duplicates.merges, name="merges")
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(consent.app, name="consent")
app.add_typer(settings.app, name="settings")
app.add_typer(people.users, name="user")
app.add_typer(people.tokens, name="token")
app.add_typer(upkeep.database, name="db")
app.add_typer(upkeep.keys, name="keys")
app.command()(upkeep.doctor)


def main() -> None:
    """The program."""
    app(prog_name="mercuri")
