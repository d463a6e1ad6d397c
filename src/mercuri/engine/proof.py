"""The proof of a full run: as many records here as HubSpot counts, or the ids in which the two differ.

Of our side only ids are held in memory, eight bytes each. Where the counts differ, the ids are divided in halves, each
counted in HubSpot, until the differing ones are few enough to be read: their ids, and nothing else of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from mercuri.core.contact import RecordId
from mercuri.engine import sweep
from mercuri.engine.work import Work
from mercuri.hubspot.client import SEARCH_PAGE, Client, Filter
from mercuri.store import links, portals

#: Most searches for the ids that differ; with more differences than these can tell, the rest stays unnamed.
MOST_SEARCHES = 200
#: Above every id.
_TOP = 10**15


def prove(work: Work) -> None:
    """Compare this complete run with HubSpot's own count, fetch what is missing here, and keep the outcome."""
    if work.preview or "proved" in work.checkpoint:
        return
    ids = _ids(work)
    total = _count(work.client, 0, _TOP)
    missing, surplus = differences(work.client, ids) if total != len(ids) else ([], [])
    if missing:
        sweep.look_at(work, [RecordId(str(number)) for number in missing])
    with work.look() as tx:
        tally = links.tally(tx, work.portal_id, work.run.id)
    seen = {"run": work.run.id, "hubspot": total, "missing": missing, "surplus": surplus, "at": work.now.isoformat()}
    with work.step() as tx:
        portals.save(tx, work.portal_id, sweep={**seen, "in_sync": tally.pop("", 0), "excluded": tally})
        work.checkpoint["proved"] = True


def differences(client: Client, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """The ids that only HubSpot has and those that only we have, ascending; `ids` are ours, ascending.

    HubSpot's index lags, so what changed within the last minute may be among them. Where as many are missing as are
    surplus among the same few hundred ids, the counts agree, and neither is told.
    """
    missing: list[int] = []
    surplus: list[int] = []
    windows, asked = [(0, _TOP)], 0
    while windows and asked < MOST_SEARCHES:
        low, high = windows.pop()
        mine = ids[bisect_left(ids, low) : bisect_right(ids, high)]
        total, asked = _count(client, low, high), asked + 1
        if total > SEARCH_PAGE and total == len(mine):
            continue
        if total <= SEARCH_PAGE:
            theirs, asked = _window(client, low, high), asked + 1
            missing += sorted(theirs - set(mine))
            surplus += sorted(set(mine) - theirs)
        else:
            middle = mine[len(mine) // 2] if mine else (low + high) // 2
            middle = min(max(middle, low + 1), high)
            windows += [(low, middle - 1), (middle, high)]
    return sorted(missing), sorted(surplus)


def _ids(work: Work) -> array[int]:
    ids, after = array("q"), RecordId("")
    while True:
        with work.look() as tx:
            page = links.seen(tx, work.portal_id, work.run.id, after=after)
        if not page:
            return array("q", sorted(ids))
        ids.extend(int(record) for record in page)
        after = page[-1]


def _count(client: Client, low: int, high: int) -> int:
    return client.search(_between(low, high), ["hs_object_id"], limit=1).total or 0


def _window(client: Client, low: int, high: int) -> set[int]:
    return {int(record.id) for record in client.search(_between(low, high), ["hs_object_id"]).records}


def _between(low: int, high: int) -> list[list[Filter]]:
    return [[Filter("hs_object_id", "BETWEEN", str(low), str(high))]]
