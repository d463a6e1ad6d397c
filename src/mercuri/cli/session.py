"""What a command works with: the installation's parts, its first workspace, and the person at the terminal."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mercuri.errors import NotFound, UserError

if TYPE_CHECKING:
    from mercuri.config import Settings
    from mercuri.core.contact import PortalId, WorkspaceId
    from mercuri.engine.app import Actor, App
    from mercuri.store.portals import Portal
    from mercuri.wiring import Services


@dataclass(frozen=True)
class Session:
    """One command's way to the installation. Whoever may read its files is its owner."""

    services: Services
    actor: Actor

    @property
    def app(self) -> App:
        """What use cases are given."""
        return self.services.app

    @property
    def ws(self) -> WorkspaceId:
        """The workspace."""
        return self.services.default_workspace

    def portal(self, portal_id: str | None) -> PortalId:
        """The portal named, or the only one that is connected."""
        return self.the_portal(portal_id).portal_id

    def the_portal(self, portal_id: str | None) -> Portal:
        """The portal named, or the only one that is connected. Raises UserError where that is not clear."""
        from mercuri.core.contact import PortalId
        from mercuri.store import portals

        with self.app.db.read(self.ws) as tx:
            if portal_id is not None:
                return portals.get(tx, PortalId(portal_id))
            connected = [portal for portal in portals.all(tx) if portal.state != "disconnected"]
        if not connected:
            raise NotFound("No portal is connected yet. Connect one with `mercuri connect --token TOKEN`.")
        if len(connected) > 1:
            names = ", ".join(portal.portal_id for portal in connected)
            raise UserError(f"Several portals are connected: {names}. Say which one with --portal.")
        return connected[0]


@contextmanager
def session(settings: Settings | None = None, wake: Callable[[], None] = lambda: None) -> Iterator[Session]:
    """Open the installation that the environment describes; an empty one is prepared."""
    from mercuri import wiring
    from mercuri.cli import logs
    from mercuri.engine.app import Actor

    settings = settings or read_settings()
    logs.configure(settings.log_level)
    services = wiring.build(settings, wake)
    try:
        yield Session(services, Actor(f"cli:{_user()}", "owner"))
    finally:
        services.close()


def read_settings() -> Settings:
    """The environment's settings. Raises UserError with the names of those that cannot be meant."""
    from pydantic import ValidationError

    from mercuri.config import Settings

    try:
        return Settings()
    except ValidationError as error:
        names = ", ".join(f"MERCURI_{str(item['loc'][0]).upper()}" for item in error.errors() if item["loc"])
        raise UserError(f"The environment holds a value that cannot be meant: {names}. Nothing was started.") from error


def confirmed(sentence: str, yes: bool) -> None:
    """Ask before what cannot be undone. Raises UserError when the answer is no, or when nobody is there to answer."""
    import sys

    import typer

    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"{sentence} Nothing was done. Add --yes to agree.")
    if not typer.confirm(sentence, err=True):
        raise UserError("Nothing was done.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "terminal"
