"""Which contact survives a merge, which value each field keeps, and how a merge is taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mercuri.core.contact import Fields
from mercuri.core.normalise import blank

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Member:
    """A contact of a group, as far as a merge must know it.

    `field_times` tells when each field last changed. `consent_closed` is True when one of its addresses is closed,
    False when one is open and none is closed, None when nobody has said anything.
    """

    id: int
    fields: Fields
    field_times: Mapping[str, datetime]
    linked: bool
    last_activity: datetime
    created_at: datetime
    consent_closed: bool | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The value that a field keeps, the contact it comes from, and the rule that chose it, in words."""

    value: str
    from_contact: int
    rule: str


@dataclass(frozen=True, slots=True)
class Unmerge:
    """What taking a merge back does to the survivor: fields that go back, and those edited since, which stay."""

    restore: dict[str, str]
    kept: dict[str, str]


def choose_survivor(members: Sequence[Member]) -> tuple[int, str]:
    """The contact that remains, and the rule that decided between it and the last of the others.

    Linked to HubSpot, before more complete, before most recent activity, before the smallest id.
    """
    rules: tuple[tuple[str, Callable[[Member], float]], ...] = (
        ("HubSpot-linked", lambda member: member.linked),
        ("most complete", _completeness),
        ("most recent", lambda member: member.last_activity.timestamp()),
        ("oldest", lambda member: -member.id),
    )
    left = list(members)
    for rule, score in rules:
        best = max(map(score, left))
        left = [member for member in left if score(member) == best]
        if len(left) == 1:
            return left[0].id, rule
    raise AssertionError("members of a group have different ids")


def _completeness(member: Member) -> int:
    return sum(not blank(value) for value in member.fields.values())


def choose_fields(
    members: Sequence[Member], survivor_id: int, picks: Mapping[str, int] | None = None
) -> dict[str, Choice]:
    """The value of every field after the merge: the person's pick, else the survivor's, else the most recent one.

    `picks` maps a field to the contact whose value it takes. An empty value counts only when picked. The survivor's
    phone and e-mail stay primary; those of the others are kept beside them by whoever moves the addresses.
    """
    by_id = {member.id: member for member in members}
    names = dict.fromkeys(name for member in members for name in member.fields)
    return {
        name: _picked(name, by_id[picks[name]]) if picks and name in picks else _default(name, by_id, survivor_id)
        for name in names
    }


def _picked(name: str, member: Member) -> Choice:
    return Choice(member.fields.get(name, ""), member.id, "your choice")


def _default(name: str, by_id: Mapping[int, Member], survivor_id: int) -> Choice:
    held = [member for member in by_id.values() if not blank(member.fields.get(name, ""))]
    own = by_id[survivor_id].fields.get(name, "")
    if not held:
        return Choice(own, survivor_id, "empty")
    if not blank(own):
        equal = all(member.fields.get(name) == own for member in by_id.values())
        return Choice(own, survivor_id, "equal" if equal else "the survivor's")
    newest = max(held, key=lambda member: (member.field_times.get(name, _NEVER), -member.id))
    return Choice(newest.fields[name], newest.id, "only value" if len(held) == 1 else "most recent")


def unmerge_fields(before: Fields, after_merge: Fields, now: Fields) -> Unmerge:
    """Compare three moments of the survivor, field by field.

    A field that still stands as the merge set it goes back to what it was; one edited since stays as it is and is
    listed. Fields that the merge left alone are in neither.

    >>> unmerge_fields({"city": "", "zip": "1"}, {"city": "Lyon", "zip": "2"}, {"city": "Paris", "zip": "2"})
    Unmerge(restore={'zip': '1'}, kept={'city': 'Paris'})
    """
    restore: dict[str, str] = {}
    kept: dict[str, str] = {}
    for name in sorted({*before, *after_merge}):
        was, merged, current = (fields.get(name, "") for fields in (before, after_merge, now))
        if was == merged or current == was:
            continue
        if current == merged:
            restore[name] = was
        else:
            kept[name] = current
    return Unmerge(restore, kept)
