"""Which closed windows a search reads, so that none holds more than HubSpot will page through.

A search gives at most 10,000 results (HubSpot contacts API 2026-09, CRM search guide), in no order to rely on. A window
that holds more is split by time, and inside one millisecond by record id: HubSpot's own jobs stamp more than 10,000
records with the same millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A search with this many results or more cannot be read to its end.
RESULTS = 10_000
#: How many results a part should have, so that growth while it is read does no harm.
TARGET = 5_000
#: Above any record id.
MAX_ID = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """Records modified from `start_ms` to `end_ms` with ids from `low_id` to `high_id`, all four included."""

    start_ms: int
    end_ms: int
    low_id: int = 0
    high_id: int = MAX_ID

    @property
    def is_by_id(self) -> bool:
        """Whether the search has to name the ids too."""
        return self.low_id > 0 or self.high_id < MAX_ID


def increment(watermark_ms: int, now_ms: int, overlap_ms: int) -> Window:
    """The window of one increment: from the watermark less the overlap to now.

    The index shows records late and out of order, hence the overlap. A clock that went back gives a window that still
    starts before its end.
    """
    return Window(max(0, min(watermark_ms, now_ms) - overlap_ms), now_ms)


def fits(total: int) -> bool:
    """Whether a search with this many results can be read to its end."""
    return total < RESULTS


def split(window: Window, total: int) -> tuple[Window, ...]:
    """The window itself when its `total` results can be read; else smaller ones that cover it exactly, in order.

    Each part is strictly smaller, so splitting what still does not fit comes to an end.

    >>> [(part.start_ms, part.end_ms) for part in split(Window(0, 9), 12_000)]
    [(0, 2), (3, 5), (6, 9)]
    """
    if fits(total):
        return (window,)
    parts = -(-total // TARGET)
    if window.start_ms < window.end_ms:
        spans = _spans(window.start_ms, window.end_ms, parts)
        return tuple(Window(start, end, window.low_id, window.high_id) for start, end in spans)
    # Ids are not spread evenly, so more than two parts would mostly be empty requests.
    spans = _spans(window.low_id, window.high_id, 2)
    return tuple(Window(window.start_ms, window.end_ms, low, high) for low, high in spans)


def _spans(low: int, high: int, parts: int) -> list[tuple[int, int]]:
    size = high - low + 1
    parts = min(parts, size)
    edges = [low + size * number // parts for number in range(parts + 1)]
    return [(edges[number], edges[number + 1] - 1) for number in range(parts)]
