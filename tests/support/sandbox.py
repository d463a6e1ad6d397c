"""The sandbox for tests: in-process behind httpx, or as a real server on a free port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from mercuri.sandbox import Running, Sandbox, start_in_thread
from mercuri.sandbox.answers import Answer


def arrived(answer: Answer) -> httpx.Response:
    """What httpx makes of an answer of the sandbox's, and of what becomes of it on the way."""
    if answer.fate == "cut":
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    if answer.fate == "truncated":
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
    if answer.fate == "timeout":
        raise httpx.ReadTimeout("The read operation timed out")
    return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


class SandboxTransport(httpx.BaseTransport):
    """An httpx transport that asks the sandbox directly, with no socket; faults become httpx's own errors."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        answer = self.sandbox.handle(request.method, path, query, dict(request.headers), request.read())
        return arrived(answer)


class Meddler(httpx.BaseTransport):
    """Lets someone act in HubSpot just before our first request to a path arrives."""

    def __init__(self, sandbox: Sandbox, path: str, act: Callable[[], None]) -> None:
        self._transport, self._path, self._act, self._done = SandboxTransport(sandbox), path, act, False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._path in request.url.path and not self._done:
            self._done = True
            self._act()
        return self._transport.handle_request(request)


@contextmanager
def running_sandbox(**options: Any) -> Iterator[Running]:
    """A sandbox served on a free port of this machine; `.url` and `.sandbox` are what a test needs."""
    running = start_in_thread(Sandbox(**options))
    try:
        yield running
    finally:
        running.stop()
