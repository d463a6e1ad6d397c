"""Every record of a portal, faster than one chain of list pages can be.

The list must be walked page by page, each page being named by the page before: at 300 ms a page that is a third of what
HubSpot allows. Search has a limit of its own and can be asked for many pages at once, so a second lane reads from the
highest record id downwards while the list comes up from the lowest, and they meet.

The search lane is trusted with a window of ids only when it holds as many different records as HubSpot counts there:
neither its order nor its pages are relied upon. Since its index lags, what both lanes miss is what changed after the
reading began, and the caller's next increment starts there. For the same reason an absence here proves nothing.
"""

from __future__ import annotations

import json
import threading
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from mercuri.core.contact import Record
from mercuri.errors import HubSpotError
from mercuri.hubspot import wire
from mercuri.hubspot.client import SEARCH_PAGE, Client, Filter, Page

#: With fewer records than this, a second lane is not worth its searches.
WORTH_IT = 2000
#: Most pages of one window: below the 10,000 results of a query, even where HubSpot counts the page after the last.
WINDOW_PAGES = 48
#: Searches under way at once; HubSpot allows five a second.
ABREAST = 5
#: Longest search, in characters of its body, of the 3,000 that HubSpot takes (CRM search guide).
LONGEST_SEARCH = 2900
#: How often a window is read when its numbers do not agree; after that, the list is left alone with the rest.
TRIES = 3

