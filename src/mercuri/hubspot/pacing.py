"""The request budget of a portal: when the next request may go.

One `Pacer` per portal and process. It keeps two rolling windows, one for ordinary requests and one for search,
holds everything while HubSpot asks for silence, leaves a reserve of the daily limit, and serves the most urgent
lane first. Processes that share a portal notice each other by the `Remaining` header.
Source: HubSpot usage guidelines (developer-tooling/platform/usage-guidelines).
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mercuri.errors import AppError, RateLimited

#: Share of the daily limit, in percent, at which the lanes that can wait for tomorrow stop.
DAILY_SHARE_OF_PATIENT_LANES = 75
#: Share of a window, in percent, that the patient lanes leave free, so that an urgent request finds a slot.
KEPT_FOR_URGENT = 5
#: Seconds added to each window against clocks that differ a little.
MARGIN = 0.02
#: Longest sleep between two looks at `cancelled`, in seconds.
LOOK_EVERY = 0.5
#: Longest wait for a daily reset when the portal's time zone is unknown, in seconds.
UNKNOWN_RESET = 3600.0


class Lane(enum.IntEnum):
    """Who waits for the request; lower is served first."""

    OPT_OUT = 1
    BUTTON = 2
    WEBHOOK = 3
    INCREMENT = 4
    RETRY = 5
    SWEEP = 6


class Cancelled(AppError):
    """The caller's `cancelled` said so while a request waited for its turn; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in any period of so many seconds."""

    requests: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read `requests/seconds`; raises ValueError for anything else.

        >>> Limit.parse("110/10")
        Limit(requests=110, seconds=10.0)
        """
        requests, slash, seconds = text.partition("/")
        limit = cls(int(requests), float(seconds)) if slash else None
        if limit is None or limit.requests < 1 or limit.seconds <= 0:
            raise ValueError(f"a limit is written like 110/10, not {text!r}")
        return limit


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used of the limits now; the daily numbers are HubSpot's, None where it states none."""

    used: int
    allowed: int
    seconds: float
    search_used: int
    search_allowed: int
    daily_used: int | None
    daily_limit: int | None
    held_for: float


@dataclass(slots=True, eq=False)
class Turn:
    """A request that was let go: hand it back to `Pacer.landed` when its answer is here."""

    sent_at: float
    free_at: float
    search: bool


