"""The proof of a full run: as many records here as HubSpot counts, and the same ones.

Of our side only ids are held in memory, eight bytes each. Where the counts differ, the ids are divided in halves, each
counted in HubSpot, until the differing ones are few enough to be read: their ids, and nothing else of them. Equal
counts are believed: the list has just given every record by its id, and what it did not give was looked at.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from mercuri.core.contact import RecordId
from mercuri.engine import sweep
from mercuri.engine.follow import GONE_THERE
from mercuri.engine.work import Work
from mercuri.hubspot.client import SEARCH_PAGE, Client, Filter
from mercuri.store import links, portals
from mercuri.store.links import Met
from mercuri.store.times import from_ms

#: Most searches for where counts differ; with more differences than these can tell, the rest stays unnamed.
MOST_SEARCHES = 200
#: Above every id.
_TOP = 10**15


def prove(work: Work) -> None:
    """Compare this complete run with HubSpot, settle what differs by a look at each record, and keep the outcome."""
    if work.preview or "proved" in work.checkpoint:
        return
    met = Met(work.run.id, from_ms(work.checkpoint["started"]), GONE_THERE)
    ids = _ids(work, met)
    missing, surplus = differences(work.client, ids)
    sweep.look_at(work, [RecordId(str(number)) for number in (*missing, *surplus)])
    total = _look(work.client, 0, _TOP)[0]
    with work.look() as tx:
        tally = links.tally(tx, work.portal_id, met)
    seen = {"run": work.run.id, "hubspot": total, "missing": missing, "surplus": surplus, "at": work.now.isoformat()}
    with work.step() as tx:
        portals.save(tx, work.portal_id, sweep={**seen, "in_sync": tally.pop("", 0), "excluded": tally})
        work.checkpoint["proved"] = True


def differences(client: Client, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """The ids that only HubSpot has and those that only we have, ascending; `ids` are ours, ascending.

    Where as many are missing as are surplus in a window of more than a page, the counts agree and neither is told.
    HubSpot's index lags, so what changed within the last minute may be among them.
    """
    missing: list[int] = []
    surplus: list[int] = []
    windows, left = [(0, _TOP)], MOST_SEARCHES
    while windows and left:
        low, high = windows.pop()
        mine = ids[bisect_left(ids, low) : bisect_right(ids, high)]
        (total, theirs), left = _look(client, low, high), left - 1
        if total <= SEARCH_PAGE:
            missing += theirs - set(mine)
            surplus += set(mine) - theirs
        elif total != len(mine):
            middle = mine[len(mine) // 2] if mine else (low + high) // 2
            middle = min(max(middle, low + 1), high)
            windows += [(low, middle - 1), (middle, high)]
    return sorted(missing), sorted(surplus)


def _ids(work: Work, met: Met) -> Sequence[int]:
    return ascending(_pages(work, met))


def _pages(work: Work, met: Met) -> Iterator[Sequence[RecordId]]:
    after = RecordId("")
    while True:
        with work.look() as tx:
            page = links.seen(tx, work.portal_id, met, after=after)
        if not page:
            return
        yield page
        after = page[-1]


def ascending(pages: Iterable[Sequence[str]]) -> Sequence[int]:
    """The ids of pages that are in their order as text, as numbers in theirs; sorting a million would take 40 MB more.

    >>> list(ascending([["10", "11", "2"], ["30", "9"]]))
    [2, 9, 10, 11, 30]
    """
    by_length: dict[int, array[int]] = {}
    for page in pages:
        for record in page:
            by_length.setdefault(len(record), array("q")).append(int(record))
    ids = array("q")
    for length in sorted(by_length):
        ids.extend(by_length.pop(length))
    return ids


def _look(client: Client, low: int, high: int) -> tuple[int, set[int]]:
    """How many records HubSpot has in a window, and their ids when these are few."""
    between = [[Filter("hs_object_id", "BETWEEN", str(low), str(high))]]
    page = client.search(between, ["hs_object_id"])
    return page.total or 0, {int(record.id) for record in page.records}
