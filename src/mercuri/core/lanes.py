"""A range of record ids read by several readers at once: who reads what, what is done, and where to divide the rest.

The list of records, where its cursor allows it, can be entered at any id. So the ids are divided into spans, each read
upwards by a reader of its own; a span ends where the next one began, so that joined end to end they are the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

#: Above every id (they have at most 15 digits).
END = 1 << 62
#: A span that is expected to hold fewer records than this is not divided: its reader is done in a few pages.
WORTH_DIVIDING = 600


@dataclass(frozen=True, slots=True)
class Span:
    """Ids from `begin` to below `stop`, of which those below `next` have been read: `count` records.

    `after` is the cursor to go on from; None is the beginning of the list. `low` is the first id that was there.
    """

    begin: int
    next: int
    stop: int
    after: str | None = None
    count: int = 0
    low: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to read."""
        return self.next >= self.stop


#: All ids, unread.
WHOLE = Span(0, 0, END)


def is_orderly(span: Span, ids: Sequence[int]) -> bool:
    """Whether a page of the span continues it: ascending, without an id twice, and none from before its place.

    >>> is_orderly(Span(0, 51, 100), [51, 60]), is_orderly(Span(0, 51, 100), [50, 60])
    (True, False)
    """
    return all(low < high for low, high in zip([span.next - 1, *ids], ids, strict=False))


def advance(span: Span, ids: Sequence[int], after: str | None) -> Span:
    """The span once an orderly page is taken, whose next page is `after`; ids beyond the span are its neighbour's.

    >>> advance(Span(0, 0, 100), [7, 120], "121")
    Span(begin=0, next=100, stop=100, after='121', count=1, low=7)
    """
    mine = [number for number in ids if number < span.stop]
    is_over = after is None or len(mine) < len(ids)
    place = span.stop if is_over else max((number + 1 for number in ids), default=span.next)
    low = span.low if span.count or not mine else mine[0]
    return replace(span, next=place, after=after, count=span.count + len(mine), low=low)


def is_read(spans: Iterable[Span], number: int) -> bool:
    """Whether one of the spans has read past an id already."""
    return any(span.begin <= number < span.next for span in spans)


def cut(spans: Iterable[Span], floor: int) -> list[Span]:
    """The spans without the ids from `floor` on, which someone else has read."""
    kept = [span for span in spans if span.begin < floor]
    return [replace(span, next=min(span.next, floor), stop=min(span.stop, floor)) for span in kept]


def joined(spans: Sequence[Span]) -> list[Span]:
    """The same spans, with neighbours that are both done made one.

    >>> [(span.begin, span.stop) for span in joined([Span(0, 5, 5), Span(5, 9, 9), Span(9, 9, 20)])]
    [(0, 9), (9, 20)]
    """
    whole: list[Span] = []
    for span in spans:
        if whole and whole[-1].is_done and span.is_done:
            last = whole.pop()
            span = replace(span, begin=last.begin, count=last.count + span.count, low=last.low)
        whole.append(span)
    return whole


def divide(spans: Sequence[Span], highest: int) -> list[Span] | None:
    """The spans with the longest rest divided in the middle; None when no rest is worth it.

    `highest` is the highest id there is. Ids are not spread evenly, so a span shows by what it has read how much its
    rest may hold, and one that has read nothing yet is left alone.
    """
    rests = [(rest(span, highest), place) for place, span in enumerate(spans)]
    size, place = max(rests, default=(0.0, 0))
    if size < WORTH_DIVIDING:
        return None
    span = spans[place]
    middle = (span.next + min(span.stop, highest + 1)) // 2
    upper = Span(middle, middle, span.stop, str(middle))
    return [*spans[:place], replace(span, stop=middle), upper, *spans[place + 1 :]]


def rest(span: Span, highest: int) -> float:
    """About how many records a span has left up to an id, by what it has read; 0 where that tells nothing yet."""
    width = min(span.stop, highest + 1) - span.next
    if span.is_done or not span.count or width < WORTH_DIVIDING:
        return 0.0
    return width * span.count / (span.next - span.low)
