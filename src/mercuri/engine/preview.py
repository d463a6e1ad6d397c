"""What a run would do, and doing exactly that.

A preview brings the shadows up to date, which changes no contact, and then compares all links on them. Its plan is kept
as change rows that are marked as planned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mercuri.core.contact import ContactId, RecordId, RunId
from mercuri.core.diff import Act, ChangeSet, Decision
from mercuri.engine import follow
from mercuri.engine.work import Work
from mercuri.hubspot.client import BATCH, HISTORY_BATCH
from mercuri.store import changes, links, runs
from mercuri.store.changes import CREATED, LINKED, WHOLE, Change
from mercuri.store.database import Tx

#: Contacts planned in one step.
_BATCH = 500


def sum_up(work: Work) -> None:
    """Plan the contacts that HubSpot does not have, and count what the whole plan comes to."""
    if not work.preview:
        return
    if work.two_way:
        _plan_creates(work)
    with work.step() as tx:
        plan = _totals(tx, work)
        runs.save(tx, work.run.id, plan=plan)


def _plan_creates(work: Work) -> None:
    while True:
        with work.step() as tx:
            after = ContactId(work.checkpoint.get("planned", 0))
            found = links.unlinked_contacts(tx, work.portal_id, but=follow.ARCHIVED_HERE, after=after, limit=_BATCH)
            known = _planned(tx, work.run.id, found, LINKED)
            changes.add_many(tx, [_creation(work, contact) for contact in found if contact not in known])
            if found:
                work.checkpoint["planned"] = found[-1]
        if not found:
            return


def _creation(work: Work, contact: ContactId) -> Change:
    return Change(
        contact_id=contact,
        field=WHOLE,
        side="hubspot",
        before="",
        after=CREATED,
        actor="mercuri",
        reason="new here",
        at=work.now,
        portal_id=work.portal_id,
        run=work.run.id,
        planned=True,
    )


def _totals(tx: Tx, work: Work) -> dict[str, int]:
    """Contacts that would change here, in HubSpot, conflicts, and the requests that applying would cost."""
    here, there = changes.planned_totals(tx, work.run.id)
    calls = -(-there // BATCH) * 2 + -(-there // HISTORY_BATCH)
    return {"here": here, "hubspot": there, "conflicts": work.counts["conflicts"], "api_calls": calls}


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned writes to some contacts, as (contact, field, side) -> value."""

    writes: Mapping[tuple[ContactId, str, str], str]

    def allows(self, contact: ContactId, name: str, decision: Decision) -> bool:
        """Whether a write is one that the preview showed; what writes nothing is always allowed."""
        side = {Act.TAKE: "mercuri", Act.SEND: "hubspot"}.get(decision.act)
        return side is None or self.writes.get((contact, name, side)) == decision.value

    def filter(self, contact: ContactId, changeset: ChangeSet) -> ChangeSet:
        """The part of a decision that the preview showed; a row whose inputs changed since waits for the next run."""
        refused = {name for name, d in changeset.decisions.items() if not self.allows(contact, name, d)}
        if not refused:
            return changeset
        return replace(
            changeset,
            to_local={name: value for name, value in changeset.to_local.items() if name not in refused},
            to_remote={name: value for name, value in changeset.to_remote.items() if name not in refused},
            decisions={name: d for name, d in changeset.decisions.items() if name not in refused},
        )


def linking(work: Work, contact: ContactId, record: RecordId) -> Change:
    """What a preview says of a contact that a record without a link belongs to."""
    return Change(
        contact_id=contact,
        field=WHOLE,
        side="mercuri",
        before="",
        after=LINKED,
        actor=f"portal {work.portal_id}",
        reason="the same person",
        at=work.now,
        record_id=record,
        portal_id=work.portal_id,
        run=work.run.id,
        planned=True,
    )


def may_create(tx: Tx, work: Work, people: Sequence[ContactId]) -> set[ContactId]:
    """Which contacts the run may create in HubSpot: all, or those of the preview that it applies."""
    shown = work.run.options.get("apply_of")
    if shown is None:
        return set(people)
    return _planned(tx, RunId(int(shown)), people, CREATED)


def may_import(tx: Tx, work: Work, records: Sequence[RecordId]) -> set[RecordId]:
    """Which records without a contact the run may import: all, or those of the preview that it applies."""
    shown = work.run.options.get("apply_of")
    return set(records) if shown is None else changes.planned_imports(tx, RunId(int(shown)), records)


def _planned(tx: Tx, shown: RunId, people: Collection[ContactId], what: str) -> set[ContactId]:
    rows = changes.planned_for(tx, shown, people)
    return {row.contact_id for row in rows if row.contact_id and (row.field, row.after) == (WHOLE, what)}


def plan_of(tx: Tx, preview: RunId, contacts: Collection[ContactId]) -> Plan:
    """What a preview planned for some contacts."""
    rows = changes.planned_for(tx, preview, contacts)
    return Plan({(row.contact_id, row.field, row.side): row.after for row in rows if row.contact_id is not None})
