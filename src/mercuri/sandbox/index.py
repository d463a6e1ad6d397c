"""What search sees: the records as they were some moments ago, and not in the order in which they changed."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from random import Random
from typing import NamedTuple


class _Pending(NamedTuple):
    visible_ms: int
    turn: int
    record_id: int
    values: dict[str, str] | None
    modified_ms: int


class SearchIndex:
    """Record id -> values, behind the records by up to `lag_ms` milliseconds. None means that the record is gone."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.lag_ms = 0
        self.rows: dict[int, dict[str, str]] = {}
        self.modified: dict[int, int] = {}
        self.by_modified: list[tuple[int, int]] = []
        self.ids: list[int] = []
        #: Moves with every change that became visible.
        self.version = 0
        self._waiting: list[_Pending] = []
        self._turn = 0
        self._applied: dict[int, int] = {}

    def load(self, rows: Iterable[tuple[int, dict[str, str], int]]) -> None:
        """Take many new records at once, visible immediately."""
        for record_id, values, modified_ms in rows:
            self.rows[record_id] = values
            self.modified[record_id] = modified_ms
        self.ids = sorted(self.rows)
        self.by_modified = sorted((ms, record_id) for record_id, ms in self.modified.items())
        self.version += 1

    def put(self, record_id: int, values: dict[str, str] | None, modified_ms: int, now_ms: int) -> None:
        """A record changed; search sees it after a lag of its own, so changes do not appear in order."""
        self._turn += 1
        lag = int(self.lag_ms * self._rng.uniform(0.3, 1.0)) if self.lag_ms else 0
        pending = _Pending(now_ms + lag, self._turn, record_id, values, modified_ms)
        if lag:
            heapq.heappush(self._waiting, pending)
        else:
            self._apply(pending)

    def catch_up(self, now_ms: int) -> None:
        """Make visible what is due."""
        while self._waiting and self._waiting[0].visible_ms <= now_ms:
            self._apply(heapq.heappop(self._waiting))

    def modified_between(self, low_ms: int, high_ms: int) -> list[int]:
        """Ids by modification time, both ends included."""
        start = bisect_left(self.by_modified, (low_ms, 0))
        end = bisect_right(self.by_modified, (high_ms, 1 << 62))
        return [record_id for _, record_id in self.by_modified[start:end]]

    def ids_between(self, low: int, high: int) -> list[int]:
        """Ids in a closed range, ascending."""
        return self.ids[bisect_left(self.ids, low) : bisect_right(self.ids, high)]

    def count_modified_between(self, low_ms: int, high_ms: int) -> int:
        """How many `modified_between` would give."""
        return max(0, bisect_right(self.by_modified, (high_ms, 1 << 62)) - bisect_left(self.by_modified, (low_ms, 0)))

    def count_ids_between(self, low: int, high: int) -> int:
        """How many `ids_between` would give."""
        return max(0, bisect_right(self.ids, high) - bisect_left(self.ids, low))

    def _apply(self, change: _Pending) -> None:
        if change.turn < self._applied.get(change.record_id, 0):
            return
        self._applied[change.record_id] = change.turn
        self.version += 1
        self._forget(change.record_id, keep_id=change.values is not None)
        if change.values is not None:
            if change.record_id not in self.rows:
                insort(self.ids, change.record_id)
            self.rows[change.record_id] = change.values
            self.modified[change.record_id] = change.modified_ms
            insort(self.by_modified, (change.modified_ms, change.record_id))

    def _forget(self, record_id: int, *, keep_id: bool) -> None:
        before = self.modified.pop(record_id, None)
        if before is None:
            return
        del self.by_modified[bisect_left(self.by_modified, (before, record_id))]
        if not keep_id:
            del self.rows[record_id]
            del self.ids[bisect_left(self.ids, record_id)]
