"""How soon HubSpot's calls are answered, while nothing else happens and during a first load."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import httpx

from bench.harness import BACKENDS, NO_LIMITS, Figure, a_hubspot, ms, share
from bench.store import a_database
from mercuri.hubspot.webhooks import sign_v3
from mercuri.sandbox.api import STATIC_TOKEN

_SECRET = "sandbox-secret"
_PORTAL = 4242
#: Seconds between calls, and events of each: some thousand changes a minute.
_PAUSE, _EVENTS = 0.1, 20


def measure(count: int) -> Iterator[Figure]:
    """The time until `mercuri serve` has answered, both databases."""
    for backend in BACKENDS:
        with a_hubspot(count, NO_LIMITS) as hubspot, a_database(backend) as url, _served(url, hubspot.url) as server:
            for _ in range(5):
                server.call()
            yield _told(backend, "while nothing else happens", server.calls_while(_for_seconds(5)))
            server.mercuri("sync", "--no-wait")
            yield _told(backend, f"during a first load of {count:,}", server.calls_while(server.is_loading))


def _told(backend: str, when: str, times: list[float]) -> Figure:
    found = f"p50 {ms(share(times, 0.5))}, p95 {ms(share(times, 0.95))}, at most {ms(max(times))} of {len(times)} calls"
    return Figure(f"a webhook call of {_EVENTS} events, {when}, {backend}", found, "p95 ≤ 100 ms")


def _for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


class _Server:
    """`mercuri serve` in a process of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env, self._url = env, f"{env['MERCURI_PUBLIC_URL']}/webhooks/hubspot"
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._called = 0
        self._headers = {
            "Authorization": f"Bearer {json.loads(self.mercuri('token', 'create', 'bench', '--json'))['token']}"
        }

    def mercuri(self, *words: str) -> str:
        """A command of its installation; what it says."""
        command = [sys.executable, "-m", "mercuri", *words]
        return subprocess.run(command, env=self._env, check=True, capture_output=True, text=True).stdout

    def call(self) -> float:
        """Seconds until a signed call was accepted."""
        self._called += 1
        events = [
            {
                "subscriptionType": "contact.propertyChange",
                "portalId": _PORTAL,
                "objectId": self._called * _EVENTS + number,
            }
            for number in range(_EVENTS)
        ]
        body, timestamp = json.dumps(events).encode(), str(int(time.time() * 1000))
        signature = sign_v3(_SECRET, "POST", self._url, body, timestamp)
        headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": timestamp}
        began = time.perf_counter()
        self._http.post(self._url, content=body, headers=headers).raise_for_status()
        return time.perf_counter() - began

    def calls_while(self, lasts: Callable[[], bool]) -> list[float]:
        """The times of one call after the other, with a pause between them."""
        times = [self.call()]
        while lasts():
            time.sleep(_PAUSE)
            times.append(self.call())
        return times

    def is_loading(self) -> bool:
        """Whether the run is under way."""
        found = self._http.get(self._url.replace("/webhooks/hubspot", "/api/v1/sync-runs"), headers=self._headers)
        return bool(found.json()["items"][0]["state"] in ("queued", "running"))


@contextlib.contextmanager
def _served(url: str, hubspot_url: str) -> Iterator[_Server]:
    with tempfile.TemporaryDirectory() as directory, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        env = {
            **os.environ,
            "MERCURI_DATA_DIR": directory,
            "MERCURI_DATABASE_URL": url,
            "MERCURI_HUBSPOT_API_URL": hubspot_url,
            "MERCURI_HUBSPOT_CLIENT_ID": "sandbox-client",
            "MERCURI_HUBSPOT_CLIENT_SECRET": _SECRET,
            "MERCURI_BURST_LIMIT": "1000000/1",
            "MERCURI_SEARCH_LIMIT": "1000000/1",
            "MERCURI_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        server = _Server(env)
        server.mercuri("connect", "--token", STATIC_TOKEN)
        probe.close()
        process = subprocess.Popen([sys.executable, "-m", "mercuri", "serve", "--port", str(port)], env=env)
        try:
            _until_ready(f"http://127.0.0.1:{port}/readyz")
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _until_ready(url: str) -> None:
    for _ in range(300):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")
