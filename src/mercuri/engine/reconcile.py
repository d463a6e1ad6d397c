"""One link: what its contact and its record say, merged by `core.diff`, and what follows from it here.

Nothing here talks to HubSpot. What must be written there is noted in the outbox; `push` reads the record once more and
merges again before it sends anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mercuri.core.contact import ContactId, RecordId, RunId
from mercuri.core.diff import Act, Base, ChangeSet, Decision, three_way
from mercuri.engine import consent, dedupe, preview, unreadable
from mercuri.engine.fields import further_emails
from mercuri.engine.work import Work
from mercuri.engine.writes import Rules, addresses_after
from mercuri.store import changes, conflicts, contacts, links, outbox
from mercuri.store.changes import Change
from mercuri.store.conflicts import Conflict
from mercuri.store.contacts import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link

_REASONS = {
    "same": "changed in HubSpot",
    "filled": "was empty here",
    "stored_differently": "changed in HubSpot",
    "resolved": "chosen by a person",
}


@dataclass(frozen=True, slots=True)
class Times:
    """When the properties of a record were set, and by whom, as far as its history was read; by field."""

    at: Mapping[str, datetime] = field(default_factory=dict)
    by: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Ledger:
    """What one transaction will write besides the contacts themselves; `flush` writes it in a few statements."""

    work: Work
    at: datetime
    changes: list[Change] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    links: dict[RecordId, Link] = field(default_factory=dict)
    changed: set[ContactId] = field(default_factory=set)
    to_send: set[ContactId] = field(default_factory=set)
    agreed: dict[RecordId, set[str]] = field(default_factory=dict)
    observed: list[consent.Observed] = field(default_factory=list)

    def flush(self, tx: Tx) -> None:
        """Write everything that was collected, and tell those who follow contacts."""
        portal, work = self.work.portal_id, self.work
        links.save_many(tx, portal, list(self.links.values()))
        changes.add_many(tx, self.changes)
        work.counts["conflicts"] += self._store_conflicts(tx)
        outbox.note_many(tx, portal, "contact", {str(contact): {} for contact in sorted(self.to_send)}, self.at)
        if self.changed:
            outbox.note_contacts(tx, sorted(self.changed), self.at, but=portal)
            tell(tx, self.changed, self.at)
        if self.observed and not work.preview:
            consent.hear_records(tx, work.portal, self.observed, work.run.id, self.at)
            unreadable.note(tx, work.portal, self.observed, work.run.id, self.at)

    def _store_conflicts(self, tx: Tx) -> int:
        open_now = conflicts.open_fields(tx, self.work.portal_id, list(self.agreed)) if self.agreed else {}
        for record, fields in open_now.items():
            conflicts.close(tx, self.work.portal_id, record, fields & self.agreed[record], "other", self.at)
        return conflicts.add_many(tx, self.conflicts)


def tell(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Tell duplicates and consent that contacts were made or changed."""
    if ids:
        dedupe.contacts_changed(tx, ids, at)
        consent.contacts_changed(tx, ids, at)


def compare(work: Work, link: Link, held: Held, remote: Mapping[str, str], times: Times | None = None) -> ChangeSet:
    """What a contact and its record must change to agree; `remote` is by field."""
    local_at = {name: origin.at for name, origin in held.origins.items()}
    return three_way(link.base, held.fields, remote, work.rules, local_at=local_at, remote_at=(times or Times()).at)


def reconcile(
    tx: Tx, ledger: Ledger, link: Link, held: Held, remote: Mapping[str, str], times: Times | None = None
) -> tuple[Link, ChangeSet]:
    """Bring a contact up to date with its record, and note what the record has yet to get.

    Returns the link with the bases that moved, and what was decided. A field that someone changed in this very moment
    is left alone, base and all: the next comparison sees both.
    """
    times = times or Times()
    changeset = compare(ledger.work, link, held, remote, times)
    if (shown := ledger.work.run.options.get("apply_of")) is not None:
        changeset = preview.plan_of(tx, RunId(int(shown)), [held.id]).filter(held.id, changeset)
    if changeset.is_empty:
        return link, changeset
    if ledger.work.preview:
        _plan(ledger, link, held, remote, changeset)
        return link, changeset
    skipped = _take(tx, ledger, link, held, remote, changeset)
    bases = {name: d.base for name, d in changeset.decisions.items() if d.base is not None and name not in skipped}
    _dispute(ledger, link, held, remote, changeset, times)
    if changeset.to_remote:
        ledger.to_send.add(held.id)
    done = {name for name, d in changeset.decisions.items() if d.act not in (Act.NONE, Act.CONFLICT)}
    if done:
        ledger.agreed.setdefault(link.record_id, set()).update(done)
    return link.moved(bases), changeset


