"""The JSON API for tests: in-process, over a workspace connected to a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from tests.support.database import fresh_database
from tests.support.web import AsgiTransport
from tests.support.world import World, a_world

from mercuri.core.contact import WorkspaceId
from mercuri.core.settings import WorkspaceSettings
from mercuri.store import users, workspaces
from mercuri.store.database import ANY
from mercuri.web.app import create_app
from mercuri.wiring import Services


class Api(httpx.Client):
    """A program that calls the API with a token of its own."""

    def __init__(self, services: Services, token: str) -> None:
        self.web = create_app(services)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(transport=AsgiTransport(self.web), base_url="http://mercuri.test/api/v1", headers=headers)

    def asked(self, method: str, address: str, status: int, **options: Any) -> Any:
        """The JSON of an answer; fails unless it has this status."""
        answer = self.request(method, address, **options)
        assert answer.status_code == status, f"{method} {address}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def a_caller(world: World, role: str = "manager", ws: WorkspaceId | None = None) -> Api:
    """A program with a token of this role, in the world's workspace or another one."""
    workspace = ws or world.ws
    with world.app.db.write(workspace) as tx:
        token = users.create_token(tx, f"{role} {len(users.tokens(tx))}", role, world.clock.now())
    return Api(services_of(world), token)


def services_of(world: World) -> Services:
    """The parts of a world as the program has them."""
    return Services(world.app, world.app.settings, world.ws)


def another_workspace(world: World) -> WorkspaceId:
    """A second team in the same installation: Cleo's, which must never be seen."""
    with world.app.db.write(ANY) as tx:
        return workspaces.create(tx, "Cleo", WorkspaceSettings(), world.clock.now())


@contextmanager
def a_connected_world(directory: Any, **sandbox: Any) -> Iterator[World]:
    """A workspace on SQLite, connected to a sandbox."""
    with fresh_database("sqlite", directory) as database, a_world(database, **sandbox) as world:
        world.connect()
        yield world
