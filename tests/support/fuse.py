"""A power cut at a chosen moment: after the n-th commit or answered request nothing works any more, until a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.database import fresh_database
from tests.support.world import World, a_world

from mercuri.engine.app import App
from mercuri.store.database import Database, Tx

#: More moments than any story has.
MOST = 200


class PowerCut(BaseException):
    """The process is gone."""


class Fuse:
    """Counts commits and requests, and blows after the n-th; `blown` says whether it did."""

    def __init__(self, after: int) -> None:
        self._left = after
        self.blown = False

    def check(self) -> None:
        """Raise PowerCut once the fuse has blown."""
        if self.blown:
            raise PowerCut

    def passed(self) -> None:
        """One more event has taken effect."""
        self._left -= 1
        if self._left < 0:
            self.blown = True
            raise PowerCut


class FusedDatabase:
    """A database whose process may die right after a commit."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._database, self._fuse = database, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def write(self, workspace: Any) -> Iterator[Tx]:
        """As `Database.write`."""
        self._fuse.check()
        with self._database.write(workspace) as tx:
            yield tx
        self._fuse.passed()


class FusedTransport(httpx.BaseTransport):
    """A network on which the process may die right after HubSpot did what it was asked."""

    def __init__(self, transport: httpx.BaseTransport, fuse: Fuse) -> None:
        self._transport, self._fuse = transport, fuse

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As the real one."""
        self._fuse.check()
        answer = self._transport.handle_request(request)
        self._fuse.passed()
        return answer


def fused(app: App, transport: httpx.BaseTransport, fuse: Fuse) -> App:
    """The same program, about to lose its power."""
    http = httpx.Client(transport=FusedTransport(transport, fuse))
    return replace(app, db=FusedDatabase(app.db, fuse), http=http)  # type: ignore[arg-type]  # it has all of Database


def at_every_moment(directory: Path, story: Callable[[World, int], bool]) -> None:
    """Tell a story with a power cut after the first event, the second, and so on, as long as there is one to cut."""
    for after in range(MOST):
        with fresh_database("sqlite", directory) as database, a_world(database, Clock()) as world:
            world.connect(two_way=True)
            if not story(world, after):
                return
    pytest.fail("the run never came to its end")
