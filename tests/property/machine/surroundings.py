"""What surrounds a run of the machine: a wire and a database at whose n-th use something happens, and no threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx
from tests.property.machine.histories import Moment, Step
from tests.support.clock import Clock
from tests.support.fuse import PowerCut
from tests.support.sandbox import arrived
from tests.support.world import HUBSPOT

from mercuri.engine import reconcile, sending
from mercuri.hubspot import everything
from mercuri.sandbox import Sandbox
from mercuri.sandbox.answers import Answer
from mercuri.store.database import Database, Tx

_WRITES = ("/batch/update", "/batch/upsert", "/batch/create", "/batch/archive", "/contacts")


_LOOKS = ("/batch/read", "/search", "/token")


def _is_look(method: str, path: str) -> bool:
    return method == "GET" or path.endswith(_LOOKS)


def _is_write(method: str, path: str) -> bool:
    is_post = method == "POST" and path.endswith(_WRITES)
    return "/objects/" in path and (is_post or method in ("PATCH", "DELETE"))


@dataclass
class Moments:
    """Counts what a run does, and tells what happens at each point. After a power cut nothing works any more."""

    act: Callable[[Step], None]
    happened: Counter[str]
    waiting: list[Moment] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    dead: bool = False

    def start(self, waiting: Sequence[Moment]) -> None:
        """A run begins."""
        self.waiting, self.counted, self.dead = list(waiting), Counter(), False

    def check(self) -> None:
        """Raise PowerCut when the process is gone."""
        if self.dead:
            raise PowerCut

    def cut(self) -> None:
        """The process dies."""
        self.dead = True
        raise PowerCut

    def reached(self, point: str) -> list[Moment]:
        """What happens now; acts of people are done here, the rest is returned."""
        number, self.counted[point] = self.counted[point], self.counted[point] + 1
        due = [one for one in self.waiting if (one.point, one.number) == (point, number)]
        self.waiting = [one for one in self.waiting if one not in due]
        for one in due:
            self.happened[f"during a run, at a {point}: {one.what}"] += 1
            if one.act is not None and point != "take":
                self.act(one.act)
        return due


class Ticking(Clock):
    """A clock that is set by hand, and at whose moments something may be due."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[tuple[float, Callable[[], object]]] = []

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something once so many seconds have passed."""
        self._due.append((self._passed + seconds, do))

    def advance(self, seconds: float) -> None:
        """As a clock's."""
        until = self._passed + seconds
        for one in sorted((one for one in self._due if one[0] <= until), key=lambda one: one[0]):
            self._due.remove(one)
            self._passed = one[0]
            one[1]()
        self._passed = until

    def sleep(self, seconds: float) -> None:
        """As a clock's."""
        self.advance(seconds)


class Wire:
    """The network between the engine and the sandbox; stands in for `httpx.Client`, whose own work would be most of it.

    Answers are httpx's, and so is what goes wrong. `writes` counts what the engine asked HubSpot to change.
    """

    def __init__(self, sandbox: Sandbox, moments: Moments, clock: Ticking) -> None:
        self.sandbox, self.moments, self._clock = sandbox, moments, clock
        self.others: dict[str, Sandbox] = {}  # further portals, by the authorization that opens them
        self._fault, self._left, self._later = "", 0, 0
        self.writes = 0
        #: Whether what HubSpot does at this moment was asked of it long ago.
        self.is_late = False

    def clear(self) -> None:
        """All is well from now on."""
        self._left = 0

    def request(self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]) -> httpx.Response:
        """As the client's, unless something happens."""
        self.moments.check()
        path, _, query = url.removeprefix(HUBSPOT).partition("?")
        self.writes += not _is_look(method, path)
        due = self.moments.reached("request")
        if _is_write(method, path):
            due += self.moments.reached("write")
        for one in due:
            if one.what not in ("cut", "act"):
                self._fault, self._left, self._later = one.what, one.times, one.later
        there = self.others.get(headers.get("authorization", ""), self.sandbox)
        answer = self._ask(there, lambda: there.handle(method, path, query, headers, content or b""))
        if any(one.what == "cut" for one in due):
            self.moments.cut()
        return arrived(answer)

    def _ask(self, sandbox: Sandbox, there: Callable[[], Answer]) -> Answer:
        if self._left == 0:
            return there()
        self._left -= 1
        if self._fault == "lost_before":
            raise httpx.ReadTimeout("nothing came back")
        if self._fault == "lost_after":
            there()
            raise httpx.ReadTimeout("nothing came back")
        if self._fault == "late":
            self._clock.later(self._later, lambda: self._arrive_late(there))
            raise httpx.ReadTimeout("nothing came back")
        sandbox.fault(self._fault)
        return there()

    def _arrive_late(self, there: Callable[[], Answer]) -> None:
        self.is_late = True
        there()
        self.is_late = False


class GuardedDatabase:
    """The database as a run uses it: the process may die, or a person act, right after a commit."""

    def __init__(self, database: Database, moments: Moments) -> None:
        self._database, self._moments = database, moments

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def write(self, workspace: Any) -> Iterator[Tx]:
        """As `Database.write`."""
        self._moments.check()
        with self._database.write(workspace) as tx:
            yield tx
        if any(one.what == "cut" for one in self._moments.reached("commit")):
            self._moments.cut()


class _Interrupted:
    """`store.contacts` on a database where others commit between a run's read and its write (READ COMMITTED)."""

    def __init__(self, real: Any, before: Callable[[Tx, Any], None]) -> None:
        self._real, self._before = real, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def change_fields(self, tx: Tx, contact: Any, *values: Any, **more: Any) -> Any:
        """As the real one, after someone else's edit."""
        self._before(tx, contact)
        return self._real.change_fields(tx, contact, *values, **more)


class _AtOnce:
    """A thread pool that does what it is given at once, so that a history has one order only."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> _AtOnce:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, do: Callable[..., Any], *values: Any, **more: Any) -> Future[Any]:
        """As an executor's."""
        done: Future[Any] = Future()
        try:
            done.set_result(do(*values, **more))
        except BaseException as error:  # noqa: BLE001  # as an executor does
            done.set_exception(error)
        return done

    def map(self, do: Callable[..., Any], *values: Any) -> Iterator[Any]:
        """As an executor's."""
        return map(do, *values)


@contextmanager
def in_one_thread(before_taking: Callable[[Tx, Any], None]) -> Iterator[None]:
    """Everything in one thread; `before_taking` is called right before a run writes a value of HubSpot's here."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(everything, "ThreadPoolExecutor", _AtOnce))
        for module in (reconcile, sending):
            stack.enter_context(patch.object(module, "contacts", _Interrupted(module.contacts, before_taking)))
        yield
