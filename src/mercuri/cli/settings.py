"""`mercuri settings`: read and set what a portal and the workspace do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mercuri.cli.edge import say
from mercuri.cli.output import Json, emit
from mercuri.cli.session import Session, session

app = typer.Typer(help="Settings of a portal and of the workspace.", no_args_is_help=True)

Portal = Annotated[str | None, typer.Option("--portal", help="Portal id, where several are connected.")]


@app.command("get")
def get(key: Annotated[str | None, typer.Argument()] = None, portal: Portal = None, as_json: Json = False) -> None:
    """Show one setting, or all of them."""
    from mercuri.core import settings as core

    with session() as s:
        everything = _workspace(s) if key in core.WORKSPACE_KEYS else {**_portal(s, portal, key), **_workspace(s)}
    if key is not None and key not in everything:
        known = ", ".join(core.PORTAL_KEYS + core.WORKSPACE_KEYS)
        raise core.SettingRefused(f"There is no setting {key!r}. Settings are: {known}.")
    if as_json:
        emit(everything if key is None else everything[key])
    elif key is None:
        for name, value in everything.items():
            typer.echo(f"{name} = {_text(value)}")
    else:
        typer.echo(_text(everything[key]))


@app.command("set")
def put(key: str, value: str, portal: Portal = None, as_json: Json = False) -> None:
    """Set one setting: a word, a number, or JSON for lists."""
    from mercuri.core import settings as core

    with session() as s:
        saved = _set_workspace(s, key, value) if key in core.WORKSPACE_KEYS else _set_portal(s, portal, key, value)
    if as_json:
        emit(saved)
    else:
        say(f"{key} = {_text(saved[key])}")


def _portal(s: Session, portal: str | None, key: str | None) -> dict[str, object]:
    from mercuri.core import settings as core
    from mercuri.store import portals

    with s.app.db.read(s.ws) as tx:
        nobody = portal is None and key is None and not portals.all(tx)
    return core.to_document(core.DEFAULTS if nobody else s.the_portal(portal).settings)


def _workspace(s: Session) -> dict[str, object]:
    from mercuri.core import settings as core
    from mercuri.store import workspaces

    with s.app.db.read(s.ws) as tx:
        return core.to_document(workspaces.settings(tx))


def _set_portal(s: Session, portal: str | None, key: str, value: str) -> dict[str, object]:
    from mercuri.core import settings as core
    from mercuri.engine import portal as engine_portal

    if key not in core.PORTAL_KEYS:
        known = ", ".join(core.PORTAL_KEYS + core.WORKSPACE_KEYS)
        raise core.SettingRefused(f"There is no setting {key!r}. Settings are: {known}.")
    found = s.the_portal(portal)
    engine_portal.change_settings(s.app, s.ws, found.portal_id, {key: _read(key, value)}, s.actor)
    return core.to_document(s.the_portal(found.portal_id).settings)


def _set_workspace(s: Session, key: str, value: str) -> dict[str, object]:
    from mercuri.core import settings as core
    from mercuri.engine import consent_setup

    return core.to_document(consent_setup.change_workspace(s.app, s.ws, {key: value}, s.actor))


def _read(key: str, value: str) -> object:
    """JSON where it is JSON, else the word itself; the setting's own reader refuses what cannot be meant."""
    try:
        return json.loads(value)
    except ValueError:
        return value.strip()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
