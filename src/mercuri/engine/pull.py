"""One page of records into the store: known ones are compared with their contacts, new ones matched or imported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from mercuri.core.contact import ContactId, LinkState, Origin, Record, RecordId
from mercuri.core.diff import Base
from mercuri.core.mapping import fields_of
from mercuri.engine import (
    closer,
    consent,
    dedupe,
    failing,
    follow,
    matching,
    preview,
    remote_merges,
    schema,
    unreadable,
)
from mercuri.engine.closer import Closer
from mercuri.engine.consent import Observed
from mercuri.engine.fields import ADDITIONAL_EMAILS, addresses, phone_fields
from mercuri.engine.matching import Newcomer
from mercuri.engine.reconcile import Ledger, first_bases, first_fields, reconcile, refresh_emails
from mercuri.engine.shadow import kept
from mercuri.engine.work import Work
from mercuri.store import contacts, links, outbox
from mercuri.store.changes import IMPORTED, WHOLE, Change
from mercuri.store.contacts import Held, NewContact
from mercuri.store.database import Tx
from mercuri.store.links import NOBODY, Link

#: What a contact shows of which nothing was said.
_SILENT: consent.Label = (False, "")


def take_page(work: Work, records: Sequence[Record], place: Callable[[Tx], None], *, bulk: bool = False) -> None:
    """Store a page of records as one step of the run; `place` notes how far the reading is, in the same transaction.

    Where a record's own moment matters (a flipped opt-in, a conflict decided by time), nothing is stored before such
    records were read once more, with their history.
    """
    if records:
        schema.renew(work)
    with work.step() as tx:
        known = _links_of(tx, work, records)
        unsure = closer.unsure(work, records, known)
        if not unsure:
            _Page(tx, work, records, closer.NOTHING, bulk).store(known)
            place(tx)
    if unsure:
        look = closer.look(work, unsure)
        with work.step() as tx:
            store_records(tx, work, records, look, bulk=bulk)
            place(tx)


def store_records(
    tx: Tx, work: Work, records: Collection[Record], look: Closer = closer.NOTHING, *, bulk: bool = False
) -> None:
    """Bring contacts up to date with records, import the unknown ones, and count what became of each."""
    _Page(tx, work, records, look, bulk).store(_links_of(tx, work, records))


def store_aside(tx: Tx, work: Work, aside: Sequence[Link]) -> None:
    """Match the records that were put aside during a read, and import those that nobody here is."""
    _Page(tx, work, [], closer.NOTHING, bulk=False).store_aside(aside)


def look_closer(work: Work, records: Collection[Record]) -> Closer:
    """What `store_records` needs to know of records whose own moment matters."""
    with work.look() as tx:
        unsure = closer.unsure(work, records, _links_of(tx, work, records, lock=False))
    return closer.look(work, unsure) if unsure else closer.NOTHING


def _links_of(tx: Tx, work: Work, records: Iterable[Record], *, lock: bool = True) -> dict[RecordId, Link]:
    """The links of records, and of those that were merged into them.

    What a property that is to be heard anew said is left out of them, as if it had never been asked for.
    """
    ids = [id_ for record in records for id_ in (record.id, *record.merged_ids)]
    known = links.of_records(tx, work.portal_id, ids, lock=lock)
    anew = consent.properties_heard(work.portal.settings) & set(work.portal.reading.get("reread", ()))
    return {id_: _without(link, anew) for id_, link in known.items()} if anew else known


def _without(link: Link, names: Collection[str]) -> Link:
    return replace(link, shadow={name: value for name, value in link.shadow.items() if name not in names})


class _Page:
    """The work on one page, inside its transaction."""

    def __init__(self, tx: Tx, work: Work, records: Iterable[Record], look: Closer, bulk: bool) -> None:
        self.tx, self.work, self.look, self.bulk = tx, work, look, bulk
        self.records = {record.id: record for record in records}
        self.at = work.now
        self.ledger = Ledger(work, self.at)
        self.seen: list[RecordId] = []

    def store(self, known: dict[RecordId, Link]) -> None:
        self._follow_merges(known)
        fresh = {record.id: record for record in self.records.values() if self._is_fresh(known.get(record.id))}
        linked = [record for record in self.records.values() if record.id not in fresh]
        # The search index may show a record that was merged away a moment ago: it is nobody new.
        for stale in links.merged_away(self.tx, self.work.portal_id, fresh):
            del fresh[stale]
            self.work.count("excluded")
        self._store_linked(linked, known)
        self._store_fresh(list(fresh.values()), known)
        self._finish()

    def store_aside(self, aside: Sequence[Link]) -> None:
        """Links that were put aside, with their records' values in the shadow."""
        newcomers = self._newcomers({link.record_id: link.shadow for link in aside})
        matched = matching.match_aside(self.tx, self.work, newcomers)
        links.remove(self.tx, self.work.portal_id, [link.record_id for link in aside])
        times = {link.record_id: link.remote_at for link in aside}
        self._pair([n for n in newcomers if n.record_id in matched.pairs], matched.pairs, times)
        self._create([n for n in newcomers if n.record_id not in matched.pairs], times)
        self._finish()

    def _finish(self) -> None:
        links.touch(self.tx, self.work.portal_id, self.seen, self.at, self.work.run.id)
        self.ledger.flush(self.tx)

    # Records with a link

    def _follow_merges(self, known: dict[RecordId, Link]) -> None:
        """Let the links of records that were merged follow them."""
        if not self.work.preview:
            for record in self.records.values():
                if record.merged_ids:
                    remote_merges.follow_merges(self.tx, self.work, record, known)

    def _is_fresh(self, link: Link | None) -> bool:
        """Whether a record has no link; one that another run put aside and never came back to counts as new."""
        if link is None:
            return True
        return link.contact_id == NOBODY and not link.excluded and link.run != self.work.run.id

    def _store_linked(self, records: Sequence[Record], known: Mapping[RecordId, Link]) -> None:
        held = contacts.held(self.tx, {known[record.id].contact_id for record in records} - {NOBODY})
        fails = failing.met(self.tx, self.work, held)
        for record in records:
            link = known[record.id]
            outcome = self._observe(link, record, held.get(link.contact_id))
            if outcome is None or link.run == self.work.run.id:
                continue
            if outcome == "excluded" or link.contact_id not in fails:
                self.work.count(outcome)
            elif not fails[link.contact_id]:
                self.work.count("failing")

    def _observe(self, link: Link, record: Record, held: Held | None) -> str | None:
        """One known record; the word under which it is counted, None when its time has not come."""
        if held is None:
            self.seen.append(record.id)
            return "excluded" if link.excluded else None
        if held.merged_into is not None or link.state is LinkState.MERGED:
            return self._exclude(link, follow.MERGED_HERE, record)
        if held.deleted_at is not None and link.excluded == follow.GONE_THERE and not self.work.preview:
            # It was deleted here because it was deleted there, and now it is back.
            contacts.mark_restored(self.tx, held.id, self.at)
            self.ledger.changed.add(held.id)
        elif held.deleted_at is not None:
            return self._exclude(link, follow.DELETED_HERE, record)
        # In a preview no merge is followed, and one may put another time in place.
        if _is_outdated(record, link) and not (self.work.preview and record.merged_ids):
            self.seen.append(record.id)
            return "unchanged"
        shadow = self._shadow(link, record)
        same = shadow == link.shadow and link.state is LinkState.LIVE
        if same and record.id not in self.look.times:
            self.seen.append(record.id)
            return "unchanged"
        seen = replace(
            follow.awake(link), shadow=shadow, remote_at=record.updated_at, seen_at=self.at, run=self.work.run.id
        )
        self.ledger.observed.append(self._observed(link, record, shadow))
        return self._compare(seen, link, held, record)

    def _shadow(self, link: Link, record: Record) -> dict[str, str]:
        """What is remembered of a record. A change of its further e-mails is left to the run that may act on it.

        A preview hears nothing: where a record says something new, or of a new number, it forgets what was said, so
        that the next run hears it.
        """
        shadow = kept(record.properties)
        if self.work.preview and self._speaks_anew(link, shadow):
            shadow = {n: v for n, v in shadow.items() if n not in consent.properties_heard(self.work.portal.settings)}
        if ADDITIONAL_EMAILS in shadow and (self.work.preview or not self.work.two_way):
            shadow[ADDITIONAL_EMAILS] = link.shadow.get(ADDITIONAL_EMAILS, "")
        return shadow

    def _compare(self, link: Link, before: Link, held: Held, record: Record) -> str:
        changed = False
        if self.work.two_way and not self.work.preview:  # a preview compares all links at its end
            remote = fields_of(record, self.work.mapping)
            link, changeset = reconcile(
                self.tx, self.ledger, link, held, remote, self.look.by_field(self.work, record.id)
            )
            refresh_emails(self.tx, self.ledger, link, before)
            changed = bool(changeset.to_local)
        self.ledger.links[link.record_id] = link
        return "updated" if changed else "unchanged"

    def _exclude(self, link: Link, why: str, record: Record) -> str:
        asleep = link if link.state is LinkState.MERGED else follow.asleep(link, link.archived_at or self.at, why)
        heard = self._hear_apart(asleep, record)
        self.ledger.links[link.record_id] = replace(heard, excluded=why, seen_at=self.at, run=self.work.run.id)
        return "excluded"

    def _hear_apart(self, link: Link, record: Record) -> Link:
        """Hear of consent what a record says that is kept out: others may hold its address. Nothing else is taken."""
        is_old = record.updated_at is not None and link.remote_at is not None and record.updated_at < link.remote_at
        if self.work.preview or is_old or not self._speaks_anew(link, record.properties):
            return link
        names = consent.names_heard(self.work.portal.settings)
        shadow = {**link.shadow, **{name: record.properties.get(name, "") for name in names}}
        self.ledger.observed.append(self._observed(link, record, shadow))
        return replace(link, shadow=shadow, remote_at=record.updated_at)

    def _speaks_anew(self, link: Link, now: Mapping[str, str]) -> bool:
        names = consent.names_heard(self.work.portal.settings)
        return any(now.get(name, "") != link.shadow.get(name, "") for name in names)

    def _observed(self, link: Link, record: Record, shadow: Mapping[str, str]) -> Observed:
        """What a known record says now, and what it said when it was seen last."""
        times, sources = self.look.by_property(record.id), self.look.sources(record.id)
        return Observed(link.contact_id, record.id, shadow, link.shadow, times, sources, record.updated_at)

    # Records without one

    def _store_fresh(self, records: Sequence[Record], known: Mapping[RecordId, Link]) -> None:
        newcomers = self._newcomers({record.id: kept(record.properties) for record in records})
        erased = matching.erased(self.tx, self.work, newcomers)
        matched = matching.match_page(self.tx, self.work, [n for n in newcomers if n.record_id not in erased])
        if self.work.preview and matched.aside:
            # Nothing can be put aside by a preview: it says what the records seen so far come to.
            aside = matching.match_aside(self.tx, self.work, [n for n in newcomers if n.record_id in matched.aside])
            matched = replace(matched, pairs={**matched.pairs, **aside.pairs})
        times = {record.id: record.updated_at for record in records}
        if self.work.preview:
            self._pair([n for n in newcomers if n.record_id in matched.pairs], matched.pairs, times)
            self._plan([n for n in newcomers if n.record_id not in matched.pairs], erased | matched.buried.keys())
            return
        links.remove(self.tx, self.work.portal_id, [record.id for record in records if record.id in known])
        self._keep_out(erased, matched.buried)
        self._put_aside(matched.aside)
        self._pair([n for n in newcomers if n.record_id in matched.pairs], matched.pairs, times)
        done = erased | matched.buried.keys() | matched.aside | matched.pairs.keys()
        self._create([n for n in newcomers if n.record_id not in done], times)

    def _newcomers(self, properties: Mapping[RecordId, Mapping[str, str]]) -> list[Newcomer]:
        named = [(item.field, item.property) for item in self.work.mapping]
        phones, region = phone_fields(self.work.mapping), self.work.region
        found = []
        for record, values in properties.items():
            fields = {field: values[name] for field, name in named if name in values}
            found.append(Newcomer(record, values, fields, addresses(fields, phones, region, values)))
        return found

    def _keep_out(self, erased: Collection[RecordId], buried: Mapping[RecordId, ContactId]) -> None:
        rows = [
            follow.nobodys(self.records[record], self.at, self.work, follow.ERASED_HERE) for record in sorted(erased)
        ]
        for record, contact in sorted(buried.items()):
            row = follow.nobodys(self.records[record], self.at, self.work, follow.DELETED_HERE)
            rows.append(replace(row, contact_id=contact, state=LinkState.ASLEEP, archived_at=self.at))
        links.insert_many(self.tx, self.work.portal_id, rows)
        self.work.count("excluded", len(rows))

    def _put_aside(self, aside: Collection[RecordId]) -> None:
        rows = [follow.nobodys(self.records[record], self.at, self.work) for record in sorted(aside)]
        links.insert_many(self.tx, self.work.portal_id, [replace(row, shadow=kept(row.shadow)) for row in rows])

    def _pair(
        self,
        newcomers: Sequence[Newcomer],
        pairs: Mapping[RecordId, ContactId],
        times: Mapping[RecordId, datetime | None],
    ) -> None:
        """Link records with contacts that we hold already; without a base, so that nothing is overwritten unseen."""
        held = contacts.held(self.tx, pairs.values())
        if not self.work.preview:
            rows = [self._link(one, pairs[one.record_id], times) for one in newcomers]
            links.insert_many(self.tx, self.work.portal_id, rows)
        for one in newcomers:
            contact = held[pairs[one.record_id]]
            link, changed = self._link(one, contact.id, times), False
            if self.work.preview:
                self.ledger.changes.append(preview.linking(self.work, contact.id, one.record_id))
            if self.work.two_way:
                link, changeset = reconcile(self.tx, self.ledger, link, contact, one.fields)
                changed = bool(changeset.to_local)
            self.work.count("updated" if changed else "unchanged")
            if not self.work.preview:
                self.ledger.links[link.record_id] = link
                self.ledger.observed.append(
                    Observed(contact.id, one.record_id, one.properties, changed_at=link.remote_at)
                )

    def _link(
        self,
        one: Newcomer,
        contact: ContactId,
        times: Mapping[RecordId, datetime | None],
        base: Mapping[str, Base] = MappingProxyType({}),
    ) -> Link:
        work, at = self.work, times[one.record_id]
        return Link(one.record_id, contact, LinkState.LIVE, base, one.properties, at, self.at, work.run.id)

    def _create(self, newcomers: Sequence[Newcomer], times: Mapping[RecordId, datetime | None]) -> None:
        """Import records as contacts. They get no rows in the change log: `contact.created_run` tells."""
        newcomers = self._as_planned(newcomers)
        if not newcomers:
            return
        work, ids = self.work, contacts.reserve(self.tx, len(newcomers))
        made = dict(zip(ids, newcomers, strict=True))
        observed = [
            Observed(contact, one.record_id, one.properties, changed_at=times[one.record_id])
            for contact, one in made.items()
        ]
        labels: Mapping[ContactId, consent.Label] = {}
        if self.bulk:
            # Before they are in, so that they are inserted with what they show.
            own = {contact: one.addresses for contact, one in made.items()}
            labels = consent.hear_newcomers(self.tx, work.portal, observed, own, work.run.id, self.at)
        origin = work.origin()
        new = [self._new(one, origin, labels.get(contact, _SILENT)) for contact, one in made.items()]
        contacts.insert_many(self.tx, new, ids=ids, bulk=self.bulk)
        rows = [self._link(one, contact, times, first_bases(work, one.fields)) for contact, one in made.items()]
        links.insert_many(self.tx, work.portal_id, rows)
        work.count("created", len(rows))
        if self.bulk:
            unreadable.note(self.tx, work.portal, observed, work.run.id, self.at)
            dedupe.contacts_loaded(self.tx, dict(zip(ids, new, strict=True)))
            outbox.note_contacts(self.tx, ids, self.at, but=work.portal_id)
        else:
            self.ledger.observed += observed
            self.ledger.changed.update(ids)

    def _as_planned(self, newcomers: Sequence[Newcomer]) -> Sequence[Newcomer]:
        """The newcomers that the run may import; the next run looks at those that came after the applied preview."""
        allowed = preview.may_import(self.tx, self.work, [one.record_id for one in newcomers])
        later = {one.record_id: False for one in newcomers if one.record_id not in allowed}
        outbox.note_looks(self.tx, self.work.portal_id, later, self.at)
        self.work.count("unchanged", len(later))
        return [one for one in newcomers if one.record_id in allowed]

    def _new(self, one: Newcomer, origin: Origin, label: consent.Label) -> NewContact:
        return NewContact(first_fields(self.work, one.fields), origin, one.addresses, self.at, self.work.run.id, *label)

    def _plan(self, newcomers: Sequence[Newcomer], excluded: Collection[RecordId]) -> None:
        """What a preview says of new records: the row names the record, since there is no contact yet."""
        for one in newcomers:
            if one.record_id in excluded:
                self.work.count("excluded")
                continue
            self.work.count("created")
            self.ledger.changes.append(
                Change(
                    contact_id=None,
                    field=WHOLE,
                    side="mercuri",
                    before="",
                    after=IMPORTED,
                    actor=f"portal {self.work.portal_id}",
                    reason="new in HubSpot",
                    at=self.at,
                    record_id=one.record_id,
                    portal_id=self.work.portal_id,
                    run=self.work.run.id,
                    planned=True,
                )
            )


def _is_outdated(record: Record, link: Link) -> bool:
    """Whether the search index shows a record as it was before we last saw or wrote it.

    Some answers leave fractions of a second out.
    """
    if record.updated_at is None or link.remote_at is None or link.state is not LinkState.LIVE:
        return False
    known = link.remote_at if record.updated_at.microsecond else link.remote_at.replace(microsecond=0)
    return record.updated_at < known
