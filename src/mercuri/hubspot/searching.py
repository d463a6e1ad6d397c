"""Records by search in windows of ids, from the highest downwards; believed only where the numbers agree."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mercuri.core.contact import Record
from mercuri.errors import HubSpotError
from mercuri.hubspot import wire
from mercuri.hubspot.client import SEARCH_PAGE, Client, Filter, Page

#: Most pages of one window: half of the 10,000 results of a query, since two windows are held in memory.
WINDOW_PAGES = 24
#: Searches under way at once; HubSpot allows five a second.
ABREAST = 5
#: Longest search, in characters of its body, of the 3,000 that HubSpot takes (CRM search guide).
LONGEST_SEARCH = 2900
#: How often a window is read when its numbers do not agree.
TRIES = 3

#: Some records, and the id from which on everything is given once they are.
Piece = tuple[tuple[Record, ...], int]


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

    def window(self, above: int, below: int | None, pages: int) -> list[Piece]:
        """The records of the highest ids between two, from the top down; nothing when search cannot be trusted."""
        for _ in range(TRIES):
            try:
                found, whole = self._highest(above, below, pages)
                # The lowest page may be torn by a page order that is only nearly right.
                kept = found if whole else found[:-SEARCH_PAGE]
                if self._stopped.is_set() or not (whole or kept):
                    return []
                floor = above + 1 if whole else int(kept[-1].id)
                if len(kept) == self.count(floor - 1, below):
                    return _pieces(kept, floor)
            except HubSpotError:
                return []
        return []

    def _highest(self, above: int, below: int | None, pages: int) -> tuple[list[Record], bool]:
        """What a window's pages hold, each record once, from the highest id down; and whether that is all."""
        first = self._page(above, below, 0)
        total = first.total or 0
        places = range(1, min(pages, -(-total // SEARCH_PAGE)))
        read = [first, *self._pool.map(lambda place: self._page(above, below, place), places)]
        records = {int(record.id): record for page in read for record in page.records}
        return [records[key] for key in sorted(records, reverse=True)], total <= pages * SEARCH_PAGE

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
