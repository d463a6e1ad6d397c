"""What becomes of links when records merge, are archived or come back, and of one side when the other is deleted."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mercuri.core.contact import ContactId, LinkState, RecordId
from mercuri.core.settings import Deletions


class Fate(enum.Enum):
    """What a deletion on one side does to the other."""

    SLEEP = "sleep"  # the link sleeps with its base; the other side stays as it is
    ARCHIVE = "archive"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Followed:
    """Links after HubSpot merged records.

    `moved` are links that now name the survivor; `merged` are links whose contact lost its record to another contact's,
    with that contact: the two belong among the duplicates.
    """

    moved: Mapping[RecordId, RecordId] = field(default_factory=dict)
    merged: Mapping[RecordId, ContactId] = field(default_factory=dict)


def survivor_of(record: RecordId, aliases: Mapping[RecordId, RecordId]) -> RecordId:
    """The record that an id leads to through any chain of merges; a circle, which HubSpot never makes, is left."""
    seen = {record}
    while (target := aliases.get(record)) is not None and target not in seen:
        seen.add(target)
        record = target
    return record


def follow_merges(
    links: Mapping[RecordId, ContactId], aliases: Mapping[RecordId, RecordId], primaries: Mapping[RecordId, RecordId]
) -> Followed:
    """Point live links at the records that survived; no contact is destroyed.

    `primaries` names, per survivor, the merged record whose values it kept, where HubSpot said so. Of several links
    that lead to one record the survivor's own keeps it, else the primary's, else the oldest one's (the smallest id).
    """
    arriving: dict[RecordId, list[RecordId]] = defaultdict(list)
    for record in links:
        arriving[survivor_of(record, aliases)].append(record)
    moved: dict[RecordId, RecordId] = {}
    merged: dict[RecordId, ContactId] = {}
    for survivor, records in arriving.items():
        keeper = min(records, key=lambda r: (r != survivor, r != primaries.get(survivor), len(r), r))
        if keeper != survivor:
            moved[keeper] = survivor
        merged.update({record: links[keeper] for record in records if record != keeper})
    return Followed(moved, merged)


def after_archive(state: LinkState) -> LinkState:
    """The link of a record or contact that was archived: a live or failing one sleeps, others stay as they are."""
    return LinkState.ASLEEP if state in (LinkState.LIVE, LinkState.BLOCKED) else state


def after_restore(state: LinkState) -> LinkState:
    """The link of one that came back: the same link wakes, so that nobody is imported twice."""
    return LinkState.LIVE if state is LinkState.ASLEEP else state


def fate_of_deletion(deletions: Deletions, *, edited_on_the_other_side: bool) -> Fate:
    """What a deletion does to the other side. An edit made there since they last agreed always survives."""
    if edited_on_the_other_side or deletions is Deletions.KEEP:
        return Fate.SLEEP
    return Fate.ARCHIVE if deletions is Deletions.ARCHIVE else Fate.ASK
