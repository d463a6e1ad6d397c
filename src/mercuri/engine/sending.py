"""Writes to HubSpot: announced as intents, sent in batches, read back with their history, and settled here.

An intent is committed before the request that it announces. What became of it is never guessed: the record is read
again, at once or (after a crash) by the next run, and the same function draws the conclusion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mercuri.core.contact import LinkState, PropertyVersion, Record
from mercuri.core.diff import Act, Base, merge_field, settle_sent
from mercuri.core.echo import Echo, find_echo
from mercuri.core.settings import Direction, MappingItem
from mercuri.engine import failing
from mercuri.engine.reconcile import Ledger, dispute
from mercuri.engine.shadow import kept
from mercuri.engine.work import Work
from mercuri.engine.writes import Rules, addresses_after
from mercuri.errors import HubSpotError, MissingScope, RateLimited, Unauthorised
from mercuri.hubspot.client import Outcome, Write
from mercuri.store import contacts, links, outbox
from mercuri.store.changes import Change
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.links import Link
from mercuri.store.outbox import Intent

#: What an intent remembers besides the values that it replaces: when the record was last modified.
_MODIFIED = "lastmodifieddate"
#: After this long a request of ours cannot take effect any more.
DEADLINE = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Sent:
    """An intent that was sent, HubSpot's answer (None: none came), and the record as it is now (None: absent)."""

    intent: Intent
    outcome: Outcome | None
    record: Record | None

    @property
    def error(self) -> HubSpotError | None:
        """HubSpot's refusal, if it gave one."""
        return self.outcome.error if self.outcome else None

    @property
    def is_answered(self) -> bool:
        """Whether HubSpot said that it did the write, or that it did not."""
        return self.outcome is not None and (self.error is None or failing.is_refusal(self.error))

    def answered(self, name: str) -> str | None:
        """The value of a property in HubSpot's own answer, None when no answer came."""
        if self.outcome is None or self.outcome.record is None:
            return None
        return self.outcome.record.properties.get(name, self.intent.payload[name])


@contextmanager
def announced(work: Work, intents: Sequence[Intent]) -> Iterator[None]:
    """The request that intents announce: when HubSpot refuses it as a whole, nothing of it can come any more."""
    try:
        yield
    except (RateLimited, Unauthorised, MissingScope):
        with work.step() as tx:
            outbox.close(tx, [intent.id for intent in intents], "dropped")
        raise


def update(work: Work, intents: Sequence[Intent]) -> list[Sent]:
    """Send announced patches and read the records back."""
    with announced(work, intents):
        outcomes = write(work, intents)
    return read_back(work, intents, outcomes)


def write(work: Work, intents: Sequence[Intent]) -> list[Outcome]:
    """Send announced patches."""
    return work.client.update_many([Write(str(intent.record_id), intent.payload) for intent in intents])


def read_back(work: Work, intents: Sequence[Intent], outcomes: Sequence[Outcome]) -> list[Sent]:
    """The records as they are now, with the history of what was sent; HubSpot's word is taken for what it refused."""
    names = sorted({name for intent in intents for name in intent.payload})
    wanted = [
        str(intent.record_id)
        for intent, outcome in zip(intents, outcomes, strict=True)
        if not failing.is_refusal(outcome.error)
    ]
    found = work.client.read_many(wanted, work.ask, history=names) if wanted else {}
    return [
        Sent(intent, outcome, found.get(str(intent.record_id)))
        for intent, outcome in zip(intents, outcomes, strict=True)
    ]


