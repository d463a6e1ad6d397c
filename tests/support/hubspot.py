"""A HubSpot that answers from a script, for bodies and headers that a well-behaved server never sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.support.clock import Clock

from mercuri.hubspot.client import Client
from mercuri.hubspot.oauth import OAuth
from mercuri.hubspot.pacing import Lane, Limit, Pacer
from mercuri.hubspot.tokens import Tokens, TokenService
from mercuri.hubspot.wire import CONTACTS

API = "https://hubspot.test"

#: What to answer a request with: a response, or an error of the network.
Answer = httpx.Response | httpx.HTTPError | Callable[[httpx.Request], httpx.Response]


class ScriptedTransport(httpx.BaseTransport):
    """Gives the answers of a script in turn and remembers the requests; a request too many fails the test."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        assert self.answers, f"no answer is left for {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def bodies(self) -> list[Any]:
        """The JSON bodies sent, in order; None for a request without one."""
        return [json.loads(request.content) if request.content else None for request in self.requests]


@dataclass
class MemoryTokens:
    """A token store in memory that counts what is done to it."""

    tokens: Tokens
    saved: list[Tokens] = field(default_factory=list)

    def load(self) -> Tokens:
        return self.tokens

    def save(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.saved.append(tokens)

    @contextmanager
    def lock(self) -> Iterator[None]:
        yield


@dataclass
class Scripted:
    """A client of portal 4242 on a script, with its parts at hand."""

    client: Client
    script: ScriptedTransport
    clock: Clock
    pacer: Pacer
    store: MemoryTokens


def scripted(
    *answers: Answer, tokens: Tokens | None = None, lane: Lane = Lane.BUTTON, zone: str | None = None
) -> Scripted:
    """A client whose requests are answered by `answers`, in turn; its clock is set by hand."""
    clock, script = Clock(), ScriptedTransport(*answers)
    http = httpx.Client(transport=script)
    store = MemoryTokens(tokens or Tokens("pat-first", kind="static"))
    oauth = OAuth(API, API, "client", "secret", "http://localhost/callback", http, clock.now)
    limits = Limit(110, 10), Limit(5, 1)
    pacer = Pacer(*limits, time_zone=zone, now=clock.monotonic, wall=clock.now, sleep=clock.sleep)
    service = TokenService(store, oauth, clock.now, clock.sleep)
    client = Client(http, API, service, pacer, portal="4242", lane=lane)
    return Scripted(client, script, clock, pacer, store)


def ok(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """A JSON answer."""
    return httpx.Response(status, json=body, headers=headers)


def a_record(record_id: str = "51", **properties: str | None) -> dict[str, Any]:
    """A record as HubSpot shows it."""
    return {
        "id": record_id,
        "properties": properties,
        "createdAt": "2026-03-09T08:00:00.120Z",
        "updatedAt": "2026-03-09T08:30:00Z",
        "archived": False,
    }


def a_page(*records: Mapping[str, Any], after: str | None = None, total: int | None = None) -> httpx.Response:
    """A page of a list or search."""
    body: dict[str, Any] = {"results": list(records)}
    if after is not None:
        body["paging"] = {"next": {"after": after, "link": f"{API}{CONTACTS}?after={after}"}}
    return ok(body | ({} if total is None else {"total": total}))
