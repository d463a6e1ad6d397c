"""Contacts: their values, where each came from and when, their addresses; inserted fast, changed with care.

What is imported here under its own name belongs to contacts too: `get` and `many` of `store.shown`, `page` of
`store.pages`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam

from mercuri.core.contact import STANDARD, Address, ContactId, Fields, Origin, RunId
from mercuri.errors import Clash, NotFound
from mercuri.store import contact_rows as rows
from mercuri.store import schema, search
from mercuri.store.contact_rows import Held as Held
from mercuri.store.contact_rows import NewContact as NewContact
from mercuri.store.database import Tx
from mercuri.store.pages import ContactPage as ContactPage
from mercuri.store.pages import Query as Query
from mercuri.store.pages import page as page
from mercuri.store.shown import get as get
from mercuri.store.shown import many as many
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import to_ms

_c = schema.contact.c
_a = schema.address.c
#: A bulk load indexes so many contacts at a time.
_BULK = 10_000


_HELD = sa.select(*rows.HELD_COLUMNS).where(_c.workspace_id == WORKSPACE, _c.id.in_(bindparam("ids", expanding=True)))
_GET = Statement(_HELD, lists=["ids"])
_LOCK = Statement(_HELD.order_by(_c.id).with_for_update(), lists=["ids"])
_THIS = sa.and_(_c.workspace_id == WORKSPACE, _c.id == bindparam("this"))
_WRITE = Statement(
    sa.update(schema.contact)
    .where(_THIS)
    .values({name: bindparam(name) for name in (*STANDARD, "custom", "origins", "name_key", "email_key", "search")})
    .values(version=_c.version + 1, updated_at=bindparam("at"))
)
_NO_ADDRESSES = Statement(
    sa.delete(schema.address).where(_a.workspace_id == WORKSPACE, _a.contact_id == bindparam("this"))
)
_HOLDERS = Statement(
    sa.select(_a.normal, _a.contact_id)
    .distinct()
    .join(schema.contact, _c.id == _a.contact_id)
    .where(
        _a.workspace_id == WORKSPACE,
        _a.kind == bindparam("kind"),
        _a.normal.in_(bindparam("normals", expanding=True)),
        _c.workspace_id == WORKSPACE,
        _c.deleted_at.is_(None),
        _c.merged_into.is_(None),
    )
    .order_by(_a.normal, _a.contact_id),
    lists=["normals"],
)


def reserve(tx: Tx, count: int) -> list[ContactId]:
    """Ids for contacts that will be inserted in this transaction, ascending."""
    return [ContactId(number) for number in tx.reserve_ids(schema.contact, count)]


def insert_many(
    tx: Tx, contacts: Sequence[NewContact], *, ids: list[ContactId] | None = None, bulk: bool = False
) -> list[ContactId]:
    """Insert contacts, under reserved ids where there are some; the ids come in the same order, ascending.

    With `bulk`, whoever loads calls `search.index_missing` at the end; until then the last of these contacts are found
    all the same, only slower.
    """
    ids = reserve(tx, len(contacts)) if ids is None else ids
    clean = [rows.storable(new.fields) for new in contacts]
    made = [rows.contact_row(tx, *item) for item in zip(ids, contacts, clean, strict=True)]
    tx.insert_many(schema.contact, rows.CONTACT_COLUMNS, made)
    all_addresses = [
        row for id_, new in zip(ids, contacts, strict=True) for row in rows.address_rows(tx, id_, new.addresses)
    ]
    tx.insert_many(schema.address, rows.ADDRESS_COLUMNS, all_addresses)
    search.index_new(tx, at_least=_BULK if bulk else 1)
    return ids


def held(tx: Tx, ids: Collection[ContactId]) -> dict[ContactId, Held]:
    """The contacts that exist, deleted and absorbed ones too."""
    found: dict[ContactId, Held] = {}
    for chunk in rows.chunks(ids):
        found.update((row[0], rows.held_of(row)) for row in tx.run(_GET, ids=chunk))
    return found


def change_fields(
    tx: Tx,
    id_: ContactId,
    changes: Mapping[str, str],
    origin: Origin,
    addresses: Sequence[Address],
    *,
    expect: Mapping[str, str] | None = None,
    version: int | None = None,
) -> tuple[Held, Collection[str]]:
    """Give fields new values, and the contact the addresses that follow from them.

    Returns what now stands, and the names of the fields that this call gave another value.

    A field named in `expect` whose value is another one by now is left alone, with the addresses that came from
    it. A field that has its new value already keeps its origin. Raises Clash, with the present contact, when
    `version` is no longer the contact's; NotFound.
    """
    now = _locked(tx, id_)
    if version is not None and version != now.version:
        raise Clash("Someone changed this contact meanwhile. Nothing was saved.", get(tx, id_))
    stale = {name for name, value in (expect or {}).items() if now.fields.get(name, "") != value}
    clean = rows.storable(changes)
    taken = {n: v for n, v in clean.items() if n not in stale and now.fields.get(n, "") != v}
    if not taken:
        return now, ()
    fields = {**now.fields, **taken}
    origins = {**now.origins, **dict.fromkeys(taken, origin)}
    _write(tx, id_, fields, origins, _without_stale(tx, id_, addresses, stale), origin.at)
    return held(tx, [id_])[id_], taken.keys()


def set_addresses(tx: Tx, id_: ContactId, addresses: Sequence[Address], at: datetime) -> None:
    """Give a contact other addresses while its fields stay. Raises NotFound."""
    now = _locked(tx, id_)
    _write(tx, id_, now.fields, now.origins, addresses, at)


def _locked(tx: Tx, id_: ContactId) -> Held:
    found = lock(tx, [id_])
    if not found:
        raise NotFound("There is no such contact.")
    return found[id_]


def _without_stale(tx: Tx, id_: ContactId, new: Sequence[Address], stale: Collection[str]) -> list[Address]:
    if not stale:
        return list(new)
    kept = [address for address in rows.addresses(tx, [id_]).get(id_, ()) if address.label in stale]
    return [address for address in new if address.label not in stale] + kept


def _write(
    tx: Tx, id_: ContactId, fields: Fields, origins: Mapping[str, Origin], new: Sequence[Address], at: datetime
) -> None:
    name = rows.folded_name(fields)
    tx.run(
        _WRITE,
        this=id_,
        **{name: fields[name] for name in STANDARD},
        custom=rows.custom_text(fields),
        origins=rows.origins_text(fields, origins),
        name_key=rows.name_key(name, fields),
        email_key=rows.email_key(fields),
        search=search.text_of(name, new),
        at=to_ms(at),
    )
    _replace_addresses(tx, id_, new)


def overwrite(
    tx: Tx, id_: ContactId, fields: Fields, origins: Mapping[str, Origin], addresses: Sequence[Address], at: datetime
) -> None:
    """Set all that a contact has, as a merge and its undo do; the caller holds the row (`held`)."""
    _write(tx, id_, rows.storable(fields), origins, addresses, at)


def lock(tx: Tx, ids: Collection[ContactId]) -> dict[ContactId, Held]:
    """`held`, and nobody else changes these contacts until the transaction ends."""
    found: dict[ContactId, Held] = {}
    for chunk in rows.chunks(sorted(ids)):
        found.update((row[0], rows.held_of(row)) for row in tx.run(_LOCK, ids=chunk))
    return found


def _replace_addresses(tx: Tx, id_: ContactId, new: Sequence[Address]) -> None:
    if rows.addresses(tx, [id_]).get(id_, ()) == tuple(new):
        return
    tx.run(_NO_ADDRESSES, this=id_)
    tx.insert_many(schema.address, rows.ADDRESS_COLUMNS, rows.address_rows(tx, id_, new))


def mark_deleted(tx: Tx, id_: ContactId, at: datetime) -> None:
    """Take a contact out of every list; it can be restored."""
    _mark(tx, id_, at, deleted_at=to_ms(at))


def mark_restored(tx: Tx, id_: ContactId, at: datetime) -> None:
    """Undo `mark_deleted`."""
    _mark(tx, id_, at, deleted_at=None)


def mark_merged(tx: Tx, id_: ContactId, survivor: ContactId, at: datetime) -> None:
    """Say that a contact was absorbed by another one; it is kept for an undo."""
    _mark(tx, id_, at, merged_into=survivor)


def unmark_merged(tx: Tx, id_: ContactId, at: datetime) -> None:
    """Undo `mark_merged`."""
    _mark(tx, id_, at, merged_into=None)


def _mark(tx: Tx, id_: ContactId, at: datetime, **values: int | None) -> None:
    change = sa.update(schema.contact).where(_c.workspace_id == tx.workspace, _c.id == id_)
    done = tx.execute(change.values(**values, version=_c.version + 1, updated_at=to_ms(at)))
    if done.rowcount != 1:
        raise NotFound("There is no such contact.")


def erase(tx: Tx, id_: ContactId) -> None:
    """Remove a contact and its addresses for good. Other tables are their own modules' business."""
    tx.execute(sa.delete(schema.address).where(_a.workspace_id == tx.workspace, _a.contact_id == id_))
    tx.execute(sa.delete(schema.contact).where(_c.workspace_id == tx.workspace, _c.id == id_))


