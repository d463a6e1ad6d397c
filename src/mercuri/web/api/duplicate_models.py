"""Groups of duplicates and merges as they travel over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import Field

from mercuri.engine.bulk_merging import SafePreview
from mercuri.engine.grouping import GroupView, PossibleView, SharedView
from mercuri.engine.merging import MergeDone
from mercuri.store import hubspot_merges as merge_rows
from mercuri.store.merges import Batch, Merge
from mercuri.web.api.models import Contact, Id, In, Out


class ReasonOut(Out):
    """A value that several members of a group hold."""

    kind: Literal["phone", "email"]
    value: str
    members: list[int]


class GroupOut(Out):
    """Contacts that share a phone number or an e-mail; `different` are pairs that a person told apart."""

    id: int
    size: int
    reasons: list[ReasonOut]
    members: list[Contact]
    different: list[tuple[int, int]]
    first_seen: datetime
    too_large: bool
    consent_conflict: bool

    @classmethod
    def of(cls, view: GroupView) -> GroupOut:
        """The group as the API shows it."""
        return cls(
            id=view.id,
            size=view.size,
            reasons=[ReasonOut.model_validate(reason) for reason in view.reasons],
            members=[Contact.of(contact) for contact in view.members],
            different=[(pair.a, pair.b) for pair in view.different],
            first_seen=view.first_seen,
            too_large=view.too_large,
            consent_conflict=view.consent_conflict,
        )


class GroupPage(Out):
    """Groups, the most certain first, and how many there are in all."""

    items: list[GroupOut]
    next_cursor: str | None
    groups: int
    contacts: int


class MergeIn(In):
    """How to merge: who survives, whose value each field takes, which members were seen (409 if others by now)."""

    survivor_id: Id | None = None
    fields: dict[str, Id] = Field(default_factory=dict)
    seen: list[Id] | None = None
    override: Annotated[bool, Field(description="Merge members that were told apart, too")] = False


HubSpotState = Literal["none", "held", "done", "failed", "cancelled"]


class PortalMerge(Out):
    """What becomes of the records in one portal, and until when a merge there waits."""

    portal_id: str
    state: HubSpotState
    until: datetime | None
    note: str

    @classmethod
    def of(cls, one: merge_rows.HubSpotMerge) -> PortalMerge:
        """The state of a merge in one portal."""
        state = cast(HubSpotState, "held" if one.state == "merging" else one.state)
        return cls(portal_id=one.portal, state=state, until=one.until, note=one.note)


class HubSpotMerge(Out):
    """What becomes of the records in HubSpot: in the portal of which there is most to say, and in each."""

    state: HubSpotState
    until: datetime | None
    note: str
    portals: list[PortalMerge]

    @classmethod
    def of(cls, merge: Merge) -> HubSpotMerge:
        """The state of a merge in HubSpot."""
        portals = [PortalMerge.of(one) for one in merge.hubspot]
        if merge.in_hubspot is None:
            return cls(state="none", until=None, note="", portals=portals)
        shown = PortalMerge.of(merge.in_hubspot)
        return cls(state=shown.state, until=shown.until, note=shown.note, portals=portals)


class MergeOut(Out):
    """A merge that was made."""

    merge_id: int
    survivor: Contact
    absorbed: list[int]
    hubspot: HubSpotMerge

    @classmethod
    def of(cls, done: MergeDone) -> MergeOut:
        """The merge as the API shows it."""
        return cls(
            merge_id=done.merge.id,
            survivor=Contact.of(done.survivor),
            absorbed=list(done.merge.absorbed),
            hubspot=HubSpotMerge.of(done.merge),
        )


class MergeLine(Out):
    """A merge in the list of merges."""

    id: int
    survivor: int
    absorbed: list[int]
    actor: str
    at: datetime
    batch: int | None
    undone_at: datetime | None
    hubspot: HubSpotMerge

    @classmethod
    def of(cls, merge: Merge) -> MergeLine:
        """The merge as the API shows it."""
        return cls(
            id=merge.id,
            survivor=merge.survivor,
            absorbed=list(merge.absorbed),
            actor=merge.actor,
            at=merge.at,
            batch=merge.batch,
            undone_at=merge.undone_at,
            hubspot=HubSpotMerge.of(merge),
        )


class MergePage(Out):
    """Merges, newest first."""

    items: list[MergeLine]
    next_cursor: str | None


class UndoneOut(Out):
    """A merge that was taken back; `kept` are fields that somebody edited since and that stay as they are."""

    merge_id: int
    contacts: list[Contact]
    kept: dict[str, str]


class UndoIn(In):
    """`confirm` is needed once HubSpot merged the records: they come back as new ones there."""

    confirm: bool = False


class HubSpotIn(In):
    """Merge in HubSpot now, or never; in one portal, or in all that wait."""

    action: Literal["now", "cancel"]
    portal_id: str | None = None


class DismissIn(In):
    """The pairs that are different people; all of the group when left out."""

    pairs: list[tuple[Id, Id]] | None = None


class SafeIn(In):
    """Only count, from `cursor` on, or really merge."""

    preview: bool = False
    cursor: Annotated[str | None, Field(max_length=100)] = None


class SafeOut(Out):
    """What a bulk merge would do; `skipped` counts the groups left alone by reason.

    A part of many groups: with a `next_cursor` there are more, whose counts are to be added.
    """

    groups: int
    contacts: int
    skipped: dict[str, int]
    next_cursor: str | None

    @classmethod
    def of(cls, preview: SafePreview) -> SafeOut:
        """The counts as the API shows them."""
        cursor = None if preview.reached is None else str(preview.reached)
        return cls(groups=preview.groups, contacts=preview.contacts, skipped=dict(preview.skipped), next_cursor=cursor)


class BatchAsked(Out):
    """A bulk merge that was asked for."""

    batch_id: int


class BatchOut(Out):
    """A bulk merge: running, done, cancelled, undoing or undone.

    Of the `total` groups that there were, `done` were merged, and `standing` of these merges were not taken back;
    `skipped` counts the groups left alone by reason.
    """

    id: int
    state: str
    total: int
    done: int
    standing: int
    skipped: dict[str, int]
    actor: str
    undone_by: str
    at: datetime

    @classmethod
    def of(cls, batch: Batch, standing: int) -> BatchOut:
        """The bulk merge as the API shows it."""
        return cls(
            id=batch.id,
            state=batch.state,
            total=batch.total,
            done=batch.done,
            standing=standing,
            skipped=dict(batch.skipped),
            actor=batch.actor,
            undone_by=batch.undone_by,
            at=batch.at,
        )


class SharedIn(In):
    """A value that joins nobody: an office line, info@."""

    kind: Literal["phone", "email"]
    value: Annotated[str, Field(min_length=1, max_length=500)]
    note: Annotated[str, Field(max_length=500)] = ""


class SharedOut(Out):
    """A shared value; without an id it was not declared, but is held by too many to mean sameness."""

    id: int | None
    kind: str
    value: str
    note: str
    holders: int
    examples: list[int]
    by: str
    at: datetime | None

    @classmethod
    def of(cls, view: SharedView) -> SharedOut:
        """The value as the API shows it."""
        examples = [int(contact.id) for contact in view.examples]
        return cls(
            id=view.id,
            kind=view.kind,
            value=view.value,
            note=view.note,
            holders=view.holders,
            examples=examples,
            by=view.by,
            at=view.at,
        )


class PossibleOut(Out):
    """Two contacts that may be one person, and what suggests it."""

    kind: str
    value: str
    members: list[Contact]

    @classmethod
    def of(cls, view: PossibleView) -> PossibleOut:
        """The pair as the API shows it."""
        return cls(kind=view.kind, value=view.value, members=[Contact.of(contact) for contact in view.members])


class PossiblePage(Out):
    """Possible pairs by kind of evidence."""

    items: list[PossibleOut]
    next_cursor: str | None
