"""Read every record of a portal: the first load, and every full run after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial

from mercuri.core.contact import Record
from mercuri.core.mapping import properties_to_ask
from mercuri.engine import dedupe, pull
from mercuri.engine.work import Work
from mercuri.errors import HubSpotError
from mercuri.hubspot.everything import Portion, Progress, read_everything
from mercuri.store import links, portals, runs, search, statistics
from mercuri.store.database import Tx
from mercuri.store.times import from_ms, to_ms

#: How much earlier than the start of a load the watermark is put: HubSpot's index lags, and clocks differ.
LAG = timedelta(seconds=60)
#: Most records that wait for one transaction: what it costs by itself, and the pages of indexes that the next one would
#: write again, hardly count beside so many, and others wait for it a third of a second at most.
STEP = 2_000
#: How long records wait for others before they are stored, so that a stop is heard and progress seen.
PATIENCE = timedelta(seconds=1)


def load_records(work: Work) -> None:
    """Take all records. The watermark becomes the load's start: ids do not follow creation."""
    if work.checkpoint.get("loaded"):
        return
    bulk = work.portal.watermark is None
    if "started" not in work.checkpoint:
        _begin(work)
    if not work.checkpoint.get("read"):
        place = Progress(**work.checkpoint.get("place", {}))
        # A daily sweep leaves search to those who wait for it.
        portions = read_everything(work.client, work.ask, place, search=bulk or work.run.trigger != "schedule")
        for records, portion in _gathered(portions, work.app.now):
            # What comes next is on its way while this is stored; its place is stored with it.
            pull.take_page(work, records, partial(_reached, work, portion, work.counts["created"]), bulk=bulk)
    with work.step() as tx:
        _end(tx, work, bulk=bulk)


def _gathered(portions: Iterator[Portion], now: Callable[[], datetime]) -> Iterator[tuple[list[Record], Portion]]:
    """Records of portions joined to what is worth a transaction, and the last of these portions."""
    records: list[Record] = []
    portion: Portion | None = None
    since = now()
    try:
        for portion in portions:
            records += portion.records
            if len(records) >= STEP or portion.last or now() - since >= PATIENCE:
                yield records, portion
                records, since = [], now()
    except HubSpotError:
        # What came before the trouble is stored: the next run goes on after it.
        if records and portion is not None:
            yield records, portion
        raise


def _begin(work: Work) -> None:
    """Note when the reading began, and how many records there are to read, for people who wait."""
    total = work.client.search([], ["hs_object_id"], limit=1).total
    with work.step() as tx:
        work.checkpoint["started"] = to_ms(work.now)
        runs.save(tx, work.run.id, expected=total)
    work.run = replace(work.run, expected=total)


def match_aside(work: Work) -> None:
    """Match the records that were put aside, now that all of them are in."""
    with work.look() as tx:
        if not links.waiting(tx, work.portal_id, work.run.id, limit=1):
            return
    with work.step() as tx:
        pull.store_aside(tx, work, links.waiting(tx, work.portal_id, work.run.id))


def _reached(work: Work, portion: Portion, created: int, tx: Tx) -> None:
    work.checkpoint["place"] = asdict(portion.progress)
    work.checkpoint["read"] = portion.last
    statistics.note_growth(tx, created, work.counts["created"])


def _end(tx: Tx, work: Work, *, bulk: bool) -> None:
    for done in ("place", "read"):
        work.checkpoint.pop(done, None)
    work.checkpoint["loaded"] = True
    if work.preview:
        return
    if bulk:
        search.index_missing(tx)
        dedupe.rebuild(tx, work.now)
    if begun := work.portal.reading.get("reread"):
        work.note_reading(tx, reread=_still_unread(tx, work, begun))
    start = from_ms(work.checkpoint["started"]) - LAG
    if work.portal.watermark is None or work.portal.watermark < start:
        portals.set_watermark(tx, work.portal_id, start)


def _still_unread(tx: Tx, work: Work, begun: Collection[str]) -> list[str]:
    """The properties that were mapped while the run was under way.

    What it began with was read, or cannot be: it is mapped no more, or is noted anew once it carries values again.
    """
    portal = portals.get(tx, work.portal_id)
    asked = properties_to_ask(portal.settings)
    return [name for name in portal.reading.get("reread", ()) if name in asked and name not in begun]