#: Records of the search lane, and the id from which on everything is given once they are.
Piece = tuple[tuple[Record, ...], int]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where to go on once everything given so far is stored; plain numbers and texts, to be kept as JSON.

    The list has given every id up to `top`, `listed` of them, and its next page is `after` (None: the first). The
    search lane has given every id from `floor` on, `found` of them (None: none yet).
    """

    after: str | None = None
    top: int = 0
    listed: int = 0
    floor: int | None = None
    found: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """Some records, and the progress once they are stored; `last` closes the reading.

    Each record is given once, but for one case: a reading that went on after an interruption, and found in the end
    that search had left some out, gives again what the list holds.
    """

    records: tuple[Record, ...]
    progress: Progress
    last: bool = False


def read_everything(
    client: Client, properties: Sequence[str], progress: Progress = Progress()
) -> Generator[Portion, None, None]:
    """Give every record of a portal, in no order to rely on.

    Raises what the list raises; trouble with search only ends its lane. Closing the iterator waits for the requests
    that are under way.
    """
    # Apart, since the many pages of a window would keep the next page of the list waiting in a common queue.
    with ThreadPoolExecutor(1) as list_pool, ThreadPoolExecutor(ABREAST + 1) as search_pool:
        reading = _Reading(client, tuple(properties), progress, list_pool, search_pool)
        try:
            yield from reading.portions()
        finally:
            reading.stopped.set()


class _Reading:
    """Both lanes; only the consumer's thread touches the progress."""

    def __init__(
        self,
        client: Client,
        properties: tuple[str, ...],
        progress: Progress,
        list_pool: ThreadPoolExecutor,
        search_pool: ThreadPoolExecutor,
    ) -> None:
        self._client, self._properties = client, properties
        self._list_pool, self._search_pool = list_pool, search_pool
        self._progress = progress
        self._total = self._count()
        self._alone = self._short = False
        # What the search lane gave: since it goes down, the negated ids come in ascending order.
        self._given = array("q")
        self._given_before = progress.floor
        self.stopped = threading.Event()

    def portions(self) -> Iterator[Portion]:
        listing = self._list_pool.submit(self._client.list_contacts, self._properties, self._progress.after)
        window = self._next_window(self._progress.floor) if self._total >= WORTH_IT and self._fits() else None
        pieces: deque[Piece] = deque()
        while True:
            if not pieces:
                lanes: list[Future[Any]] = [listing] if window is None else [listing, window]
                wait(lanes, return_when=FIRST_COMPLETED)
            # A window holds many pieces, the list has one page ready at most: it goes first.
            if listing.done():
                page = listing.result()
                if page.after is not None:
                    listing = self._list_pool.submit(self._client.list_contacts, self._properties, page.after)
                portion = self._listed(page)
            elif pieces:
                portion = self._searched(*pieces.popleft())
            else:
                assert window is not None
                pieces.extend(window.result())
                window = self._next_window(pieces[-1][1]) if pieces else None
                continue
            self._progress = portion.progress
            yield portion
            if portion.last:
                return
            if self._alone:
                pieces.clear()
                window = None

    def _listed(self, page: Page) -> Portion:
        before = self._progress
        ids = [int(record.id) for record in page.records]
        if ids != sorted(set(ids)) or min(ids, default=before.top + 1) <= before.top:
            self._alone = True
        fresh = tuple(r for r in page.records if not self._is_given(int(r.id)))
        top = max(ids, default=before.top)
        now = replace(before, after=page.after, top=top, listed=before.listed + len(fresh))
        return Portion(fresh, now, last=page.after is None or self._met(now))

    def _searched(self, records: tuple[Record, ...], floor: int) -> Portion:
        before = self._progress
        fresh = tuple(r for r in records if int(r.id) > before.top)
        self._given.extend(-int(record.id) for record in fresh)
        now = replace(before, floor=max(floor, before.top + 1), found=before.found + len(fresh))
        return Portion(fresh, now, last=self._met(now))

    def _is_given(self, record_id: int) -> bool:
        """Whether search gave it; of an interrupted reading only the bound is known, trusted until numbers fail."""
        if self._given_before is not None and record_id >= self._given_before:
            return not self._short
        place = bisect_left(self._given, -record_id)
        return place < len(self._given) and self._given[place] == -record_id

    def _met(self, now: Progress) -> bool:
        """Whether the lanes have met, holding as many records as HubSpot counts; if fewer, the list goes on."""
        if self._alone or now.floor is None or now.top < now.floor - 1:
            return False
        # People may have added or deleted some meanwhile; what was added is the next increment's.
        self._short = now.listed + now.found < min(self._total, self._count())
        self._alone = self._short
        return not self._short

    def _next_window(self, below: int | None) -> Future[list[Piece]] | None:
        above = self._progress.top
        reached = below is not None and below <= above + 1
        return None if reached else self._search_pool.submit(self._window, above, below)

    def _window(self, above: int, below: int | None) -> list[Piece]:
        """The records of the highest ids between two, from the top down; nothing when search cannot be trusted."""
        for _ in range(TRIES):
            try:
                found, whole = self._highest(above, below)
                # The lowest page may be torn by a page order that is only nearly right.
                kept = found if whole else found[:-SEARCH_PAGE]
                if self.stopped.is_set() or not (whole or kept):
                    return []
                floor = above + 1 if whole else int(kept[-1].id)
                if len(kept) == self._count(floor - 1, below):
                    return _pieces(kept, floor)
            except HubSpotError:
                return []
        return []

    def _highest(self, above: int, below: int | None) -> tuple[list[Record], bool]:
        """What a window's pages hold, each record once, from the highest id down; and whether that is all."""
        first = self._page(above, below, 0)
        total = first.total or 0
        places = range(1, min(WINDOW_PAGES, -(-total // SEARCH_PAGE)))
        pages = [first, *self._search_pool.map(lambda place: self._page(above, below, place), places)]
        records = {int(record.id): record for page in pages for record in page.records}
        return [records[key] for key in sorted(records, reverse=True)], total <= WINDOW_PAGES * SEARCH_PAGE

    def _page(self, above: int, below: int | None, place: int) -> Page:
        if self.stopped.is_set():
            return Page((), None, 0)
        after = str(place * SEARCH_PAGE) if place else None
        return self._client.search(_bounds(above, below), self._properties, sort=(wire.ID, True), after=after)

    def _count(self, above: int = 0, below: int | None = None) -> int:
        """How many records HubSpot has within bounds; 0 when it cannot say."""
        try:
            return self._client.search(_bounds(above, below), [wire.ID], limit=1).total or 0
        except HubSpotError:
            return 0

    def _fits(self) -> bool:
        body = wire.search_body(_bounds(10**15, 10**15), self._properties, (wire.ID, True), SEARCH_PAGE, "9999")
        return len(json.dumps(body)) <= LONGEST_SEARCH


def _bounds(above: int, below: int | None) -> list[list[Filter]]:
    high = [] if below is None else [Filter(wire.ID, "LT", str(below))]
    return [[Filter(wire.ID, "GT", str(above)), *high]]


def _pieces(records: list[Record], floor: int) -> list[Piece]:
    parts = [tuple(records[at : at + SEARCH_PAGE]) for at in range(0, len(records), SEARCH_PAGE)] or [()]
    return [(part, int(part[-1].id)) for part in parts[:-1]] + [(parts[-1], floor)]