def survivor_of(tx: Tx, id_: ContactId) -> ContactId | None:
    """The contact that one was absorbed by, at the end of the chain; None when it was not, or does not exist."""
    last: ContactId | None = None
    seen = {id_}
    while True:
        query = sa.select(_c.merged_into).where(_c.workspace_id == tx.workspace, _c.id == (last or id_))
        into = tx.execute(query).scalar()
        if into is None or into in seen:
            return last
        last = into
        seen.add(into)


def holders(tx: Tx, kind: str, normals: Collection[str]) -> dict[str, list[ContactId]]:
    """The live contacts of each address in normal form, ascending; an address that nobody has is left out."""
    found: dict[str, list[ContactId]] = {}
    for chunk in rows.chunks(dict.fromkeys(normals)):
        for normal, id_ in tx.run(_HOLDERS, kind=kind, normals=chunk):
            found.setdefault(normal, []).append(id_)
    return found


def created_by(tx: Tx, run: RunId, *, after: ContactId, limit: int) -> list[Held]:
    """The contacts that a run made, deleted ones too: the next ones after an id."""
    made = (_c.workspace_id == tx.workspace, _c.created_run == run, _c.id > after)
    query = sa.select(*rows.HELD_COLUMNS).where(*made).order_by(_c.id).limit(limit)
    return [rows.held_of(row) for row in tx.execute(query)]


def each(tx: Tx, batch: int = 1000) -> Iterator[list[Held]]:
    """Every live contact, in order of id."""
    last = 0
    alive = (_c.workspace_id == tx.workspace, _c.deleted_at.is_(None), _c.merged_into.is_(None))
    while found := tx.execute(
        sa.select(*rows.HELD_COLUMNS).where(*alive, _c.id > last).order_by(_c.id).limit(batch)
    ).all():
        yield [rows.held_of(row) for row in found]
        last = found[-1][0]
