"""`mercuri db`, `mercuri keys` and `mercuri doctor`: look after an installation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mercuri.cli.edge import FAILED, say
from mercuri.cli.output import Json, emit, table
from mercuri.cli.session import Session, read_settings, session
from mercuri.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mercuri.store.portals import Portal

database = typer.Typer(help="The database.", no_args_is_help=True)
_NO_WORKER = "no worker is running: start `mercuri serve` or `mercuri worker`."

keys = typer.Typer(help="The keys that secrets are sealed with.", no_args_is_help=True)


@database.command("upgrade")
def upgrade() -> None:
    """Bring the tables up to date; every command does it by itself."""
    with session():
        say("The database is up to date.")


@database.command("check")
def check(as_json: Json = False) -> None:
    """Look for what is wrong with the database."""
    with session() as s:
        problems = s.app.db.problems()
    if as_json:
        emit({"problems": problems})
    else:
        for problem in problems:
            say(problem)
        say(f"{len(problems)} problems." if problems else "The database is in order.")
    raise typer.Exit(FAILED if problems else 0)


@database.command("backup")
def backup(file: Path) -> None:
    """Copy the SQLite database to a new file while it is in use. The keys are not in it."""
    with session() as s:
        s.app.db.backup(file)
    say(f"Written to {file}. Keep the key file of the data dir elsewhere, too: without it secrets cannot be read.")


@keys.command("rotate")
def rotate() -> None:
    """Make a new key and seal every secret with it. Restart running processes afterwards."""
    from mercuri.store import users, vault
    from mercuri.store.database import ANY

    with session() as s:
        renewed = vault.rotated(s.services.settings)
        with s.app.db.write(ANY) as tx:
            count = vault.reseal(tx, renewed)
        with s.app.db.write(s.ws) as tx:
            users.note_audit(tx, s.actor.name, "keys.rotated", {"secrets": count}, s.app.now())
    say(f"{count} secrets are sealed with the new key. Restart `mercuri serve` and `mercuri worker` now.")


def doctor(offline: Annotated[bool, typer.Option(help="Do not ask HubSpot.")] = False, as_json: Json = False) -> None:
    """Check everything that a sync needs. Of what is wrong, say what to do about it."""
    try:
        with session() as s:
            found = _findings(s, offline)
    except AppError as error:
        found = [("installation", error.message)]
    wrong = [item for item in found if item[1]]
    if as_json:
        emit({"ok": not wrong, "checks": [{"check": name, "problem": problem or None} for name, problem in found]})
    else:
        table(["check", "found"], [(name, problem or "in order") for name, problem in found], empty="")
    raise typer.Exit(FAILED if wrong else 0)


def _findings(s: Session, offline: bool) -> list[tuple[str, str]]:
    from mercuri.store import portals

    settings = read_settings()
    with s.app.db.read(s.ws) as tx:
        connected = [portal for portal in portals.all(tx) if portal.state != "disconnected"]
    checks: list[tuple[str, Callable[[], str]]] = [
        ("database", lambda: " ".join(s.app.db.problems())),
        ("worker", lambda: _worker(s, connected)),
    ]
    found = [("installation", ""), ("keys", "")] + [(name, _asked(check)) for name, check in checks]
    found.append(("portals", "" if connected else "None is connected. Connect one: mercuri connect --token TOKEN"))
    for portal in connected:
        problem = _known(portal) if offline else _asked(partial(_portal, s, portal))
        found.append((f"portal {portal.portal_id}", problem))
    if not settings.hubspot_client_id and any(portal.kind == "oauth" for portal in connected):
        found.append(("OAuth app", "MERCURI_HUBSPOT_CLIENT_ID is not set: tokens of OAuth portals cannot be renewed."))
    return found


def _asked(check: Callable[[], str]) -> str:
    try:
        return check()
    except AppError as error:
        return error.message


def _worker(s: Session, connected: Sequence[Portal]) -> str:
    from mercuri.store import workers
    from mercuri.store.database import ANY

    with s.app.db.read(ANY) as tx:
        alive = workers.any_alive(tx, s.app.now())
    if alive:
        return ""
    if any(portal.settings.schedule != "off" for portal in connected):
        return f"A schedule is set and {_NO_WORKER}"
    if any(portal.settings.journal for portal in connected):
        return f"HubSpot's journal is to be read and {_NO_WORKER}"
    return ""


def _portal(s: Session, portal: Portal) -> str:
    from mercuri.engine.portal import client_for
    from mercuri.hubspot.pacing import Lane

    client_for(s.app, s.ws, portal, Lane.BUTTON).account()
    return _known(portal)


def _known(portal: Portal) -> str:
    """What is noted as wrong with a portal: with its connection, or with its journal while that is read."""
    return portal.problem or (str(portal.journal.get("problem", "")) if portal.settings.journal else "")
