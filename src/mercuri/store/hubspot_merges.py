"""What becomes of a merge in HubSpot: one row for each portal in which two or more of its contacts had a record."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select, update

from mercuri.core.contact import PortalId, RecordId
from mercuri.store import schema
from mercuri.store.database import Tx
from mercuri.store.times import maybe_moment, maybe_ms, to_ms

_h = schema.merge_in_hubspot.c


@dataclass(frozen=True, slots=True)
class HubSpotMerge:
    """A merge of records in one portal: the others go into the primary one.

    `state` is held (until a moment), merging (by a worker that has until then), done, failed, cancelled, or none where
    the records stay apart.
    """

    portal: PortalId
    primary: RecordId
    others: tuple[RecordId, ...]
    state: str
    until: datetime | None = None
    note: str = ""


def add_many(tx: Tx, merge: int, items: Iterable[HubSpotMerge]) -> None:
    """Write down what is to become of a merge in each portal."""
    rows = [
        {"workspace_id": tx.workspace, "merge_id": merge, "portal_id": item.portal, **_values(item)} for item in items
    ]
    if rows:
        tx.execute(insert(schema.merge_in_hubspot), rows)


def of_merges(tx: Tx, merges: Collection[int], *, lock: bool = False) -> dict[int, list[HubSpotMerge]]:
    """What becomes of merges in HubSpot, by portal; a merge that no portal has to do with is missing."""
    query = select(schema.merge_in_hubspot).where(_h.workspace_id == tx.workspace, _h.merge_id.in_(merges))
    found: dict[int, list[HubSpotMerge]] = {}
    for row in tx.execute((query.with_for_update() if lock else query).order_by(_h.merge_id, _h.portal_id)):
        found.setdefault(row.merge_id, []).append(_item(row))
    return found


def due(tx: Tx, now: datetime, *, limit: int = 20) -> list[tuple[int, PortalId]]:
    """Merges, each with a portal, whose time has come, or whose worker died."""
    mine = and_(_h.workspace_id == tx.workspace, _h.state.in_(("held", "merging")), _h.until <= to_ms(now))
    query = select(_h.merge_id, _h.portal_id).where(mine).order_by(_h.until, _h.merge_id).limit(limit)
    return [(row.merge_id, PortalId(row.portal_id)) for row in tx.execute(query)]


def save(tx: Tx, merge: int, item: HubSpotMerge) -> None:
    """Say how a merge stands in a portal."""
    mine = and_(_h.workspace_id == tx.workspace, _h.merge_id == merge, _h.portal_id == item.portal)
    tx.execute(update(schema.merge_in_hubspot).where(mine).values(_values(item)))


def forget(tx: Tx, merges: Collection[int]) -> None:
    """Let nothing of these merges happen in HubSpot any more."""
    tx.execute(delete(schema.merge_in_hubspot).where(_h.workspace_id == tx.workspace, _h.merge_id.in_(merges)))


def _values(item: HubSpotMerge) -> dict[str, Any]:
    return {
        "primary_id": item.primary,
        "others": json.dumps(item.others),
        "state": item.state,
        "until": maybe_ms(item.until),
        "note": item.note,
    }


def _item(row: Row[Any]) -> HubSpotMerge:
    others = tuple(map(RecordId, json.loads(row.others)))
    return HubSpotMerge(
        PortalId(row.portal_id), RecordId(row.primary_id), others, row.state, maybe_moment(row.until), row.note
    )
