"""The order of the list and its cursor."""

from __future__ import annotations

from bisect import bisect_left

from mercuri.sandbox.answers import invalid
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Record
from mercuri.sandbox.request import whole

_SCRAMBLE, _SPACE = 0x9E37_79B9_7F4B, 1 << 48


class Listing:
    """Pages through all records. It remembers the cursors it gave, since others may be refused."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._given: set[str] = set()

    def page(self, after: str | None, limit: int, *, archived: bool) -> tuple[list[Record], str | None]:
        """Records from the cursor on, and the next cursor or None at the end.

        Raises Refusal for a cursor that is no number, or that was never given while such are refused.
        """
        start = self._start(after)
        ids = self._portal.archived if archived else self._portal.live
        if self._portal.switches.list_order == "none":
            return self._unordered(ids, start, limit)
        place = bisect_left(ids, start)
        chosen = ids[place : place + limit]
        more = place + limit < len(ids)
        return self._records(chosen), self._give(chosen[-1] + 1) if more else None

    def _unordered(self, ids: list[int], start: int, limit: int) -> tuple[list[Record], str | None]:
        keyed = sorted((each * _SCRAMBLE % _SPACE, each) for each in ids)
        place = bisect_left(keyed, (start, 0))
        chosen = keyed[place : place + limit]
        more = place + limit < len(keyed)
        return self._records([each for _, each in chosen]), self._give(chosen[-1][0] + 1) if more else None

    def _start(self, after: str | None) -> int:
        if after is None or after in ("", "0"):
            return 0
        start = whole(after)
        if start is None or (self._portal.switches.list_after == "refused" and after not in self._given):
            raise invalid(f"Invalid paging token: {after}")
        return start

    def _give(self, cursor: int) -> str:
        text = str(cursor)
        self._given.add(text)
        return text

    def _records(self, ids: list[int]) -> list[Record]:
        records = self._portal.records
        return [records[each] for each in ids]
