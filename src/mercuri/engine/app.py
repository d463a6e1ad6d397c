"""What every use case is given: settings, database, keys, HTTP, the clock; and who is asking."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from mercuri.config import Settings
from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.errors import Forbidden
from mercuri.hubspot.pacing import Pacer
from mercuri.hubspot.tokens import AppTokens
from mercuri.store.database import Database
from mercuri.store.vault import Vault

_RANKS = {"viewer": 0, "manager": 1, "owner": 2}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a user, an API token or the program itself; `role` is viewer, manager or owner."""

    name: str
    role: str


#: The program itself: schedules, hints, resumed runs.
SYSTEM = Actor("mercuri", "owner")


def require(actor: Actor, role: str) -> None:
    """Raise Forbidden unless the actor has at least this role."""
    if _RANKS.get(actor.role, -1) < _RANKS[role]:
        raise Forbidden(f"This needs the role {role}; {actor.name} is {actor.role}. Nothing was changed.")


class Registry:
    """What a process keeps: per portal its one pacer, and the token of our app itself."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._pacers: dict[tuple[WorkspaceId, PortalId], tuple[object, Pacer]] = {}
        self._app_tokens: AppTokens | None = None

    def pacer(self, ws: WorkspaceId, portal: PortalId, limits: object, make: Callable[[], Pacer]) -> Pacer:
        """The portal's pacer, made anew when its `limits` (any comparable value) are no longer the same."""
        with self._mutex:
            known = self._pacers.get((ws, portal))
            if known is None or known[0] != limits:
                known = self._pacers[ws, portal] = (limits, make())
            return known[1]

    def app_tokens(self, make: Callable[[], AppTokens]) -> AppTokens:
        """The tokens of our app itself."""
        with self._mutex:
            self._app_tokens = self._app_tokens or make()
            return self._app_tokens

    def forget_app_tokens(self) -> None:
        """Have the next ones made anew: a scope may have been granted meanwhile."""
        with self._mutex:
            self._app_tokens = None


@dataclass(frozen=True)
class App:
    """The parts that use cases work with. `now` is aware UTC; `wake` tells a worker that a run is due."""

    settings: Settings
    db: Database
    vault: Vault
    http: httpx.Client
    now: Callable[[], datetime]
    wake: Callable[[], None] = lambda: None
    portals: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        self.db.use_key(self.vault.keyed_hash)