def settle_patches(tx: Tx, ledger: Ledger, sent: Sequence[Sent]) -> list[Sent]:
    """Close the intents of patches and move the bases of what stands; those of which there is no trace are returned.

    Where such a patch may still take effect, its intent stays open, and nothing else is sent to its record meanwhile.
    """
    work = ledger.work
    records = [s.intent.record_id for s in sent if s.intent.record_id]
    known = links.of_records(tx, work.portal_id, records, lock=True)
    held = contacts.held(tx, {s.intent.contact_id for s in sent})
    confirmed: list[Sent] = []
    dropped: list[Sent] = []
    for one in sent:
        link = known.get(one.intent.record_id) if one.intent.record_id else None
        done = link is not None and _settle(tx, ledger, one, link, held.get(one.intent.contact_id))
        (confirmed if done else dropped).append(one)
    outbox.close(tx, [one.intent.id for one in confirmed], "confirmed")
    over = [one.intent.id for one in dropped if one.is_answered or not may_come(one.intent, work.now)]
    outbox.close(tx, over, "dropped")
    return dropped


def moment_of(record: Record) -> dict[str, str]:
    """What an intent remembers of the record as it was read: when it was last modified."""
    return {_MODIFIED: record.updated_at.isoformat()} if record.updated_at else {}


def _seen_at(intent: Intent) -> datetime | None:
    return datetime.fromisoformat(intent.observed[_MODIFIED]) if _MODIFIED in intent.observed else None


def may_come(intent: Intent, now: datetime) -> bool:
    """Whether a write that HubSpot did not answer, and of which there is no trace, may still take effect."""
    return intent.sent_at is not None and now - intent.sent_at <= DEADLINE


def _settle(tx: Tx, ledger: Ledger, sent: Sent, link: Link, held: Held | None) -> bool:
    """Whether the patch came about; then its bases and the shadow move."""
    if sent.record is None or sent.record.id != link.record_id:
        return False
    echoes = {name: _echo(ledger.work, sent, name) for name in sent.intent.payload}
    stood = {name: echo for name, echo in echoes.items() if echo is not None}
    if not stood:
        return False
    link = ledger.links.get(link.record_id, link)
    shadow = {**link.shadow, **{name: echo.stored for name, echo in stood.items()}}
    link = replace(link, shadow=shadow, written_at=ledger.at, remote_at=sent.record.updated_at or link.remote_at)
    for item in ledger.work.mapping:
        if item.property in stood and held is not None:
            link = _move(tx, ledger, sent, link, held, item, stood[item.property])
    for item in ledger.work.settings.mapping:
        if item.property in stood and item.field not in ledger.work.rules:
            # The property takes no values any more: what was sent is what is compared with, should it do so again.
            sent_value = sent.intent.payload[item.property]
            link = link.moved({item.field: Base(sent_value, stood[item.property].stored)})
    ledger.links[link.record_id] = link
    return True


def _echo(work: Work, sent: Sent, name: str) -> Echo | None:
    assert sent.record is not None
    return find_echo(
        sent.intent.payload[name],
        sent.intent.observed.get(name, ""),
        sent.record.properties.get(name, ""),
        sent.record.history.get(name, ()),
        norm_of(work, name),
        answered=sent.answered(name),
        seen_at=_seen_at(sent.intent) if sent.record.merged_ids else None,
    )


def norm_of(work: Work, name: str) -> failing.Norm:
    """The form for equality of a property's values."""
    item = next((item for item in work.mapping if item.property == name), None)
    return work.rules[item.field].norm if item else str.strip


def _move(tx: Tx, ledger: Ledger, sent: Sent, link: Link, held: Held, item: MappingItem, echo: Echo) -> Link:
    """The base follows the write, whatever changed here meanwhile; a value that it ran over is not lost."""
    work, payload = ledger.work, sent.intent.payload[item.property]
    before = link.base.get(item.field)
    ledger.changes.append(
        Change(
            contact_id=held.id,
            field=item.field,
            side="hubspot",
            before=sent.intent.observed.get(item.property, ""),
            after=echo.stored,
            actor=held.author(item.field),
            reason="changed here",
            at=ledger.at,
            record_id=link.record_id,
            portal_id=work.portal_id,
            run=work.run.id,
            base_before=before,
        )
    )
    moved = link.moved({item.field: settle_sent(payload, echo.stored, work.rules[item.field].norm)})
    if echo.trampled is not None:
        _give_back(tx, ledger, link, held, item, payload, echo.trampled)
    return moved


