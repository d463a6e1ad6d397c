"""The sandbox itself: takes one HTTP request, gives one answer, as HubSpot's API would."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import parse_qsl, unquote

from mercuri.sandbox import admin, pages
from mercuri.sandbox.acts import UTC_OFFSET_MS, Acts
from mercuri.sandbox.answers import Answer, Refusal, html_answer, json_answer, no_such_route
from mercuri.sandbox.faults import Fault, Faults
from mercuri.sandbox.journal import FILES, Journal
from mercuri.sandbox.limits import Limits
from mercuri.sandbox.oauth import OAuth
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.request import Request
from mercuri.sandbox.routes import Routes, kind_of, parse_path
from mercuri.sandbox.switches import Switches
from mercuri.sandbox.times import to_ms
from mercuri.sandbox.webhooks import Webhooks

PORTAL_ID = 4242
APP_ID = 727_001
STATIC_TOKEN = "pat-sandbox-00000000-0000-4000-8000-000000000000"
PUBLIC_URL = "http://127.0.0.1:8766"
MOST_URL_CHARACTERS = 8_000
#: What the proxy in front of HubSpot says, which is no JSON (airbytehq/airbyte#33976).
_TOO_LONG = (
    "<html><head><title>414 Request-URI Too Large</title></head><body><h1>414 Request-URI Too Large</h1></body></html>"
)
_LOGGED = 200
_OPTIONAL = ("category", "policyName", "errors", "correlationId")


class Sandbox(Acts):
    """A HubSpot portal with one app in it.

    `burst` and `search` are limits written `requests/seconds` (None: no limit), `daily` counts requests of static
    tokens, `latency_ms` is for the server to wait, `lag_ms` is how far search may be behind, `token_life_s` the life of
    an access token. Everything that is chance follows from `seed`. Thread-safe; it never sleeps.
    """

    def __init__(
        self,
        *,
        contacts: int = 0,
        seed: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        switches: Switches = Switches(),
        burst: str | None = None,
        search: str | None = None,
        daily: int | None = None,
        latency_ms: int = 0,
        lag_ms: int = 0,
        public_url: str = PUBLIC_URL,
        client_id: str = "sandbox-client",
        client_secret: str = "sandbox-secret",
        static_token: str = STATIC_TOKEN,
        portal_id: int = PORTAL_ID,
        app_id: int = APP_ID,
        token_life_s: int = 1800,
    ) -> None:
        self._now = now
        self._ms = to_ms(now())
        self._lock = threading.RLock()
        self._rng = Random(seed + 1)
        self.latency_ms = latency_ms
        self.public_url = public_url
        self.app_id = app_id
        self.static_token = static_token
        self.portal = Portal(portal_id, lambda: self._ms, seed, switches)
        self.portal.index.lag_ms = lag_ms
        self.limits = Limits(lambda: self._ms, burst, search, daily, UTC_OFFSET_MS)
        self.limit_texts: dict[str, Any] = {"burst": burst, "search": search, "daily": daily}
        self.oauth = OAuth(
            lambda: self._ms,
            self._rng,
            client_id,
            client_secret,
            static_token,
            token_life_s,
            lambda: self.portal.switches,
        )
        self.webhooks = Webhooks(self.portal, lambda: to_ms(self._now()), app_id, client_secret, Random(seed + 2))
        self.journal = Journal(self.portal, lambda: self.public_url, Random(seed + 3))
        self.faults = Faults()
        self._routes = Routes(self)
        self.schema = self._routes.schema
        self._counts: Counter[str] = Counter()
        self._log: deque[dict[str, Any]] = deque(maxlen=_LOGGED)
        if contacts:
            self.portal.seed(contacts)

    @property
    def switches(self) -> Switches:
        """How unknowns are answered just now."""
        return self.portal.switches

    def handle(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request. `path` is as it stands in the URL, still percent-encoded; header names in any case."""
        with self._lock:
            self._advance()
            if path.startswith("/sandbox/"):
                return admin.answer(self, method, path, body)
            if path.startswith(FILES):
                return self._faulty(method, path, lambda: self.journal.file(path))
            if pages.is_page(path):
                return pages.answer(self, method, path, query, body)
            return self._api(method, path, query, {name.lower(): value for name, value in headers.items()}, body)

    def _advance(self) -> None:
        """Take the time, once for the whole request, so that all it writes carries one instant."""
        self._ms = to_ms(self._now())
        self.portal.tick()

    def _api(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        kind = kind_of(method, path)
        answer = self._faulty(method, path, lambda: self._normal(method, path, query, headers, body))
        self._counts["throttled" if answer.status == 429 else kind] += 1
        logged = "/oauth/v1/access-tokens/..." if "/access-tokens/" in path else path
        told = {"method": method, "path": logged, "status": answer.status, "kind": kind, "fate": answer.fate}
        self._log.append({"at": self._ms, **told})
        return answer

    def _faulty(self, method: str, path: str, work: Callable[[], Answer]) -> Answer:
        fault = self.faults.take(method, path)
        try:
            return work() if fault is None else self._struck(fault, path, work)
        except Refusal as refusal:
            return self._refused(refusal)

    def _normal(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if len(path) + len(query) > MOST_URL_CHARACTERS:
            return html_answer(_TOO_LONG, 414)
        place = parse_path(path)
        if place is None:
            raise no_such_route()
        request = Request(
            method, path, _params(query), headers, body, None, place.version, self.public_url,
            tuple(unquote(each) for each in place.rest),
        )  # fmt: skip
        if place.area == "oauth":
            return self._routes.open(request)
        return self._authorised(place.area, request)

    def _authorised(self, area: str, request: Request) -> Answer:
        token = self.oauth.token(request.headers.get("authorization", ""))
        request = replace(request, token=token)
        is_search = area == "objects" and request.rest == ("search",)
        if area == "journal":
            # Exempt from the ten-second and the daily limit.
            return self._routes.answer(area, request)
        self.limits.admit(static=token.static, is_search=is_search, retry_after=self.switches.retry_after == "present")
        told = self.limits.headers(static=token.static, is_search=is_search)
        try:
            answer = self._routes.answer(area, request)
        except Refusal as refusal:
            answer = self._refused(refusal)
        return replace(answer, headers={**answer.headers, **told})

    def _refused(self, refusal: Refusal) -> Answer:
        if not refusal.body:
            return Answer(refusal.status, refusal.headers)
        body = {**refusal.body, "correlationId": self._correlation_id()}
        if self.switches.error_fields == "random" and "error" not in body:
            body = {name: value for name, value in body.items() if name not in _OPTIONAL or self._rng.random() < 0.75}
        return json_answer(body, refusal.status, refusal.headers)

    def _correlation_id(self) -> str:
        digits = f"{self._rng.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _struck(self, fault: Fault, path: str, work: Callable[[], Answer]) -> Answer:
        if fault.kind in ("cut", "lost_reply_before"):
            return Answer(502, fate="cut")
        if fault.kind in ("lost_reply_after", "truncated", "timeout"):
            try:
                answer = work()
            except Refusal as refusal:
                answer = self._refused(refusal)
            return replace(answer, fate="cut" if fault.kind == "lost_reply_after" else fault.kind)
        raise fault.refusal(path)


def _params(query: str) -> dict[str, str]:
    """Query parameters; one that is repeated is a comma-separated list, as official clients send it."""
    params: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        params[name] = f"{params[name]},{value}" if name in params else value
    return params
