"""Every record of a portal, faster than one chain of list pages can be.

The list is walked page by page, each page being named by the page before: at 300 ms a page that is a third of what
HubSpot allows. Two ways lead beyond it. Where a portal's cursor is an id that may be chosen, which is tried on the
portal itself, several readers walk the list at once, each its own span of ids. And search has a limit of its own and
can be asked for many pages at once, so another lane reads from the highest id downwards until it meets the list: it
takes the ids of a window for itself, and the list's readers keep out of it.

Every page shows whether the list is what it has to be for that: ascending, from the chosen id on. Where it is not, one
chain reads it all. The search lane is trusted with a window of ids only when it holds as many different records as
HubSpot counts there. Since its index lags, what is missed is what changed after the reading began, and the caller's
next increment starts there. For the same reason an absence here proves nothing.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass
from typing import Any

from mercuri.core.contact import Record
from mercuri.core.lanes import END, WHOLE, Span, advance, cut, divide, is_orderly, is_read, joined, rest
from mercuri.errors import BadRequest, HubSpotError
from mercuri.hubspot.client import SEARCH_PAGE, Client, Page
from mercuri.hubspot.searching import ABREAST, WINDOW_PAGES, Piece, Searching, Window

#: With fewer records than this, one chain is enough.
WORTH_IT = 2000
#: Readers of the list at once: 25 pages a second at 300 ms, the most that any portal allows (250 in ten seconds).
READERS = 8
#: Windows of search under way at once: while one is being read, the next is already known.
WINDOWS = 2
#: Part of all records that may be missing in the end before one chain reads everything again.
TOLERANCE = 0.005


@dataclass(frozen=True, slots=True)
class Progress:
    """Where to go on once everything given so far is stored; plain numbers and texts, to be kept as JSON.

    `spans` are the list's, as tuples of `Span`; from `floor` on search has given every id (None: none yet). `given`
    counts all. `chain`: the list is no order to rely on, and one chain walks it, next at `after`.
    """

    spans: Sequence[Sequence[Any]] = (astuple(WHOLE),)
    floor: int | None = None
    given: int = 0
    chain: bool = False
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Portion:
    """Some records, and the progress once they are stored; `last` closes the reading.

    Each record is given once, but where a reading found in the end that some were left out: then it gives again what
    the list holds.
    """

    records: tuple[Record, ...]
    progress: Progress
    last: bool = False


def read_everything(
    client: Client, properties: Sequence[str], progress: Progress = Progress(), *, search: bool = True
) -> Iterator[Portion]:
    """Give every record of a portal, in no order to rely on; without `search` by the list alone.

    Raises what the list raises; trouble with search only ends its lane. Closing the iterator waits for the requests
    that are under way.
    """
    # Apart, since in a common queue the many pages of a window would keep all else waiting. Beside the readers there is
    # a probe, and beside the pages who waits for them.
    with (
        ThreadPoolExecutor(READERS + 1) as list_pool,
        ThreadPoolExecutor(1) as place_pool,
        ThreadPoolExecutor(ABREAST + WINDOWS) as search_pool,
    ):
        reading = _Reading(client, tuple(properties), progress, search, list_pool, place_pool, search_pool)
        try:
            yield from reading.portions()
        finally:
            reading.stopped.set()


class _Reading:
    """All lanes; only the consumer's thread touches what they have reached."""

    def __init__(
        self,
        client: Client,
        properties: tuple[str, ...],
        progress: Progress,
        search: bool,
        list_pool: ThreadPoolExecutor,
        place_pool: ThreadPoolExecutor,
        search_pool: ThreadPoolExecutor,
    ) -> None:
        self.stopped = threading.Event()
        self._client, self._properties = client, properties
        self._list_pool, self._place_pool, self._search_pool = list_pool, place_pool, search_pool
        self._search = Searching(client, properties, search_pool, self.stopped)
        self._spans = [Span(*values) for values in progress.spans]
        self._floor, self._given = progress.floor, progress.given
        self._chain, self._after = progress.chain, progress.after
        self._total, self._highest = (0, 0) if self._chain else self._search.extent()
        self._pages: dict[int, Future[Page]] = {}
        self._probe: tuple[list[int], Future[Page]] | None = None
        # A reading that goes on with several spans began on a portal that allows them.
        self._divides = self._tried = len(self._spans) > 1
        self._place: Future[Window | None] | None = None
        self._windows: deque[Future[list[Piece]]] = deque()
        self._pieces: deque[Piece] = deque()
        # From here on search has taken all ids for itself.
        self._claimed = END
        self._searches = search and self._total >= WORTH_IT and self._search.fits()
        # What search gave: since it goes down, the negated ids come in ascending order.
        self._found = array("q")
        self._found_before = self._low = progress.floor
        self._short = self._turn = False

    def portions(self) -> Iterator[Portion]:
        """Every portion, the last one marked; of a reading that was at its end, an empty one."""
        if not self._spans and not self._chain:
            yield Portion((), Progress((), self._floor, self._given), last=True)
            return
        while not self._chain:
            self._send()
            portion = self._take()
            if portion is not None:
                yield portion
                if portion.last:
                    return
        yield from self._walk()

    # What is under way

    def _send(self) -> None:
        """Ask for the next page of every span, dividing spans while there are readers without one."""
        while self._divides and sum(map(self._is_listed, self._spans)) < READERS:
            divided = divide(self._spans, min(self._highest, self._claimed - 1))
            if divided is None:
                break
            self._spans = divided
        for span in self._spans:
            if self._is_listed(span) and span.begin not in self._pages:
                self._pages[span.begin] = self._ask(span.after)
        if self._searches and self._place is None and len(self._windows) < WINDOWS:
            self._place = self._next_window()

    def _is_listed(self, span: Span) -> bool:
        """Whether the list has something left to read in a span."""
        return span.next < min(span.stop, self._claimed)

    def _ask(self, after: str | None) -> Future[Page]:
        return self._list_pool.submit(self._client.list_contacts, self._properties, after)

    def _next_window(self) -> Future[Window | None] | None:
        """The highest ids that nobody has read; smaller windows towards the end, so that no lane waits for another.

        Where it takes all that is left of a span, the list stops there at once.
        """
        rests = [span for span in self._spans if self._is_listed(span)]
        if not rests:
            return None
        last, below = rests[-1], min(rests[-1].stop, self._claimed)
        left = -(-int(rest(last, min(self._highest, below - 1))) // SEARCH_PAGE)
        pages = min(WINDOW_PAGES, (self._total - self._given) // (4 * SEARCH_PAGE), left or WINDOW_PAGES)
        if 0 < left <= pages:
            self._claimed = last.next
        bound = below if below < END else None
        return self._place_pool.submit(self._search.window, max(0, last.next - 1), bound, max(2, pages))

    def _take(self) -> Portion | None:
        """What came first; None when it was no portion."""
        if not self._pieces:
            wait(self._waited_for(), return_when=FIRST_COMPLETED)
        if self._probe is not None and self._probe[1].done():
            self._judge(*self._probe)
        if self._place is not None and self._place.done():
            self._take_window(self._place.result())
        # In turns, since where storing is the slower part, both always have something ready.
        self._turn = not self._turn
        if self._turn and self._pieces:
            return self._searched(*self._pieces.popleft())
        for span in self._spans:
            if span.begin in self._pages and self._pages[span.begin].done():
                return self._listed(span, self._pages.pop(span.begin))
        if self._pieces:
            return self._searched(*self._pieces.popleft())
        if self._windows and self._windows[0].done():
            self._pieces.extend(self._windows.popleft().result())
            if not self._pieces:
                self._end_search()
        return None

    def _waited_for(self) -> list[Future[Any]]:
        probe = [self._probe[1]] if self._probe is not None else []
        place = [self._place] if self._place is not None else []
        first = [self._windows[0]] if self._windows else []
        return [*self._pages.values(), *probe, *place, *first]

    # The list

    def _listed(self, span: Span, coming: Future[Page]) -> Portion | None:
        try:
            page = coming.result()
        except BadRequest:
            # A cursor that was chosen works no longer; one that HubSpot gave has to.
            if not self._divides:
                raise
            return self._fall_back(None)
        ids = [int(record.id) for record in page.records]
        if not is_orderly(span, ids):
            return self._fall_back(None if self._divides else page)
        if self._may_probe(page):
            middle = len(ids) // 2
            self._probe = (ids[middle:], self._ask(str(ids[middle])))
        fresh = tuple(record for record in page.records if self._is_fresh(span, int(record.id)))
        moved = advance(span, ids, page.after)
        if self._is_listed(moved):
            self._pages[span.begin] = self._ask(page.after)
        self._spans[self._spans.index(span)] = moved
        return self._portion(fresh)

    def _is_fresh(self, span: Span, number: int) -> bool:
        """Whether a record of a page was not given. What lies beyond its span was, but for what search left out."""
        return (number < span.stop or not self._divides) and not self._is_found(number)

    def _may_probe(self, page: Page) -> bool:
        """Whether to try, once, if the list can be entered at an id of our choice."""
        is_worth_it = self._total - self._given >= WORTH_IT and len(page.records) > 1 and page.after is not None
        first, self._tried = not self._tried, True
        return first and is_worth_it

    def _judge(self, expected: list[int], coming: Future[Page]) -> None:
        """Whether the page from a chosen id on is the one that the chain gave, as far as both go."""
        self._probe = None
        try:
            ids = [int(record.id) for record in coming.result().records]
        except HubSpotError:
            return
        self._divides = ids[: len(expected)] == expected and is_orderly(Span(0, expected[0], END), ids)

    def _fall_back(self, page: Page | None) -> Portion | None:
        """Go on as one chain: after this page, or from the beginning of the list."""
        self._chain, self._after = True, None
        return None if page is None else self._walked(page)

    def _walk(self) -> Iterator[Portion]:
        """One chain of pages to the end of the list."""
        coming = self._ask(self._after)
        while True:
            page = coming.result()
            if page.after is not None:
                coming = self._ask(page.after)
            yield self._walked(page)
            if page.after is None:
                return

    def _walked(self, page: Page) -> Portion:
        fresh = tuple(record for record in page.records if not self._is_found(int(record.id)))
        self._given, self._after = self._given + len(fresh), page.after
        return Portion(fresh, Progress((), None, self._given, True, page.after), last=page.after is None)

    # Search

    def _take_window(self, window: Window | None) -> None:
        """Read a window whose place is known now."""
        self._place = None
        if window is None:
            self._end_search()
        elif self._searches:
            self._claimed = window.floor
            self._windows.append(self._search_pool.submit(self._search.read, window))

    def _end_search(self) -> None:
        """Leave everything to the list."""
        self._searches, self._place, self._claimed = False, None, END
        self._windows.clear()
        self._pieces.clear()

    def _searched(self, records: tuple[Record, ...], floor: int) -> Portion:
        # Meanwhile readers of the list may have come to what this window holds, from below.
        top = END if self._floor is None else self._floor
        fresh = tuple(r for r in records if int(r.id) < top and not is_read(self._spans, int(r.id)))
        self._found.extend(-int(record.id) for record in fresh)
        self._low = floor if self._low is None else min(floor, self._low)
        self._floor = min(floor, top)
        self._spans = cut(self._spans, self._floor)
        return self._portion(fresh)

    def _is_found(self, number: int) -> bool:
        """Whether search gave it; of an interrupted reading only the bound is known, trusted until numbers fail."""
        if self._found_before is not None and number >= self._found_before:
            return not self._short
        place = bisect_left(self._found, -number)
        return place < len(self._found) and self._found[place] == -number

    # The end

    def _portion(self, fresh: tuple[Record, ...]) -> Portion:
        """What is given now, and how far all lanes are; the lanes are freed of what is done."""
        self._given += len(fresh)
        cursor = self._spans[-1].after if self._spans else None
        self._spans = joined(self._spans)
        while self._spans and self._spans[-1].is_done:
            self._floor = self._spans.pop().begin
        open_ones = {span.begin for span in self._spans}
        self._pages = {begin: page for begin, page in self._pages.items() if begin in open_ones}
        if not any(not span.is_done for span in self._spans):
            self._end(cursor)
        is_last = not self._spans and not self._chain
        spans = [astuple(span) for span in self._spans]
        return Portion(fresh, Progress(spans, self._floor, self._given, self._chain, self._after), last=is_last)

    def _end(self, cursor: str | None) -> None:
        """All is read. Where records are missing by HubSpot's count, let the list read what search gave, or all."""
        self._spans = []
        self._end_search()
        if self._low is None and not self._divides:
            return
        expected = min(self._total, self._search.count())
        if self._low is not None and self._given < expected and not self._short:
            self._short = True
            if self._divides:
                self._spans = [Span(self._low, self._low, END, str(self._low))]
            elif cursor is not None:
                self._spans = [Span(self._low, self._low, END, cursor)]
            self._floor = None
        elif self._divides and self._given < expected * (1 - TOLERANCE):
            self._chain = True
