"""Whose request goes first, and how much of HubSpot's limits is ours: with the sandbox counting on the other side."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World

from mercuri.engine import portal, run
from mercuri.engine.app import SYSTEM
from mercuri.hubspot.pacing import Lane, Limit, Pacer, Turn
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.store import portals
from mercuri.store.runs import Run

#: What the sandbox allows in these tests.
BURST, SEARCH = Limit(20, 10), Limit(4, 1)


class Noting(Pacer):
    """A budget on the clock of a world, which notes in which lane each request went.

    Time passes once no request is under way: else a thread that the machine holds up would arrive in another window.
    """

    def __init__(self, world: World, *, share: int = 100, burst: Limit = BURST) -> None:
        clock = world.clock
        super().__init__(burst, SEARCH, share=share, now=clock.monotonic, wall=clock.now, sleep=self._sleep)
        self.lanes: list[Lane] = []
        self._clock, self._mutex = clock, threading.Lock()
        self._away = self._asleep = 0

    def turn(self, lane: Lane, **options: Any) -> Turn:
        self._count(away=1)
        try:
            found = super().turn(lane, **options)
        except BaseException:
            self._count(away=-1)
            raise
        self.lanes.append(lane)
        return found

    def landed(self, turn: Turn) -> None:
        super().landed(turn)
        self._count(away=-1)

    def _count(self, away: int = 0, asleep: int = 0) -> None:
        with self._mutex:
            self._away, self._asleep = self._away + away, self._asleep + asleep

    def _sleep(self, seconds: float) -> None:
        self._count(asleep=1)
        until = time.monotonic() + 1
        while self._away > self._asleep and time.monotonic() < until:
            time.sleep(0.0005)
        self._clock.sleep(seconds)
        self._count(asleep=-1)


def limited(world: World, pacer: Pacer) -> None:
    """The limits of HubSpot on its side, and this budget on ours."""
    world.sandbox.set_limits(
        burst=f"{BURST.requests}/{BURST.seconds:g}", search=f"{SEARCH.requests}/{SEARCH.seconds:g}"
    )
    world.app.portals.pacer = lambda *_: pacer  # type: ignore[method-assign]
    world.clock.advance(120)


def busiest(world: World, seconds: float, *, search: bool) -> int:
    """The most requests that HubSpot saw in any period of so many seconds."""
    times = [entry["at"] for entry in world.sandbox.log() if (entry["kind"] == "search") is search]
    return max(sum(start <= at < start + seconds * 1000 for at in times) for start in times)


@pytest.mark.parametrize("share", [100, 50])
def test_a_full_sync_never_goes_over_its_share_of_the_limits(world: World, share: int) -> None:
    world.sandbox.add_contacts(3000)
    limited(world, Noting(world, share=share))
    world.sandbox.reset_counts()

    done = world.sync(full=True)

    assert (done.state, done.counts["created"]) == ("done", 3000)
    assert world.sandbox.counts()["throttled"] == 0
    assert busiest(world, BURST.seconds, search=False) <= BURST.requests * share // 100
    assert busiest(world, SEARCH.seconds, search=True) <= SEARCH.requests * share // 100


@pytest.mark.parametrize(
    ("trigger", "full", "lane"),
    [
        ("button", True, Lane.BUTTON),
        ("button", False, Lane.BUTTON),
        ("cli", False, Lane.BUTTON),
        ("api", False, Lane.BUTTON),
        ("webhook", False, Lane.WEBHOOK),
        ("schedule", False, Lane.INCREMENT),
        ("schedule", True, Lane.SWEEP),
    ],
)
def test_each_kind_of_run_has_its_lane(world: World, trigger: str, full: bool, lane: Lane) -> None:
    world.sandbox.add_contacts(3)
    world.sync()
    pacer = Noting(world, burst=Limit(1000, 1))
    limited(world, pacer)
    world.sandbox.set_limits(burst=None)

    asked = run.request(world.app, world.ws, PORTAL, full=full, trigger=trigger, actor=SYSTEM)
    world.go(asked)

    assert set(pacer.lanes) <= {lane}


def test_of_all_who_wait_the_most_urgent_goes_first(world: World) -> None:
    with world.app.db.read(world.ws) as tx:
        connected = portals.get(tx, PORTAL)
    # Real threads that really wait, on a clock that lets one of them go at a time.
    pacer = Pacer(Limit(1, 10), SEARCH, share=100, now=world.clock.monotonic, wall=world.clock.now)
    world.app.portals.pacer = lambda *_: pacer  # type: ignore[method-assign]
    pacer.landed(pacer.turn(Lane.SWEEP))
    served: list[Lane] = []

    def ask(lane: Lane) -> None:
        portal.client_for(world.app, world.ws, connected, lane).list_contacts(["email"], limit=1)
        served.append(lane)

    threads = [threading.Thread(target=ask, args=(lane,)) for lane in reversed(Lane)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        _until(lambda number=number: pacer.waiting() == number)
    for number in range(1, len(threads) + 1):
        world.clock.advance(11)
        _until(lambda number=number: len(served) == number)
    for thread in threads:
        thread.join()

    assert served == sorted(Lane)


def _until(claim: Any) -> None:
    for _ in range(2000):
        if claim():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen")


def test_other_apps_find_the_share_that_is_left_to_them(world: World) -> None:
    world.sandbox.add_contacts(2000)
    limited(world, Noting(world, share=50))
    headers = {"authorization": f"Bearer {STATIC_TOKEN}"}
    another = httpx.Client(transport=SandboxTransport(world.sandbox), base_url="https://hubspot.test", headers=headers)
    answers: dict[int, int] = {}

    def meanwhile(_: Run) -> None:
        second = int(world.clock.monotonic())
        if second not in answers:
            answers[second] = another.get("/crm/objects/2026-09/contacts?limit=1").status_code

    asked = run.request(world.app, world.ws, PORTAL, full=True, trigger="button", actor=OWNER)
    done = run.execute(world.app, world.ws, asked.id, owner="worker", progress=meanwhile)

    assert (done.state, done.counts["created"], done.calls["throttled"]) == ("done", 2000, 0)
    assert len(answers) > 3
    assert set(answers.values()) == {200}


def test_429s_that_others_cause_cost_time_and_nothing_else(world: World) -> None:
    world.sandbox.add_contacts(500)
    limited(world, Noting(world))
    world.sandbox.fault("429", match="contacts", count=3, skip=2)
    world.sandbox.fault("429", match="search", count=2)

    done = world.go_through(world.ask(full=True))

    assert (done.state, done.counts["created"], done.calls["throttled"]) == ("done", 500, 5)


def test_the_share_that_is_set_is_the_share_that_is_used(world: World) -> None:
    made: list[Any] = []
    world.app.portals.pacer = lambda ws, portal_id, limits, make: made.append(make()) or made[-1]  # type: ignore[method-assign,func-returns-value]
    usual = world.app.settings.model_copy(update={"burst_limit": "110/10", "search_limit": "5/1"})
    object.__setattr__(world.app, "settings", usual)
    world.settings(burst_share=40)

    world.sync()

    assert (made[-1].used().allowed, made[-1].used().search_allowed) == (44, 2)
