"""The request budget of a portal as pure arithmetic: moments in, seconds to wait out.

Two rolling windows, one for ordinary requests and one for search, whose limit HubSpot counts apart; a silence that
HubSpot asked for; and the day. Source: HubSpot usage guidelines (developer-tooling/platform/usage-guidelines).
Moments are seconds on any clock that never goes back.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from mercuri.errors import RateLimited

#: Share of the daily limit, in percent, at which the lane that can wait for tomorrow stops.
DAILY_SHARE_OF_PATIENT_LANE = 75
#: Share of a window, in percent, that all but the most urgent lanes leave free, so that those find a slot at once.
KEPT_FOR_URGENT = 5
#: Seconds added to each window against clocks that differ a little.
MARGIN = 0.02
#: By how many seconds requests may differ in how long they are under way.
JITTER = 0.2
#: From an answer that took longer, in seconds, nothing is learnt of others.
REMEMBERED = 10.0
#: How long a waiting request that is not the first in its queue looks away, in seconds.
LOOK_EVERY = 0.5


class Lane(enum.IntEnum):
    """Who waits for the request; lower is served first."""

    OPT_OUT = 1
    BUTTON = 2
    WEBHOOK = 3
    INCREMENT = 4
    SWEEP = 5


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
        requests, _, seconds = text.partition("/")
        try:
            limit = cls(int(requests), float(seconds))
        except ValueError:
            limit = cls(0, 0)
        if limit.requests < 1 or limit.seconds <= 0:
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
    """A request that was let go, and until when it takes a slot."""

    sent_at: float
    free_at: float
    search: bool


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A place in the queue: by lane, then by arrival."""

    lane: Lane
    number: int
    search: bool


@dataclass(slots=True)
class Window:
    """A rolling window: at most `allowed` slots are taken at any time, and each frees itself."""

    limit: Limit
    share: int
    taken: list[Turn] = field(default_factory=list)
    freed: list[Turn] = field(default_factory=list)  # of late
    quickest: float = float("inf")

    @property
    def allowed(self) -> int:
        """Our share of the limit; one request at least."""
        return max(1, self.limit.requests * self.share // 100)

    def used(self, now: float) -> int:
        """How many slots are taken."""
        still = [turn for turn in self.taken if turn.free_at > now]
        if len(still) < len(self.taken):
            freed = [*self.freed, *(turn for turn in self.taken if turn.free_at <= now)]
            self.taken, self.freed = still, [turn for turn in freed if turn.free_at > now - REMEMBERED - JITTER]
        return len(still)

    def wait(self, lane: Lane, now: float) -> float:
        """Seconds until a slot is free for this lane; 0 when one is."""
        kept = self.allowed * KEPT_FOR_URGENT // 100 if lane > Lane.BUTTON else 0
        over = self.used(now) - max(1, self.allowed - kept)
        return 0.0 if over < 0 else sorted(turn.free_at for turn in self.taken)[over] - now

    def take(self, now: float, search: bool = False) -> Turn:
        """Fill a slot."""
        turn = Turn(now, now + self.limit.seconds + MARGIN, search)
        self.taken.append(turn)
        return turn

    def land(self, turn: Turn, now: float) -> None:
        """Keep the slot longer when the request was slow: HubSpot counts arrivals, and it may have arrived late."""
        took = now - turn.sent_at
        self.quickest = min(self.quickest, took)
        turn.free_at += took - self.quickest

    def share_with_others(self, remaining: int, asked_at: float, now: float) -> None:
        """Give slots to whoever else uses this limit, when HubSpot counts more requests than we do.

        It counted at some time since the request was sent: all that were in our window then may be among them.
        """
        ours = self.used(now) + sum(turn.free_at > asked_at - JITTER for turn in self.freed)
        if now - asked_at <= REMEMBERED:
            for _ in range(self.limit.requests - remaining - ours):
                self.take(now)


class Budget:
    """When each waiting request may go. `share` is the percentage of every limit that is ours."""

    def __init__(self, burst: Limit, search: Limit, share: int, max_wait: float) -> None:
        self._share, self._max_wait = share, max_wait
        self._windows = {False: Window(burst, share), True: Window(search, share)}
        self._held_until = {False: 0.0, True: 0.0}
        self._daily: tuple[int, int] | None = None
        self._daily_until = 0.0
        self._day_over_until = 0.0
        self._queue: list[Ticket] = []
        self._joined = 0

    @property
    def waiting(self) -> int:
        """How many are queued up."""
        return len(self._queue)

    def join(self, lane: Lane, search: bool) -> Ticket:
        """Queue up."""
        self._joined += 1
        ticket = Ticket(lane, self._joined, search)
        self._queue.append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Leave the queue, served or not."""
        self._queue.remove(ticket)

    def wait(self, ticket: Ticket, now: float) -> float:
        """Seconds to wait before asking again; 0 means: `go`. Raises RateLimited when it would be too long."""
        held = self._held_until[ticket.search] - now
        if held > self._max_wait:
            raise RateLimited("HubSpot asked us to wait.", retry_after=held)
        self._check_day(ticket.lane, now)
        if any(other < ticket for other in self._queue if other.search == ticket.search):
            return LOOK_EVERY
        return max(held, self._windows[ticket.search].wait(ticket.lane, now), 0.0)

    def go(self, ticket: Ticket, now: float) -> Turn:
        """Take a slot for a request that need not wait."""
        return self._windows[ticket.search].take(now, ticket.search)

    def landed(self, turn: Turn, now: float) -> None:
        """A request has its answer, or has failed."""
        self._windows[turn.search].land(turn, now)

    def hold(self, until: float, *, search_only: bool) -> None:
        """Send nothing until then."""
        for search in (True,) if search_only else (True, False):
            self._held_until[search] = max(self._held_until[search], until)

    def end_day(self, until: float) -> None:
        """HubSpot says that nothing is left of the day."""
        self._day_over_until = until

    def learn(self, headers: Mapping[str, str], now: float, *, asked_at: float, reset_at: float) -> None:
        """Take the real limits and what is left of them from the headers of the answer to a request that was sent then.

        The day ends at `reset_at`.
        """
        most, remaining = _number(headers, "x-hubspot-ratelimit-max"), _number(headers, "x-hubspot-ratelimit-remaining")
        interval = _number(headers, "x-hubspot-ratelimit-interval-milliseconds")
        window = self._windows[False]
        if most and interval:
            window.limit = Limit(most, interval / 1000)
            if remaining is not None:
                window.share_with_others(remaining, asked_at, now)
        daily, left = (
            _number(headers, "x-hubspot-ratelimit-daily"),
            _number(headers, "x-hubspot-ratelimit-daily-remaining"),
        )
        if daily and left is not None:
            self._daily, self._daily_until = (daily, left), reset_at

    def usage(self, now: float) -> Usage:
        """What is used now."""
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
            held_for=max(0.0, self._held_until[False] - now),
        )

    def _check_day(self, lane: Lane, now: float) -> None:
        if now < self._day_over_until:
            raise _used_up(self._day_over_until - now)
        if self._daily is None or now >= self._daily_until:
            return
        limit, left = self._daily
        patient = min(self._share, DAILY_SHARE_OF_PATIENT_LANE)
        share = {Lane.OPT_OUT: 100, Lane.SWEEP: patient}.get(lane, self._share)
        if (limit - left) * 100 >= limit * share:
            raise _used_up(self._daily_until - now)


def _used_up(seconds: float) -> RateLimited:
    message = "Our part of this portal's HubSpot requests for today is used up."
    return RateLimited(message, retry_after=seconds, daily=True, status=0)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isdecimal() else None
