"""What became of a value that was written to HubSpot, as the property's history shows it.

HubSpot has no compare-and-set: between our reading and our writing someone else may have written, and their value is
then only in the history. Our clock is not compared with HubSpot's; the order of the history and its times are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mercuri.core.contact import PropertyVersion

#: HubSpot's sourceType of what an app wrote, and that of a version which does not tell.
_OURS = ("INTEGRATION", "")


@dataclass(frozen=True, slots=True)
class Echo:
    """Our write as HubSpot kept it (`stored`), and someone's value that it ran over, if there was one."""

    stored: str
    trampled: PropertyVersion | None = None


def find_echo(
    payload: str,
    observed: str,
    current: str,
    history: Sequence[PropertyVersion],
    norm: Callable[[str], str],
    *,
    answered: str | None = None,
    seen_at: datetime | None = None,
) -> Echo | None:
    """Find our write of `payload`; None when there is no trace of it.

    `observed` is what stood there just before, `current` what stands there now, `history` the versions, newest first,
    perhaps cut short. A merge of two records joins their histories, so that what stood there need not be the newest
    one: of such a record `seen_at` tells when it was last modified before we wrote, and nothing up to then is news.
    `answered` is the value in HubSpot's own answer to the write, when that arrived: then the write did happen, whatever
    the history says. Without it, the same value from someone else is no trace of ours, which may still come.

    >>> mine, theirs, old = (PropertyVersion(value, None) for value in ("mine", "theirs", "old"))
    >>> find_echo("mine", "old", "mine", (mine, theirs, old), str.strip).trampled.value
    'theirs'
    >>> by_hand = PropertyVersion("mine", None, "CRM_UI")
    >>> find_echo("mine", "old", "mine", (by_hand, old), str.strip) is None
    True
    """
    newer = _since(observed, history, seen_at)
    if not newer:
        return _without_history(payload, current, norm, answered)
    place = _ours(payload, newer, norm, answered)
    if place is None:
        return None
    below = newer[place + 1] if place + 1 < len(newer) else None
    ran_over = below if below is not None and norm(below.value) != norm(payload) else None
    return Echo(newer[place].value, ran_over)


def _since(observed: str, history: Sequence[PropertyVersion], seen_at: datetime | None) -> list[PropertyVersion]:
    """The versions made after we looked: those above the one that we saw."""
    newer: list[PropertyVersion] = []
    for version in history:
        was_there = seen_at is not None and version.at is not None and version.at <= seen_at
        if version.value == observed or was_there:
            return newer
        newer.append(version)
    # What we saw was empty, which has no entry of its own, or lies too far back to be shown.
    return newer if not observed else newer[:1]


def _ours(
    payload: str, newer: Sequence[PropertyVersion], norm: Callable[[str], str], answered: str | None
) -> int | None:
    for wanted in (payload, answered):
        for place, version in enumerate(newer):
            may_be_ours = answered is not None or version.source in _OURS
            if wanted is not None and may_be_ours and norm(version.value) == norm(wanted):
                return place
    # Rewritten beyond recognition, but it did happen: the oldest of the new versions is the likeliest.
    return len(newer) - 1 if answered is not None else None


def _without_history(payload: str, current: str, norm: Callable[[str], str], answered: str | None) -> Echo | None:
    if norm(current) == norm(payload):
        return Echo(current)
    return None if answered is None else Echo(answered)
