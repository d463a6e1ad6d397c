"""What every measurement shares: HubSpot in a process of its own, a team connected to it, and figures for the table."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from mercuri.config import Settings
from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.engine import portal as portals
from mercuri.engine import run as runs
from mercuri.engine.app import Actor, App
from mercuri.sandbox import Sandbox, start_in_thread
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.store.database import ANY, Database
from mercuri.store.runs import Run
from mercuri.wiring import build

OWNER = Actor("bench", "owner")
#: One for all processes of a measurement; it guards nothing but the sandbox's token.
_KEY = SecretStr("YmVuY2htYXJrcy1oYXZlLW5vdGhpbmctdG8taGlkZSE=")
#: What HubSpot allows a public app, at a usual distance.
LIMITS = {"burst": "110/10", "search": "5/1", "latency_ms": 300}
NO_LIMITS = {"burst": None, "search": None, "latency_ms": 0}
BACKENDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, what came of it, and what is to be reached."""

    what: str
    measured: str
    reach: str = ""


@cache
def _http() -> httpx.Client:
    return httpx.Client(timeout=300, trust_env=False)


@dataclass(frozen=True)
class HubSpot:
    """The sandbox in another process."""

    url: str

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Its admin API (docs/sandbox.md)."""
        answer = _http().request(method, f"{self.url}/sandbox/{path}", json=body or None)
        answer.raise_for_status()
        return answer.json()

    def limit(self, limits: dict[str, Any]) -> None:
        """Other limits from now on."""
        self.ask("POST", "limits", **limits)


@dataclass(frozen=True)
class Done:
    """A run with what it took: seconds of time and of this process's processor."""

    run: Run
    seconds: float
    cpu: float


@dataclass(frozen=True)
class Team:
    """A workspace connected to the sandbox."""

    app: App
    ws: WorkspaceId
    portal: PortalId

    def sync(self, *, full: bool = False, preview: bool = False, trigger: str = "button") -> Done:
        """One run, done in this process."""
        asked = runs.request(self.app, self.ws, self.portal, full=full, preview=preview, trigger=trigger, actor=OWNER)
        began, busy = time.perf_counter(), time.process_time()
        done = runs.execute(self.app, self.ws, asked.id, owner="bench")
        assert done.state == "done", done.message
        return Done(done, time.perf_counter() - began, time.process_time() - busy)


def _serve(contacts: int, ready: Any) -> None:
    made = Sandbox(contacts=contacts)
    made.switch(list_after="works", static_account_info="allowed")
    ready.put(start_in_thread(made).url)
    threading.Event().wait()


@contextlib.contextmanager
def a_hubspot(contacts: int, limits: dict[str, Any]) -> Iterator[HubSpot]:
    """A sandbox with invented contacts, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=_serve, args=(contacts, ready), daemon=True)
    process.start()
    try:
        hubspot = HubSpot(ready.get(timeout=600))
        hubspot.limit(limits)
        yield hubspot
    finally:
        process.terminate()
        process.join()


@contextlib.contextmanager
def a_team(hubspot: HubSpot, database_url: str, *, limited: bool, **settings: Any) -> Iterator[Team]:
    """A team that is connected and uses the whole of HubSpot's limits, or of none."""
    burst, search = (LIMITS["burst"], LIMITS["search"]) if limited else ("1000000/1", "1000000/1")
    with tempfile.TemporaryDirectory() as directory:
        services = build(
            Settings(
                data_dir=Path(directory),
                database_url=database_url,
                secret_key=_KEY,
                hubspot_api_url=hubspot.url,
                burst_limit=str(burst),
                search_limit=str(search),
            )
        )
        app, ws = services.app, services.default_workspace
        try:
            found = portals.connect_static(app, ws, STATIC_TOKEN, OWNER)
            portals.change_settings(app, ws, found.id, {"burst_share": 100, **settings}, OWNER)
            yield Team(app, ws, found.id)
        finally:
            services.close()


def apart(work: Callable[..., Any], *given: Any) -> tuple[Any, int]:
    """The answer of a function in a process of its own, and the most memory that process had, in MB."""
    context = multiprocessing.get_context("spawn")
    with contextlib.closing(context.SimpleQueue()) as answer:
        process = context.Process(target=_tell, args=(answer, work, given))
        process.start()
        process.join()
        assert process.exitcode == 0, f"{work.__name__} failed"
        found: tuple[Any, int] = answer.get()
    return found


def _tell(answer: Any, work: Callable[..., Any], given: Sequence[Any]) -> None:
    found = work(*given)
    answer.put((found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


def share(times: Sequence[float], part: float) -> float:
    """The time within which this part of them lies: 0.95 for p95."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def timed(work: Callable[[], Any]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Cpu:
    """Seconds of processor time: of this process, and of a database's server."""

    program: float = 0.0
    server: float = 0.0

    def each(self, number: int) -> str:
        """What each of a number of things took, for people."""
        whole, program, server = (
            f"{seconds / number * 1e6:,.0f}" for seconds in (self.program + self.server, self.program, self.server)
        )
        return f"{whole} µs of processor time" + (f" (program {program}, server {server})" if self.server else "")

    def __add__(self, other: Cpu) -> Cpu:
        return Cpu(self.program + other.program, self.server + other.server)

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.program - other.program, self.server - other.server)


def cpu(db: Database) -> Cpu:
    """The processor time so far; the server's is that of the processes that serve this database, on this machine."""
    if db.is_sqlite:
        return Cpu(time.process_time())
    with db.read(ANY) as tx:
        serving = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        pids = [row[0] for row in tx.execute(serving)]
    nanoseconds = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)
    return Cpu(time.process_time(), nanoseconds / 1e9)


def ms(seconds: float) -> str:
    """Seconds as milliseconds, for people."""
    return f"{seconds * 1000:,.1f} ms"
