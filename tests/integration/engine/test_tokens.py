"""A portal's token among several processes: refreshed by one of them, used by all."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import httpx
import pytest
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World, a_world

from mercuri.engine import portal
from mercuri.engine.app import App
from mercuri.hubspot.oauth import OPTIONAL_SCOPES, SCOPES
from mercuri.hubspot.pacing import Lane
from mercuri.sandbox import Sandbox
from mercuri.store import portals
from mercuri.store.database import Database


@dataclass
class Refreshes(httpx.BaseTransport):
    """Two processes on the way to HubSpot: who refreshes first is answered when the other has had time to try too."""

    sandbox: Sandbox
    seen: int = 0
    second: threading.Event = field(default_factory=threading.Event)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As the sandbox."""
        if b"grant_type=refresh_token" in request.content:
            self.seen += 1
            if self.seen == 2:
                self.second.set()
            self.second.wait(0.3)
        return SandboxTransport(self.sandbox).handle_request(request)


@pytest.fixture
def two(database_url: str) -> Iterator[tuple[World, App, Refreshes]]:
    """A portal connected by OAuth, and a second process on the same database."""
    with (
        contextlib.closing(Database.open(database_url)) as one,
        contextlib.closing(Database.open(database_url)) as other,
        a_world(one) as world,
    ):
        refreshes = Refreshes(world.sandbox)
        world.app = replace(world.app, http=httpx.Client(transport=refreshes))
        redirect = world.app.settings.redirect_uri
        code = world.sandbox.oauth.agree(redirect, frozenset({*SCOPES, *OPTIONAL_SCOPES}))
        portal.connect_code(world.app, world.ws, code, OWNER)
        yield world, replace(world.app, db=other), refreshes


def _account(world: World, app: App) -> str:
    with app.db.read(world.ws) as tx:
        found = portals.get(tx, PORTAL)
    return portal.client_for(app, world.ws, found, Lane.BUTTON).account().portal_id


def test_two_processes_refresh_a_token_once(two: tuple[World, App, Refreshes]) -> None:
    world, other, refreshes = two
    world.sandbox.switch(refresh_token="replaced")
    world.clock.advance(1740)

    with ThreadPoolExecutor(2) as processes:
        answers = list(processes.map(lambda app: _account(world, app), (world.app, other)))

    assert answers == [PORTAL, PORTAL]
    assert refreshes.seen == 1


def test_the_newest_refresh_token_is_the_one_that_is_kept(two: tuple[World, App, Refreshes]) -> None:
    world, other, _ = two
    world.sandbox.switch(refresh_token="replaced")

    for app in (world.app, other, world.app):
        world.clock.advance(1740)

        assert _account(world, app) == PORTAL