def refresh_emails(tx: Tx, ledger: Ledger, link: Link, before: Link) -> None:
    """Follow the further e-mails of a record, which are in no field: they make its contact's addresses."""
    if further_emails(link.shadow) == further_emails(before.shadow):
        return
    held = contacts.held(tx, [link.contact_id])[link.contact_id]
    rules = Rules(ledger.work.region, ledger.work.mapping)
    contacts.set_addresses(tx, held.id, addresses_after(tx, held, {}, rules, link.shadow), ledger.at)
    ledger.changed.add(held.id)


def _take(
    tx: Tx, ledger: Ledger, link: Link, held: Held, remote: Mapping[str, str], changeset: ChangeSet
) -> Collection[str]:
    """Write HubSpot's values here; the fields that someone else changed in between."""
    if not changeset.to_local:
        return ()
    work = ledger.work
    rules = Rules(work.region, work.mapping)
    found = addresses_after(tx, held, changeset.to_local, rules, link.shadow)
    expect = {name: held.fields.get(name, "") for name in changeset.to_local}
    # Someone who set the very same value meanwhile set it, not this run: undoing the run must leave it alone.
    _, taken = contacts.change_fields(tx, held.id, changeset.to_local, work.origin(), found, expect=expect)
    for name in sorted(taken):
        decision = changeset.decisions[name]
        ledger.changes.append(_change(ledger, link, held, name, expect[name], decision, planned=False))
        ledger.changed.add(held.id)
    return changeset.to_local.keys() - taken


def _change(
    ledger: Ledger, link: Link, held: Held, name: str, before: str, decision: Decision, *, planned: bool
) -> Change:
    to_local = decision.act is Act.TAKE
    reason = _REASONS.get(decision.why, decision.why) if to_local else "changed here"
    return Change(
        contact_id=held.id,
        field=name,
        side="mercuri" if to_local else "hubspot",
        before=before,
        after=decision.value,
        actor=f"portal {ledger.work.portal_id}" if to_local else held.author(name),
        reason="won a conflict" if decision.loser is not None else reason,
        at=ledger.at,
        record_id=link.record_id,
        portal_id=ledger.work.portal_id,
        run=ledger.work.run.id,
        base_before=link.base.get(name),
        planned=planned,
    )


def _plan(ledger: Ledger, link: Link, held: Held, remote: Mapping[str, str], changeset: ChangeSet) -> None:
    for name, decision in changeset.decisions.items():
        if decision.act is Act.TAKE:
            before = held.fields.get(name, "")
        elif decision.act is Act.SEND:
            before = remote[name]
        else:
            continue
        ledger.changes.append(_change(ledger, link, held, name, before, decision, planned=True))
    ledger.work.counts["conflicts"] += len(changeset.conflicts) + len(changeset.losers)


def _dispute(
    ledger: Ledger, link: Link, held: Held, remote: Mapping[str, str], changeset: ChangeSet, times: Times
) -> None:
    for name, decision in changeset.decisions.items():
        if decision.act is Act.CONFLICT or decision.loser is not None:
            winner = {Act.TAKE: "hubspot", Act.SEND: "mercuri"}.get(decision.act, "")
            ledger.conflicts.append(dispute(ledger, link, held, name, remote[name], winner=winner, times=times))


def dispute(
    ledger: Ledger, link: Link, held: Held, name: str, remote: str, *, winner: str, times: Times | None = None
) -> Conflict:
    """The row of a conflict: open when there is no winner, else decided by the policy."""
    origin, times = held.origins.get(name), times or Times()
    return Conflict(
        portal_id=ledger.work.portal_id,
        record_id=link.record_id,
        contact_id=held.id,
        field=name,
        local=held.fields.get(name, ""),
        remote=remote,
        state="decided" if winner else "open",
        at=ledger.at,
        local_at=origin.at if origin else None,
        local_by=held.author(name),
        remote_at=times.at.get(name) or link.remote_at,
        remote_by=times.by.get(name, "HubSpot"),
        resolution=winner,
        run=ledger.work.run.id,
        resolved_at=ledger.at if winner else None,
    )


def first_bases(work: Work, remote: Mapping[str, str]) -> dict[str, Base]:
    """The bases of a contact that was just made from a record."""
    return {
        name: Base("", value, "one_way") if name in work.carried.one_way else Base(value, value, "same")
        for name, value in remote.items()
    }


def first_fields(work: Work, remote: Mapping[str, str]) -> dict[str, str]:
    """The fields of a contact to be made from a record: those that may come in."""
    return {name: value for name, value in remote.items() if name not in work.carried.one_way}
