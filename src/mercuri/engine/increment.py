"""What changed since the watermark: a search in a closed window, read whole, part by part.

The index shows records late and out of order, and a record that changes while a window is read leaves it and shifts
the pages behind it. So windows overlap, each is read until as many different records came as HubSpot counts, and about
an hour later the same time is looked at once more.
"""

from __future__ import annotations

from dataclasses import astuple
from datetime import timedelta

from mercuri.core.contact import RecordId
from mercuri.core.windows import Window, fits, increment, split
from mercuri.engine import pull
from mercuri.engine.work import Work
from mercuri.hubspot.client import SEARCH_PAGE, Filter, Page
from mercuri.store import portals
from mercuri.store.database import Tx
from mercuri.store.times import from_ms, to_ms

#: How far each window reaches back behind the watermark: the lag of the index, and clocks that differ.
OVERLAP = timedelta(minutes=5)
#: How often the time since the last second look is read once more.
SECOND_LOOK = timedelta(hours=1)
#: How often a window is read before it is split: its records may be changing under our hands.
TRIES = 3


def read_changes(work: Work) -> None:
    """Take every record that changed since the watermark; the watermark moves with the last of them."""
    if work.preview and work.checkpoint.get("loaded"):
        return  # a preview that has just read everything keeps nothing: it would count these twice
    if "windows" not in work.checkpoint:
        _begin(work)
    while windows := work.checkpoint["windows"]:
        if _read_window(work, Window(*windows[0])):
            # The next step stores it; a window that is read twice changes nothing.
            work.checkpoint["windows"] = windows[1:]
    with work.step() as tx:
        _end(tx, work)


def _begin(work: Work) -> None:
    """One window from the watermark, or from the last second look when another is due, until now."""
    with work.look() as tx:
        portal = portals.get(tx, work.portal_id)
    # A preview of the first load leaves no watermark: what it has read began now.
    now = to_ms(work.now)
    watermark = to_ms(portal.watermark) if portal.watermark else now
    looked = int(portal.reading.get("looked", watermark))
    due = now - looked >= SECOND_LOOK / timedelta(milliseconds=1)
    window = increment(min(looked, watermark) if due else watermark, now, OVERLAP // timedelta(milliseconds=1))
    # The next step stores them: until then, a run that is cut short has read nothing.
    work.checkpoint["windows"] = [list(astuple(window))]
    work.checkpoint["until"] = now
    work.checkpoint["looked"] = watermark if due else looked


def _read_window(work: Work, window: Window) -> bool:
    """Read one window to its end (True), or put smaller ones in its place."""
    seen: set[RecordId] = set()
    expected = 0
    for _ in range(TRIES):
        counted = _read_pages(work, window, seen)
        if counted is None:
            return False
        if len(seen) >= counted:
            return True
        expected = counted
    if expected <= SEARCH_PAGE:
        # Nothing is hidden behind another page: what HubSpot counts beyond it is not there, or has changed since.
        return True
    _replace(work, window, _halves(window))
    return False


def _read_pages(work: Work, window: Window, seen: set[RecordId]) -> int | None:
    """Take the pages of a window; how many records HubSpot counted at most, None when it had to be split."""
    after: str | None = None
    expected = 0
    while True:
        page = _search(work, window, after)
        expected = max(expected, page.total or 0)
        if not fits(expected):
            _replace(work, window, split(window, expected))
            return None
        fresh = [record for record in page.records if record.id not in seen]
        if fresh:
            pull.take_page(work, fresh, lambda tx: None)
        seen.update(record.id for record in fresh)
        if page.after is None or not page.records:
            return expected
        after = page.after


def _search(work: Work, window: Window, after: str | None) -> Page:
    filters = [Filter("lastmodifieddate", "BETWEEN", str(window.start_ms), str(window.end_ms))]
    if window.is_by_id:
        filters.append(Filter("hs_object_id", "BETWEEN", str(window.low_id), str(window.high_id)))
    return work.client.search([filters], work.ask, sort=("hs_object_id", False), limit=SEARCH_PAGE, after=after)


def _halves(window: Window) -> tuple[Window, ...]:
    """Smaller windows for one that never held still; one that cannot be split is left, for the next overlap."""
    if window.start_ms < window.end_ms:
        middle = (window.start_ms + window.end_ms) // 2
        return (
            Window(window.start_ms, middle, window.low_id, window.high_id),
            Window(middle + 1, window.end_ms, window.low_id, window.high_id),
        )
    if window.low_id < window.high_id:
        middle = (window.low_id + window.high_id) // 2
        return (
            Window(window.start_ms, window.end_ms, window.low_id, middle),
            Window(window.start_ms, window.end_ms, middle + 1, window.high_id),
        )
    return ()


def _replace(work: Work, window: Window, parts: tuple[Window, ...]) -> None:
    with work.step():
        rest = work.checkpoint["windows"][1:]
        work.checkpoint["windows"] = [list(astuple(part)) for part in parts if part != window] + rest


def _end(tx: Tx, work: Work) -> None:
    if not work.preview:
        portals.set_watermark(tx, work.portal_id, from_ms(work.checkpoint["until"]))
        work.note_reading(tx, looked=work.checkpoint["looked"])
    for key in ("windows", "until", "looked"):
        del work.checkpoint[key]
