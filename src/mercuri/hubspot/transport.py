"""One request: token, turn, time limit, repetition of what is safe to repeat, and HubSpot's refusals as our errors."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import httpx

from mercuri.errors import HubSpotError, RateLimited, Unauthorised, Unavailable
from mercuri.hubspot.errors import from_answer
from mercuri.hubspot.pacing import Lane, Pacer
from mercuri.hubspot.tokens import Bearer
from mercuri.hubspot.wire import loads, scopes_for

T = TypeVar("T")

Kind = Literal["list", "search", "read", "write", "other"]

#: Seconds between the tries of a request that found HubSpot absent or busy.
PAUSES = (1.0, 2.0, 4.0, 8.0)
#: Statuses of 500 and more that no repetition helps (HubSpot error-handling page).
HOPELESS = frozenset({522, 525, 526, 530})
#: HubSpot itself gives up after 100 s (524); we wait a little longer, to hear it say so.
TIMEOUT = httpx.Timeout(connect=10.0, read=110.0, write=30.0, pool=120.0)

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def open_http(connections: int = 32) -> httpx.Client:
    """An HTTP client fit for HubSpot: its time limits, connections kept open, and no address in the log.

    httpx logs whole URLs, and HubSpot wants e-mail addresses in some of them.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30)
    return httpx.Client(timeout=TIMEOUT, limits=limits, follow_redirects=False)


@dataclass(slots=True)
class Calls:
    """How many requests were sent, by kind, and how many of them HubSpot throttled. Safe to share among threads."""

    list: int = 0
    search: int = 0
    read: int = 0
    write: int = 0
    other: int = 0
    throttled: int = 0
    _mutex: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count(self, kind: Kind | Literal["throttled"]) -> None:
        with self._mutex:
            setattr(self, kind, getattr(self, kind) + 1)

    def as_dict(self) -> dict[str, int]:
        """The counts by name, as a run shows them."""
        names = ("list", "search", "read", "write", "other", "throttled")
        with self._mutex:
            return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `repeatable` says that sending it twice does no harm even if both arrive."""

    kind: Kind
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeatable: bool = True

    def url(self, api_url: str) -> str:
        """The whole address, as it will be sent."""
        return f"{api_url}{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")


class Transport:
    """Sends requests to one portal. Safe to share among threads."""

    def __init__(
        self, http: httpx.Client, api_url: str, tokens: Bearer, pacer: Pacer, *, portal: str, calls: Calls
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self.pacer, self.portal, self.calls = pacer, portal, calls
        self._http, self._tokens = http, tokens

    def send(
        self, request: Request, parse: Callable[[Any], T], *, lane: Lane, cancelled: Callable[[], bool] | None = None
    ) -> T:
        """Send and return what `parse` makes of the JSON answer (None when it has no content).

        Repeats what is safe: a refusal that did nothing (401 once, 423, 429) always, silence and 5xx for repeatable
        requests. A write whose fate is unknown raises Unavailable with `may_have_happened`. Raises HubSpotError.
        """
        pauses = iter(PAUSES)
        refused: str | None = None
        while True:
            token = self._tokens.bearer(renew=refused)
            try:
                return self._once(request, parse, token, lane, cancelled)
            except Unauthorised:
                # A second refusal is final, and so is the refusal of a token that could not be replaced.
                if refused is not None:
                    raise
                refused = token
            except (RateLimited, Unavailable) as error:
                pause = next(pauses, None)
                if pause is None or not _worth_repeating(request, error):
                    raise
                self.pacer.pause(self._wait(error, pause), cancelled)

    def _once(
        self, request: Request, parse: Callable[[Any], T], token: str, lane: Lane, cancelled: Callable[[], bool] | None
    ) -> T:
        turn = self.pacer.turn(lane, search=request.kind == "search", cancelled=cancelled)
        self.calls.count(request.kind)
        try:
            response = self._exchange(request, token)
        finally:
            self.pacer.landed(turn)
        self.pacer.saw(response.headers, turn)
        if response.status_code >= 300:
            raise self._refusal(request, response)
        try:
            return parse(loads(response.content) if response.content else None)
        except ValueError as error:
            # Cut short, or not HubSpot at all: for a write, this is no answer.
            raise self._silent(request, "HubSpot's answer could not be read.", response.status_code) from error

    def _exchange(self, request: Request, token: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        content = None
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
            headers["content-type"] = "application/json"
        try:
            return self._http.request(request.method, request.url(self.api_url), content=content, headers=headers)
        except _NEVER_SENT as error:
            raise Unavailable("HubSpot could not be reached.", portal=self.portal) from error
        except httpx.HTTPError as error:
            raise self._silent(request, "HubSpot did not answer.", 0) from error

    def _refusal(self, request: Request, response: httpx.Response) -> HubSpotError:
        try:
            body = response.json()
        except ValueError:
            body = None
        needs = scopes_for(request.path, write=request.kind == "write")
        error = from_answer(
            response.status_code, body, response.headers, raw=response.text, portal=self.portal, needs=needs
        )
        if isinstance(error, Unavailable):
            return self._silent(request, error.message, error.status, error.correlation_id)
        if isinstance(error, RateLimited):
            self.calls.count("throttled")
            # 423 locks some records for a moment: no reason to silence the whole portal.
            if error.status != 423:
                self.pacer.refused(error, search=request.kind == "search" and error.status == 429)
        return error

    def _silent(self, request: Request, message: str, status: int, correlation_id: str = "") -> Unavailable:
        return Unavailable(
            message,
            may_have_happened=not request.repeatable,
            status=status,
            correlation_id=correlation_id,
            portal=self.portal,
        )

    def _wait(self, error: RateLimited | Unavailable, pause: float) -> float:
        if isinstance(error, Unavailable):
            return pause
        # The pacer holds the next turn by itself after a 429; a lock is waited for here, longer each time.
        return error.retry_after + pause - PAUSES[0] if error.status == 423 else 0.0


def _worth_repeating(request: Request, error: RateLimited | Unavailable) -> bool:
    if isinstance(error, RateLimited):
        return error.status in {423, 429} and not error.daily
    return not error.may_have_happened and error.status not in HOPELESS
