"""When the next request to a portal may go: the budget, shared by the threads of one process.

One `Pacer` per portal and process. Processes that share a portal notice each other by the `Remaining` header.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mercuri.errors import AppError, RateLimited
from mercuri.hubspot.budget import LOOK_EVERY, Budget, Turn
from mercuri.hubspot.budget import Lane as Lane
from mercuri.hubspot.budget import Limit as Limit
from mercuri.hubspot.budget import Usage as Usage

#: Longest wait for a daily reset when the portal's time zone is unknown, in seconds.
UNKNOWN_RESET = 3600.0


class Cancelled(AppError):
    """The caller's `cancelled` said so while a request waited for its turn; nothing was sent."""


class Pacer:
    """Lets requests to one portal go, in order of lane, never faster than `share` percent of its limits.

    Safe to share among threads. `time_zone` is the portal's: its daily limit resets at midnight there.
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
        self._budget = Budget(burst, search, share, max_wait)
        self._zone = ZoneInfo(time_zone) if time_zone else None
        self._now, self._wall, self._sleep = now, wall, sleep
        self._changed = threading.Condition()

    def turn(self, lane: Lane, *, search: bool = False, cancelled: Callable[[], bool] | None = None) -> Turn:
        """Block until the request may go; hand the turn back to `landed` when its answer is here.

        Raises RateLimited when HubSpot asked for a silence longer than `max_wait` seconds or this lane's part of
        the day is used up, and Cancelled when `cancelled` says so while it waits.
        """
        with self._changed:
            ticket = self._budget.join(lane, search)
            try:
                while True:
                    wait = self._budget.wait(ticket, self._now())
                    if wait <= 0:
                        return self._budget.go(ticket, self._now())
                    _check(cancelled)
                    self._pause(min(wait, LOOK_EVERY))
            finally:
                self._budget.leave(ticket)
                self._changed.notify_all()

    def landed(self, turn: Turn) -> None:
        """The answer to a request is here, or it failed."""
        with self._changed:
            self._budget.landed(turn, self._now())

    def pause(self, seconds: float, cancelled: Callable[[], bool] | None = None) -> None:
        """Sleep before a repeated request; raises Cancelled when `cancelled` says so."""
        until = self._now() + seconds
        with self._changed:
            while (left := until - self._now()) > 0:
                _check(cancelled)
                self._pause(min(left, LOOK_EVERY))

    def saw(self, headers: Mapping[str, str], turn: Turn) -> None:
        """Learn from the headers of a turn's answer: the real limit, who else uses it, and what is left of the day."""
        with self._changed:
            now = self._now()
            self._budget.learn(headers, now, asked_at=turn.sent_at, reset_at=now + self._until_reset())

    def refused(self, error: RateLimited, *, search: bool = False) -> None:
        """Hold requests until HubSpot's silence is over: searches only, or (`search` false) everything.

        The error of a used-up day learns when that is, since HubSpot does not say it.
        """
        with self._changed:
            if error.daily:
                error.retry_after = self._until_reset()
                self._budget.end_day(self._now() + error.retry_after)
            else:
                self._budget.hold(self._now() + error.retry_after, search_only=search)

    def waiting(self) -> int:
        """How many requests wait for their turn."""
        with self._changed:
            return self._budget.waiting

    def used(self) -> Usage:
        """What is used of the limits now, for display."""
        with self._changed:
            return self._budget.usage(self._now())

    def _until_reset(self) -> float:
        if self._zone is None:
            return UNKNOWN_RESET
        today = self._wall().astimezone(self._zone)
        midnight = datetime.combine(today.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return (midnight.astimezone(UTC) - today.astimezone(UTC)).total_seconds()

    def _pause(self, seconds: float) -> None:
        # Real threads wait on the condition, which lets the others in; a hand-set clock moves by its own sleep.
        if self._sleep is None:
            self._changed.wait(seconds)
        else:
            self._sleep(seconds)


def _check(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("The run was asked to stop.")
