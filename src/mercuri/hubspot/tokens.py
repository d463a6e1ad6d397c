"""One token service per portal: refreshed early, one refresh at a time, stored before use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from mercuri.errors import RateLimited, Unauthorised, Unavailable

if TYPE_CHECKING:
    from mercuri.hubspot.oauth import OAuth

#: How long before its end an access token is replaced; HubSpot's lives 30 minutes (OAuth guide).
EARLY = timedelta(minutes=5)
#: Seconds between the tries of a refresh that HubSpot could not answer.
REFRESH_PAUSES = (1.0, 3.0, 9.0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What opens a portal. `expires_at` None is a static token; neither token ever shows in a repr."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    kind: Literal["oauth", "static"] = "oauth"


class Bearer(Protocol):
    """Whoever hands out a token that works."""

    def bearer(self, *, renew: str | None = None) -> str:
        """A token to send; `renew` is one that HubSpot has just refused with 401."""
        ...


class TokenStore(Protocol):
    """Where a portal's tokens live: one row, shared by all processes."""

    def load(self) -> Tokens:
        """The tokens as last saved."""
        ...

    def save(self, tokens: Tokens) -> None:
        """Store them; returns when they are durable."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Held by one process at a time, so that a refresh happens once."""
        ...


class TokenService:
    """Hands out a bearer token that works. Safe to share among threads."""

    def __init__(
        self,
        store: TokenStore,
        oauth: OAuth,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._oauth, self._now, self._sleep = store, oauth, now, sleep
        self._mutex = threading.Lock()
        self._tokens: Tokens | None = None

    def bearer(self, *, renew: str | None = None) -> str:
        """A token to send; `renew` is one that HubSpot has just refused with 401.

        Raises Unauthorised when the portal must be connected again, UserError when our own app is misconfigured,
        RateLimited or Unavailable when HubSpot could not answer.
        """
        with self._mutex:
            tokens = self._tokens or self._store.load()
            if not _works(tokens, renew, self._now()):
                tokens = self._renewed(renew)
            self._tokens = tokens
            return tokens.access

    def _renewed(self, refused: str | None) -> Tokens:
        with self._store.lock():
            # Another process may have done it while we waited for the lock.
            tokens = self._store.load()
            if _works(tokens, refused, self._now()):
                return tokens
            if tokens.refresh is None:
                raise Unauthorised(
                    "HubSpot no longer accepts this portal's token. Connect the portal again.", status=401
                )
            try:
                fresh = self._refreshed(tokens)
            except (RateLimited, Unavailable):
                if tokens.access != refused and tokens.expires_at and tokens.expires_at > self._now():
                    return tokens
                raise
            self._store.save(fresh)
            return fresh

    def _refreshed(self, tokens: Tokens) -> Tokens:
        for pause in REFRESH_PAUSES:
            try:
                return self._oauth.refresh(tokens)
            except (RateLimited, Unavailable):
                self._sleep(pause)
        return self._oauth.refresh(tokens)


class AppTokens:
    """Hands out tokens of our app itself (client credentials), kept in memory. Safe to share among threads."""

    def __init__(self, oauth: OAuth, scopes: Sequence[str], now: Callable[[], datetime]) -> None:
        self._oauth, self._scopes, self._now = oauth, scopes, now
        self._mutex = threading.Lock()
        self._tokens: Tokens | None = None

    def bearer(self, *, renew: str | None = None) -> str:
        """A token to send. Raises UserError when our own app is misconfigured, BadRequest when a scope is refused."""
        with self._mutex:
            if self._tokens is None or not _works(self._tokens, renew, self._now()):
                self._tokens = self._oauth.for_app(self._scopes)
            return self._tokens.access


def _works(tokens: Tokens, refused: str | None, now: datetime) -> bool:
    return tokens.access != refused and (tokens.expires_at is None or tokens.expires_at - now > EARLY)
