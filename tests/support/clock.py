"""A clock that is set by hand: nothing waits, and time passes only when somebody sleeps on it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

#: When every hand-set clock starts.
START = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)


class Clock:
    """Stands in for `datetime.now`, `time.monotonic` and `time.sleep` alike. Safe to share among threads."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self._mutex = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._mutex:
            self._passed += seconds
            self.slept.append(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass without anybody having slept."""
        with self._mutex:
            self._passed += seconds