@dataclass(slots=True)
class Window:
    """A rolling window: at most `allowed` slots are taken at any time, and each frees itself."""

    limit: Limit
    share: int
    taken: list[Turn] = field(default_factory=list)
    quickest: float = float("inf")

    @property
    def allowed(self) -> int:
        return max(1, self.limit.requests * self.share // 100)

    def room_for(self, lane: Lane) -> int:
        """How many slots this lane may see as its own; one at least."""
        kept = self.allowed * KEPT_FOR_URGENT // 100 if lane > Lane.BUTTON else 0
        return max(1, self.allowed - kept)

    def used(self, now: float) -> int:
        self.taken = [turn for turn in self.taken if turn.free_at > now]
        return len(self.taken)

    def wait(self, lane: Lane, now: float) -> float:
        """Seconds until a slot is free for this lane; 0 when one is."""
        over = self.used(now) - self.room_for(lane)
        if over < 0:
            return 0.0
        return sorted(turn.free_at for turn in self.taken)[over] - now

    def take(self, now: float, search: bool) -> Turn:
        turn = Turn(now, now + self.limit.seconds + MARGIN, search)
        self.taken.append(turn)
        return turn

    def land(self, turn: Turn, now: float) -> None:
        """Keep the slot longer when the request was slow: HubSpot counts arrivals, and it may have arrived late."""
        took = now - turn.sent_at
        self.quickest = min(self.quickest, took)
        turn.free_at += took - self.quickest

    def others(self, remaining: int, now: float) -> None:
        """Give slots to whoever else uses this limit, when HubSpot counts clearly more requests than we do."""
        foreign = self.limit.requests - remaining - self.used(now)
        if foreign > max(2, self.limit.requests // 20):
            for _ in range(foreign):
                self.take(now, search=False)


class Pacer:
    """Lets requests to one portal go, in order of lane, never faster than `share` percent of its limits.

    Safe to share among threads. `time_zone` is the portal's (its daily limit resets there at midnight).
    """

    def __init__(
        self,
        burst: Limit,
        search: Limit,
        *,
        share: int = 90,
        max_wait: float = 60.0,
        time_zone: str | None = None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.max_wait = max_wait
        self._share = share
        self._windows = {False: Window(burst, share), True: Window(search, share)}
        self._holds = {False: 0.0, True: 0.0}
        self._daily: tuple[int, int] | None = None
        self._daily_until = 0.0
        self._zone = ZoneInfo(time_zone) if time_zone else None
        self._now, self._wall, self._sleep = now, wall, sleep
        self._changed = threading.Condition()
        self._queue: list[tuple[Lane, int, bool]] = []
        self._seq = 0

    def turn(self, lane: Lane, *, search: bool = False, cancelled: Callable[[], bool] | None = None) -> Turn:
        """Block until the request may go.

        Raises RateLimited when HubSpot asked for a silence longer than `max_wait` seconds or this lane's part of
        the day is used up, and Cancelled when `cancelled` says so.
        """
        with self._changed:
            self._seq += 1
            ticket = (lane, self._seq, search)
            self._queue.append(ticket)
            try:
                while True:
                    if cancelled is not None and cancelled():
                        raise Cancelled("The run was asked to stop.")
                    wait = self._wait(ticket)
                    if wait <= 0:
                        return self._windows[search].take(self._now(), search)
                    self._pause(min(wait, LOOK_EVERY))
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def landed(self, turn: Turn) -> None:
        """The answer to a request is here, or it failed."""
        with self._changed:
            self._windows[turn.search].land(turn, self._now())

    def pause(self, seconds: float, cancelled: Callable[[], bool] | None = None) -> None:
        """Sleep before a repeated request; raises Cancelled when `cancelled` says so."""
        until = self._now() + seconds
        with self._changed:
            while (left := until - self._now()) > 0:
                if cancelled is not None and cancelled():
                    raise Cancelled("The run was asked to stop.")
                self._pause(min(left, LOOK_EVERY))

    def saw(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers: the real limit, who else uses it, and what is left of the day."""
        most, remaining = _number(headers, "x-hubspot-ratelimit-max"), _number(headers, "x-hubspot-ratelimit-remaining")
        interval = _number(headers, "x-hubspot-ratelimit-interval-milliseconds")
        daily = _number(headers, "x-hubspot-ratelimit-daily")
        left = _number(headers, "x-hubspot-ratelimit-daily-remaining")
        with self._changed:
            window = self._windows[False]
            if most and interval:
                window.limit = Limit(most, interval / 1000)
            if most and interval and remaining is not None:
                window.others(remaining, self._now())
            if daily and left is not None:
                self._daily, self._daily_until = (daily, left), self._now() + self._until_reset()

    def refused(self, error: RateLimited, *, search: bool = False) -> None:
        """Hold requests until HubSpot's silence is over: searches only, or (`search` false) everything."""
        with self._changed:
            until = self._now() + (max(error.retry_after, self._until_reset()) if error.daily else error.retry_after)
            for kind in {True} if search and not error.daily else {True, False}:
                self._holds[kind] = max(self._holds[kind], until)

    def used(self) -> Usage:
        """What is used of the limits now, for display."""
        with self._changed:
            now = self._now()
            burst, search = self._windows[False], self._windows[True]
            daily = self._daily if now < self._daily_until else None
            return Usage(
                used=burst.used(now),
                allowed=burst.allowed,
                seconds=burst.limit.seconds,
                search_used=search.used(now),
                search_allowed=search.allowed,
                daily_used=daily[0] - daily[1] if daily else None,
                daily_limit=daily[0] if daily else None,
                held_for=max(0.0, self._holds[False] - now),
            )

    def _wait(self, ticket: tuple[Lane, int, bool]) -> float:
        lane, _, search = ticket
        now = self._now()
        held = self._holds[search] - now
        if held > self.max_wait:
            raise RateLimited("HubSpot asked us to wait.", retry_after=held)
        self._check_day(lane, now)
        if any(other < ticket for other in self._queue if other[2] == search):
            return LOOK_EVERY
        return max(held, self._windows[search].wait(lane, now))

    def _check_day(self, lane: Lane, now: float) -> None:
        if self._daily is None or now >= self._daily_until:
            return
        limit, left = self._daily
        share = {Lane.OPT_OUT: 100, Lane.RETRY: DAILY_SHARE_OF_PATIENT_LANES, Lane.SWEEP: DAILY_SHARE_OF_PATIENT_LANES}
        if limit - left >= limit * min(share.get(lane, self._share), 100) // 100:
            raise RateLimited(
                "Today's share of this portal's HubSpot requests is used up.",
                retry_after=self._daily_until - now,
                daily=True,
                status=0,
            )

    def _until_reset(self) -> float:
        if self._zone is None:
            return UNKNOWN_RESET
        now = self._wall().astimezone(self._zone)
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return (midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds()

    def _pause(self, seconds: float) -> None:
        # A hand-set clock moves by its own sleep; real threads wait on the condition, which lets the others in.
        if self._sleep is None:
            self._changed.wait(seconds)
            return
        self._changed.release()
        try:
            self._sleep(seconds)
        finally:
            self._changed.acquire()


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isdecimal() else None
