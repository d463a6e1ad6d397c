"""What a merge does with records: the survivor keeps one of each portal, the others rest until HubSpot merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mercuri.core.contact import ContactId, LinkState, PortalId
from mercuri.engine import follow
from mercuri.store import conflicts, failures, links, portals
from mercuri.store.database import Tx
from mercuri.store.hubspot_merges import HubSpotMerge
from mercuri.store.links import Link
from mercuri.store.times import to_ms

_AWAKE = (LinkState.LIVE, LinkState.BLOCKED)
_OURS = (*_AWAKE, LinkState.ASLEEP)
_RANK = {LinkState.LIVE: 0, LinkState.BLOCKED: 1, LinkState.ASLEEP: 2}


def move_links(
    tx: Tx, survivor: ContactId, absorbed: Sequence[ContactId], at: datetime
) -> tuple[list[list[Any]], list[HubSpotMerge]]:
    """The survivor keeps one record of each portal; the others sleep, with the contacts they belonged to.

    The answer is what the journal needs to take it back, and what is to become of the records in each portal.
    """
    found: dict[PortalId, list[Link]] = {}
    for portal, link in links.all_of_contacts(tx, [survivor, *absorbed]):
        if link.state in _OURS:
            found.setdefault(portal, []).append(link)
    moved: list[list[Any]] = []
    wanted: list[HubSpotMerge] = []
    for portal, seen in found.items():
        own = list(links.of_records(tx, portal, [link.record_id for link in seen], lock=True).values())
        own.sort(key=lambda link: (_RANK[link.state], link.contact_id != survivor, len(link.record_id), link.record_id))
        kept, *others = own
        moved += [_link_out(portal, link) for link in own]
        conflicts.follow(tx, portal, kept.record_id, survivor)
        links.save_many(tx, portal, [replace(kept, contact_id=survivor)])
        links.save_many(tx, portal, [_sleeping(link, at) for link in others])
        awake = [link.record_id for link in others if link.state in _AWAKE]
        if awake and kept.state in _AWAKE:
            wanted.append(_held(tx, HubSpotMerge(portal, kept.record_id, tuple(awake), "none"), at))
        for record, fields in conflicts.open_fields(tx, portal, [link.record_id for link in others]).items():
            conflicts.close(tx, portal, record, fields, "other", at)
        failures.clear(tx, portal, [f"contact:{id_}" for id_ in absorbed])
    return moved, wanted


def _held(tx: Tx, wanted: HubSpotMerge, at: datetime) -> HubSpotMerge:
    """The records are merged in HubSpot after the portal's hold, and not at all with its two-way off."""
    settings = portals.get(tx, wanted.portal).settings
    if not settings.two_way:
        return replace(wanted, note="Two-way sync is off: HubSpot keeps its records apart.")
    return replace(wanted, state="held", until=at + timedelta(hours=settings.hold_hours))


def _sleeping(link: Link, at: datetime) -> Link:
    return follow.asleep(link, link.archived_at or at, follow.MERGED_HERE)


def _link_out(portal: PortalId, link: Link) -> list[Any]:
    archived = to_ms(link.archived_at) if link.archived_at else None
    return [portal, link.record_id, link.contact_id, link.state.value, link.excluded, archived]
