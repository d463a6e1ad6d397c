"""Read every record of a portal: the first load, and every full run after it."""

from __future__ import annotations

from datetime import timedelta

from mercuri.engine import dedupe, pull
from mercuri.engine.reading import read_all
from mercuri.engine.work import Work
from mercuri.store import links, portals, search
from mercuri.store.database import Tx
from mercuri.store.times import from_ms, to_ms

#: How much earlier than the start of a load the watermark is put: HubSpot's index lags, and clocks differ.
LAG = timedelta(seconds=60)


def read_everything(work: Work) -> None:
    """Take all records through the list. The watermark becomes the load's start: ids do not follow creation."""
    if work.checkpoint.get("loaded"):
        return
    bulk = work.portal.watermark is None
    if "started" not in work.checkpoint:
        with work.step():
            work.checkpoint["started"] = to_ms(work.now)
    for page in read_all(work.client, work.ask, work.checkpoint.get("after")):
        # The next page is on its way while this one is stored; its place is stored with it.
        pull.take_page(work, page.records, lambda tx, after=page.after: _reached(work, after), bulk=bulk)  # type: ignore[misc]  # mypy infers no type for a default
    with work.step() as tx:
        _end(tx, work, bulk=bulk)


def match_aside(work: Work) -> None:
    """Match the records that were put aside, now that all of them are in."""
    with work.step() as tx:
        aside = links.waiting(tx, work.portal_id, work.run.id)
        if aside:
            pull.store_aside(tx, work, aside)


def _reached(work: Work, after: str | None) -> None:
    work.checkpoint["after"] = after


def _end(tx: Tx, work: Work, *, bulk: bool) -> None:
    work.checkpoint.pop("after", None)
    work.checkpoint["loaded"] = True
    if work.preview:
        return
    if bulk:
        search.index_missing(tx)
        dedupe.rebuild(tx, work.now)
    if still := work.portal.reading.get("reread"):
        work.note_reading(tx, reread=[name for name in still if name not in work.ask])
    start = from_ms(work.checkpoint["started"]) - LAG
    if work.portal.watermark is None or work.portal.watermark < start:
        portals.set_watermark(tx, work.portal_id, start)