def _give_back(
    tx: Tx, ledger: Ledger, link: Link, held: Held, item: MappingItem, payload: str, theirs: PropertyVersion
) -> None:
    """Merge again with the value that our write ran over: it comes back if it wins, else it is kept as a conflict."""
    rule = ledger.work.rules[item.field]
    decision = merge_field(
        link.base.get(item.field),
        payload,
        theirs.value,
        local_at=held.origins[item.field].at if item.field in held.origins else None,
        remote_at=theirs.at,
        direction=rule.direction,
        policy=rule.policy,
        blanks=rule.blanks,
        norm=rule.norm,
    )
    if decision.act is Act.TAKE:
        _take_back(tx, ledger, link, held, item.field, payload, decision.value)
    winner = {Act.TAKE: "hubspot", Act.SEND: "mercuri"}.get(decision.act, "")
    if decision.act in (Act.TAKE, Act.SEND, Act.CONFLICT):
        before = replace(held, fields={**held.fields, item.field: payload})
        ledger.conflicts.append(dispute(ledger, link, before, item.field, theirs.value, winner=winner))


def _take_back(tx: Tx, ledger: Ledger, link: Link, held: Held, name: str, payload: str, value: str) -> None:
    work = ledger.work
    found = addresses_after(tx, held, {name: value}, Rules(work.region, work.mapping), link.shadow)
    _, taken = contacts.change_fields(tx, held.id, {name: value}, work.origin(), found, expect={name: payload})
    if taken:
        ledger.changed.add(held.id)
        ledger.to_send.add(held.id)
        ledger.changes.append(
            Change(
                contact_id=held.id,
                field=name,
                side="mercuri",
                before=payload,
                after=value,
                actor=f"portal {work.portal_id}",
                reason="changed in HubSpot while we wrote",
                at=ledger.at,
                record_id=link.record_id,
                portal_id=work.portal_id,
                run=work.run.id,
                base_before=link.base.get(name),
            )
        )


def link_created(ledger: Ledger, intent: Intent, record: Record, held: Held | None, *, created: bool) -> Link:
    """The link of a record that a create made, or had made already: its base is what was sent, and what was kept."""
    work, shadow = ledger.work, kept(record.properties)
    bases: dict[str, Base] = {}
    for item in work.mapping:
        stored = record.properties.get(item.property, "")
        if item.property in intent.payload:
            sent = intent.payload[item.property]
            bases[item.field] = settle_sent(sent, stored, work.rules[item.field].norm)
        elif stored:
            # HubSpot filled it by itself: left out of the shadow, it is compared when the record comes next.
            shadow.pop(item.property, None)
        elif item.direction is Direction.IN and held is not None and not work.rules[item.field].is_locked:
            # Never sent: without a base, a value that comes from there later would look like a conflict.
            bases[item.field] = Base(held.fields.get(item.field, ""), "", "one_way")
        elif held is None or not held.fields.get(item.field):
            bases[item.field] = Base("", "")
    for item in work.settings.mapping:
        if item.property in intent.payload and item.field not in bases:
            # The property has vanished since: what was sent is what is compared with, should it come back.
            sent = intent.payload[item.property]
            bases[item.field] = Base(sent, sent)
    if created:
        ledger.changes.append(
            Change(
                contact_id=intent.contact_id,
                field="*",
                side="hubspot",
                before="",
                after="created",
                actor=held.author("email") if held else "mercuri",
                reason="new here",
                at=ledger.at,
                record_id=record.id,
                portal_id=work.portal_id,
                run=work.run.id,
            )
        )
    return Link(
        record.id,
        intent.contact_id,
        LinkState.LIVE,
        bases,
        shadow,
        record.updated_at,
        ledger.at,
        intent.run,
        written_at=ledger.at,
        created_there=intent.run if created else None,
    )
