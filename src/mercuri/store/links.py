"""Links, their bases, the shadow of what HubSpot last said, and the aliases of merged records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, case, delete, exists, func, insert, or_, select, update

from mercuri.core.contact import ContactId, LinkState, PortalId, RecordId, RunId
from mercuri.core.diff import Base
from mercuri.store.among import among
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps_text, dumps_texts, loads
from mercuri.store.schema import contact as contact_table
from mercuri.store.schema import link as table
from mercuri.store.schema import record_alias
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms, maybe_moment, maybe_ms, to_ms

#: A record that belongs to no contact: kept out, or waiting for the end of a read to be matched.
NOBODY = ContactId(0)
#: Most values in one IN list: well below SQLite's limit of variables.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Link:
    """The pairing of a contact and a record of one portal.

    `shadow` holds HubSpot's raw properties as last observed. `excluded` says in plain words why a record is kept out;
    `run` is the run that saw the record last, `created_there` the run that created it in HubSpot.
    """

    record_id: RecordId
    contact_id: ContactId
    state: LinkState
    base: Mapping[str, Base] = field(default_factory=dict)
    shadow: Mapping[str, str] = field(default_factory=dict)
    remote_at: datetime | None = None
    seen_at: datetime | None = None
    run: RunId | None = None
    archived_at: datetime | None = None
    written_at: datetime | None = None
    excluded: str = ""
    created_there: RunId | None = None

    def moved(self, bases: Mapping[str, Base]) -> Link:
        """The same link with some bases replaced."""
        return replace(self, base={**self.base, **bases}) if bases else self


@dataclass(frozen=True, slots=True)
class Met:
    """What a complete read met: by its run, or by any other since it began; without those `excluded` as `gone`."""

    run: RunId
    since: datetime
    gone: str


_COLUMNS = (
    "workspace_id",
    "portal_id",
    "record_id",
    "contact_id",
    "state",
    "base",
    "shadow",
    "remote_at",
    "seen_at",
    "seen_run",
    "archived_at",
    "written_at",
    "excluded",
    "created_there",
)


_MINE = and_(table.c.workspace_id == WORKSPACE, table.c.portal_id == bindparam("portal"))
_THESE = and_(_MINE, table.c.record_id.in_(bindparam("records", expanding=True)))
_SAVED = ("record", *_COLUMNS[3:])
_SAVE = Statement(
    update(table)
    .where(_MINE, table.c.record_id == bindparam("record"))
    .values({name: bindparam(name) for name in _COLUMNS[3:]})
)
_TOUCH = Statement(
    update(table).where(_THESE).values(seen_at=bindparam("at"), seen_run=bindparam("run")), lists=["records"]
)
_FOUND = select(table).where(_THESE).order_by(table.c.record_id)
#: Without a lock, and with one.
_OF_RECORDS = [Statement(query, lists=["records"]) for query in (_FOUND, _FOUND.with_for_update())]
_RANK = case({"live": 0, "blocked": 1, "asleep": 2}, value=table.c.state, else_=3)
_LINKED = (
    select(table)
    .where(_MINE, table.c.contact_id.in_(bindparam("contacts", expanding=True)))
    .where(table.c.state != LinkState.UNLINKED.value)
    .order_by(_RANK.desc(), table.c.record_id.desc())
)
_OF_CONTACTS = [Statement(query, lists=["contacts"]) for query in (_LINKED, _LINKED.with_for_update())]
_REMOVE = Statement(delete(table).where(_THESE), lists=["records"])
_AFTER = and_(_MINE, table.c.record_id > bindparam("after"))
_IS_LIVE = table.c.state == LinkState.LIVE.value
_NEXT = select(table).where(_AFTER).order_by(table.c.record_id).limit(bindparam("most"))
_EACH = Statement(_NEXT.where(_IS_LIVE).with_for_update())
_UNSEEN = Statement(
    _NEXT.where(
        or_(_IS_LIVE, table.c.state == LinkState.BLOCKED.value),
        or_(table.c.seen_run.is_(None), table.c.seen_run != bindparam("run")),
        table.c.seen_at < bindparam("before"),
    )
)
_MET = and_(
    or_(table.c.seen_run == bindparam("run"), table.c.seen_at >= bindparam("since")),
    table.c.state != LinkState.MERGED.value,
    table.c.excluded != bindparam("gone"),
)
_SEEN = Statement(select(table.c.record_id).where(_AFTER, _MET).order_by(table.c.record_id).limit(bindparam("most")))
_NUMBER = func.count().label("number")
#: Those without a reason are counted by themselves: to group a million of them, SQLite would sort them in memory.
_TALLY_KEPT_IN = Statement(select(_NUMBER).where(_MINE, _MET, table.c.excluded == ""))
_TALLY_KEPT_OUT = Statement(
    select(table.c.excluded, _NUMBER).where(_MINE, _MET, table.c.excluded != "").group_by(table.c.excluded)
)
_UNLINKED = Statement(
    select(contact_table.c.id)
    .where(contact_table.c.workspace_id == WORKSPACE, contact_table.c.id > bindparam("after"))
    .where(contact_table.c.deleted_at.is_(None), contact_table.c.merged_into.is_(None))
    .where(~exists().where(_MINE, table.c.contact_id == contact_table.c.id, table.c.excluded != bindparam("but")))
    .order_by(contact_table.c.id)
    .limit(bindparam("most"))
)
_ALIASES = "SELECT old_id, record_id, at FROM record_alias WHERE workspace_id = :ws AND portal_id = :portal AND old_id"
_WAITING = Statement(
    select(table)
    .where(_MINE, table.c.state == LinkState.UNLINKED.value, table.c.seen_run == bindparam("run"))
    .where(table.c.excluded == "", table.c.contact_id == NOBODY)
    .limit(bindparam("most"))
)


def insert_many(tx: Tx, portal: PortalId, links: Iterable[Link]) -> None:
    """Add links of records that have none yet; fast, for a page or a whole load."""
    tx.insert_many(table, _COLUMNS, (_values(tx, portal, link) for link in links))


def save_many(tx: Tx, portal: PortalId, links: Sequence[Link]) -> None:
    """Write links that exist, by record id."""
    rows = (_values(tx, portal, link) for link in links)
    tx.run_each(_SAVE, ({"portal": portal, **dict(zip(_SAVED, row[2:], strict=True))} for row in rows))


def touch(tx: Tx, portal: PortalId, records: Collection[RecordId], seen_at: datetime, run: RunId | None) -> None:
    """Note that records were seen, and that nothing else about them is new."""
    for chunk in _chunks(records):
        tx.run(_TOUCH, portal=portal, records=chunk, at=to_ms(seen_at), run=run)


def of_records(tx: Tx, portal: PortalId, records: Collection[RecordId], *, lock: bool = False) -> dict[RecordId, Link]:
    """The links of records, by record id; records without one are missing.

    With `lock` nobody else changes them before the transaction ends: for those who will save what they read.
    """
    found: dict[RecordId, Link] = {}
    for chunk in _chunks(records):
        rows = tx.run(_OF_RECORDS[lock], portal=portal, records=chunk)
        found.update((RecordId(row.record_id), _link(row)) for row in rows)
    return found


def of_contacts(
    tx: Tx, portal: PortalId, contacts: Collection[ContactId], *, lock: bool = False
) -> dict[ContactId, Link]:
    """The link of each contact in this portal: the live one if there is one, else a blocked, sleeping or merged one.

    `lock` as in `of_records`.
    """
    found: dict[ContactId, Link] = {}
    for chunk in _chunks(contacts):
        rows = tx.run(_OF_CONTACTS[lock], portal=portal, contacts=chunk)
        found.update((ContactId(row.contact_id), _link(row)) for row in rows)
    return found


def all_of_contacts(tx: Tx, contacts: Collection[ContactId]) -> list[tuple[PortalId, Link]]:
    """Every link of these contacts, in whatever portal and state."""
    found: list[tuple[PortalId, Link]] = []
    for chunk in _chunks(contacts):
        mine = and_(table.c.workspace_id == tx.workspace, table.c.contact_id.in_(chunk))
        rows = tx.execute(select(table).where(mine).order_by(table.c.portal_id, table.c.record_id))
        found += [(PortalId(row.portal_id), _link(row)) for row in rows]
    return found


def each(tx: Tx, portal: PortalId, *, after: RecordId | None = None, limit: int = 500) -> list[Link]:
    """The next live links after a record id, in the order of the ids as text, locked; for walking over all of them."""
    return [_link(row) for row in tx.run(_EACH, portal=portal, after=after or "", most=limit)]


def waiting(tx: Tx, portal: PortalId, run: RunId, *, limit: int = 100_000) -> list[Link]:
    """Records that a run put aside, to be matched once all of them are in."""
    # Sorted here: in the order of its ids, a database would look at every record for the few without a contact.
    return sorted(
        (_link(row) for row in tx.run(_WAITING, portal=portal, run=run, most=limit)), key=lambda link: link.record_id
    )


def unseen(tx: Tx, portal: PortalId, run: RunId, before: datetime, *, after: RecordId, limit: int = 100) -> list[Link]:
    """Live links that a complete read by `run`, begun at `before`, did not meet: the next ones after a record id."""
    rows = tx.run(_UNSEEN, portal=portal, run=run, before=to_ms(before), after=after, most=limit)
    return [_link(row) for row in rows]


def seen(tx: Tx, portal: PortalId, met: Met, *, after: RecordId, limit: int = 10_000) -> list[RecordId]:
    """The records that were met and are there: the next ids after one, in their order as text."""
    rows = tx.run(_SEEN, portal=portal, after=after, most=limit, **_met(met))
    return [RecordId(row.record_id) for row in rows]


def tally(tx: Tx, portal: PortalId, met: Met) -> dict[str, int]:
    """How many of the records that were met are kept out, by reason; those that are not stand under ""."""
    kept_out = {row.excluded: int(row.number) for row in tx.run(_TALLY_KEPT_OUT, portal=portal, **_met(met))}
    kept_in = int(tx.run(_TALLY_KEPT_IN, portal=portal, **_met(met)).scalar() or 0)
    return {"": kept_in, **kept_out} if kept_in else kept_out


def _met(met: Met) -> dict[str, object]:
    return {"run": met.run, "since": to_ms(met.since), "gone": met.gone}


def count(tx: Tx, portal: PortalId, *, state: LinkState = LinkState.LIVE) -> int:
    """How many links a portal has in one state."""
    return int(
        tx.execute(
            select(func.count()).select_from(table).where(_of(tx, portal), table.c.state == state.value)
        ).scalar_one()
    )


def unlinked_contacts(tx: Tx, portal: PortalId, *, but: str, after: ContactId, limit: int = 500) -> list[ContactId]:
    """Contacts alive without a link to this portal, `but` one excluded for this reason: the next ones after an id."""
    return [ContactId(row.id) for row in tx.run(_UNLINKED, portal=portal, but=but, after=after, most=limit)]


def repoint(tx: Tx, portal: PortalId, old: RecordId, new: RecordId, at: datetime) -> None:
    """Let a link follow its record, which HubSpot merged into `new` (a record without a link), and note the alias."""
    tx.execute(update(table).where(_of(tx, portal), table.c.record_id == old).values(record_id=new))
    add_alias(tx, portal, old, new, at)


def merged_away(tx: Tx, portal: PortalId, records: Collection[RecordId]) -> dict[RecordId, tuple[RecordId, datetime]]:
    """Which of these ids HubSpot has merged into which others, and when we saw it, as far as is known here."""
    rows = among(tx, _ALIASES, records, portal=portal)
    return {RecordId(old): (RecordId(new), from_ms(at)) for old, new, at in rows}


def add_alias(tx: Tx, portal: PortalId, old: RecordId, new: RecordId, at: datetime) -> None:
    """Remember that a record id now means another record; chains are kept one step long."""
    mine = and_(record_alias.c.workspace_id == tx.workspace, record_alias.c.portal_id == portal)
    tx.execute(update(record_alias).where(mine, record_alias.c.record_id == old).values(record_id=new, at=to_ms(at)))
    tx.execute(delete(record_alias).where(mine, record_alias.c.old_id.in_([old, new])))
    values = {"workspace_id": tx.workspace, "portal_id": portal, "old_id": old, "record_id": new, "at": to_ms(at)}
    tx.execute(insert(record_alias).values(values))


def remove(tx: Tx, portal: PortalId, records: Collection[RecordId]) -> None:
    """Forget links altogether; for records that were only put aside."""
    for chunk in _chunks(records):
        tx.run(_REMOVE, portal=portal, records=chunk)


def _of(tx: Tx, portal: PortalId) -> Any:
    return and_(table.c.workspace_id == tx.workspace, table.c.portal_id == portal)


def _values(tx: Tx, portal: PortalId, link: Link) -> tuple[object, ...]:
    return (
        tx.workspace,
        portal,
        link.record_id,
        link.contact_id,
        link.state.value,
        _base_text(link.base),
        dumps_texts(link.shadow),
        maybe_ms(link.remote_at),
        maybe_ms(link.seen_at) or 0,
        link.run,
        maybe_ms(link.archived_at),
        maybe_ms(link.written_at),
        link.excluded,
        link.created_there,
    )


def _base_text(bases: Mapping[str, Base]) -> str:
    """Bases as JSON."""
    rows = [
        f"{dumps_text(name)}:[{dumps_text(local)},{dumps_text(remote)},{dumps_text(why)}]"
        for name, (local, remote, why) in bases.items()
    ]
    return "{" + ",".join(rows) + "}"


def _link(row: Row[Any]) -> Link:
    return Link(
        RecordId(row.record_id),
        ContactId(row.contact_id),
        LinkState(row.state),
        {name: Base(*parts) for name, parts in loads(row.base).items()},
        loads(row.shadow),
        maybe_moment(row.remote_at),
        maybe_moment(row.seen_at),
        None if row.seen_run is None else RunId(row.seen_run),
        maybe_moment(row.archived_at),
        maybe_moment(row.written_at),
        row.excluded,
        None if row.created_there is None else RunId(row.created_there),
    )


def _chunks(ids: Collection[Any]) -> Iterator[list[Any]]:
    rest = list(dict.fromkeys(ids))
    for start in range(0, len(rest), _CHUNK):
        yield rest[start : start + _CHUNK]
