"""Records by search in windows of ids, from the highest downwards; believed only where the numbers agree."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from mercuri.core.contact import Record
from mercuri.errors import HubSpotError
from mercuri.hubspot import wire
from mercuri.hubspot.client import SEARCH_PAGE, Client, Filter, Page

#: Most pages of one window; three windows may be held in memory.
WINDOW_PAGES = 16
#: Searches under way at once; HubSpot allows five a second.
ABREAST = 5
#: Longest search, in characters of its body, of the 3,000 that HubSpot takes (CRM search guide).
LONGEST_SEARCH = 2900
#: How often a window is read when its numbers do not agree.
TRIES = 3

#: Some records, and the id from which on everything is given once they are.
Piece = tuple[tuple[Record, ...], int]


@dataclass(frozen=True, slots=True)
class Window:
    """Ids from `floor` to below `below` (None: all above), by HubSpot's count of `count` records.

    `lowest` are the records of its last page, where it fills as many pages as were asked for.
    """

    floor: int
    below: int | None
    count: int
    lowest: tuple[Record, ...]


class Searching:
    """Windows of one portal, each read with several searches at once; `stopped` ends what is under way."""

    def __init__(
        self, client: Client, properties: Sequence[str], pool: ThreadPoolExecutor, stopped: threading.Event
    ) -> None:
        self._client, self._properties, self._pool, self._stopped = client, properties, pool, stopped

    def fits(self) -> bool:
        """Whether the properties leave a search short enough for HubSpot."""
        body = wire.search_body(_bounds(10**15, 10**15), self._properties, (wire.ID, True), SEARCH_PAGE, "9999")
        return len(json.dumps(body)) <= LONGEST_SEARCH

    def extent(self) -> tuple[int, int]:
        """How many records there are, and the highest id; zeros when search cannot say."""
        try:
            page = self._client.search(_bounds(0, None), [wire.ID], sort=(wire.ID, True), limit=1)
        except HubSpotError:
            return 0, 0
        return page.total or 0, max((int(record.id) for record in page.records), default=0)

    def count(self, above: int = 0, below: int | None = None) -> int:
        """How many records there are between two ids; 0 when search cannot say."""
        try:
            return self._client.search(_bounds(above, below), [wire.ID], limit=1).total or 0
        except HubSpotError:
            return 0

    def window(self, above: int, below: int | None, pages: int) -> Window | None:
        """The window of the highest ids between two that fill so many pages (at least 2), or of all that are there.

        It costs one request, for its last page, so that the window below it need not wait for its records. None when
        search cannot say.
        """
        try:
            page = self._page(above, below, pages - 1)
        except HubSpotError:
            return None
        count = page.total or 0
        if count <= pages * SEARCH_PAGE:
            return Window(above + 1, below, count, page.records)
        if not page.records:
            return None
        return Window(min(int(record.id) for record in page.records), below, pages * SEARCH_PAGE, page.records)

    def read(self, window: Window) -> list[Piece]:
        """The records of a window from the top down; nothing when they are not those that HubSpot counts there."""
        lowest, count = window.lowest, window.count
        for _ in range(TRIES):
            places = range(-(-(count - len(lowest)) // SEARCH_PAGE))
            try:
                pages = list(self._pool.map(lambda place: self._page(window.floor - 1, window.below, place), places))
            except HubSpotError:
                return []
            if self._stopped.is_set():
                return []
            count = (pages[-1].total or 0) if pages else count
            found = chain(lowest, *(page.records for page in pages))
            records = {int(record.id): record for record in found}
            if len(records) == count:
                return _pieces([records[key] for key in sorted(records, reverse=True)], window.floor)
            # Something has moved: what is there now is read, whatever page it is on.
            lowest = ()
        return []

    def _page(self, above: int, below: int | None, place: int) -> Page:
        if self._stopped.is_set():
            return Page((), None, 0)
        after = str(place * SEARCH_PAGE) if place else None
        return self._client.search(_bounds(above, below), self._properties, sort=(wire.ID, True), after=after)


def _bounds(above: int, below: int | None) -> list[list[Filter]]:
    high = [] if below is None else [Filter(wire.ID, "LT", str(below))]
    return [[Filter(wire.ID, "GT", str(above)), *high]]


def _pieces(records: list[Record], floor: int) -> list[Piece]:
    parts = [tuple(records[at : at + SEARCH_PAGE]) for at in range(0, len(records), SEARCH_PAGE)] or [()]
    return [(part, int(part[-1].id)) for part in parts[:-1]] + [(parts[-1], floor)]
