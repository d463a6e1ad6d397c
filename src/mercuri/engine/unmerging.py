"""Take a merge back: a three-way comparison of what was, what the merge made, and what stands now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mercuri.core.contact import Address, Contact, ContactId, LinkState, Origin, PortalId, RecordId, RunId, WorkspaceId
from mercuri.core.match import KeyKind, MatchKey
from mercuri.core.survivor import Unmerge, unmerge_fields
from mercuri.engine import follow, hubspot_merging, merging
from mercuri.engine.app import Actor, App, require
from mercuri.errors import Clash, UserError
from mercuri.store import changes, conflicts, contact_rows, contacts, links, match_keys, merges, outbox, shown, users
from mercuri.store.changes import WHOLE, Change
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.match_keys import Apart
from mercuri.store.merges import Merge
from mercuri.store.times import from_ms, maybe_moment


@dataclass(frozen=True, slots=True)
class Unmerged:
    """A merge that was taken back; `kept` are the fields that somebody edited since, which stay as they are."""

    merge: Merge
    kept: Mapping[str, str]
    contacts: tuple[Contact, ...]


def undo_merge(app: App, ws: WorkspaceId, merge_id: int, actor: Actor, *, confirm: bool = False) -> Unmerged:
    """Take a merge back. Raises Clash with the reason when it is not the newest one of its contacts.

    Once the records were merged in HubSpot, `confirm` is needed: the contacts that come back are new records there,
    without their history and lists.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        done = undo_now(tx, merges.get(tx, merge_id, lock=True), actor, app.now(), confirm=confirm)
    app.wake()
    return done


def undo_now(tx: Tx, merge: Merge, actor: Actor, at: datetime, *, confirm: bool = False) -> Unmerged:
    """`undo_merge`, inside a transaction. Everything is checked before the first row is written."""
    held = _checked(tx, merge, confirm)
    survivor = held[merge.survivor]
    journal = merge.journal["survivor"]
    back = unmerge_fields(journal["before"], journal["after"], survivor.fields)
    _put_values_back(tx, survivor, journal, back, at)
    _put_links_back(tx, merge, at)
    _put_apart_back(tx, merge)
    for id_ in merge.absorbed:
        contacts.unmark_merged(tx, id_, at)
    merges.set_undone(tx, merge.id, at)
    _log(tx, merge, survivor, back, actor, at)
    ids = [merge.survivor, *merge.absorbed]
    merging.tell(tx, ids, at)
    return Unmerged(merges.get(tx, merge.id), back.kept, tuple(shown.many(tx, ids)))


def _checked(tx: Tx, merge: Merge, confirm: bool) -> dict[ContactId, Held]:
    if merge.undone_at is not None:
        raise Clash("This merge was taken back already. Nothing was changed.")
    if not merge.journal:
        raise UserError("One of its people was erased: this merge cannot be taken back. Nothing was changed.")
    later = merges.later(tx, merge)
    if later is not None:
        raise Clash(
            f"Merge {later.id} came after this one and holds the same contact. Nothing was undone; undo that first."
        )
    ids = [merge.survivor, *merge.absorbed]
    held = contacts.lock(tx, ids)
    if len(held) < len(ids):
        raise UserError("One of these contacts was erased: this merge cannot be taken back. Nothing was changed.")
    if any(held[id_].merged_into != merge.survivor for id_ in merge.absorbed):
        raise Clash("These contacts are no longer where this merge left them. Nothing was undone.")
    if any(one.state == "done" for one in merge.hubspot) and not confirm:
        raise Clash(
            "HubSpot merged these records for good. Undone here, the contacts that come back become new records there, "
            "without their history and their lists. Nothing was undone; confirm to do it all the same."
        )
    hubspot_merging.cancel_waiting(tx, merge)
    return held


def _put_values_back(tx: Tx, survivor: Held, journal: Mapping[str, Any], back: Unmerge, at: datetime) -> None:
    fields = {**survivor.fields, **back.restore}
    before = {name: _origin_in(values) for name, values in journal["origins"].items()}
    origins = dict(survivor.origins)
    for name in back.restore:
        origins.pop(name, None)
        if name in before:
            origins[name] = before[name]
        if name not in journal["before"]:
            fields.pop(name, None)
    contacts.overwrite(tx, survivor.id, fields, origins, _addresses_back(tx, survivor, journal), at)


def _addresses_back(tx: Tx, survivor: Held, journal: Mapping[str, Any]) -> list[Address]:
    """As they were, when nothing came since; else without those that the merge brought."""
    before, after = ([_address_in(row) for row in journal[name]] for name in ("addresses", "addresses_after"))
    now = list(contact_rows.addresses(tx, [survivor.id]).get(survivor.id, ()))
    if now == after:
        return before
    brought = {_form(address) for address in after} - {_form(address) for address in before}
    kept = [address for address in now if not (_form(address) in brought and address.label == merging.MERGED)]
    mine = {_form(address) for address in kept}
    # A field that went back brings its address back with it.
    lost = [address for address in before if _form(address) not in mine and address.label != merging.MERGED]
    return _with_primaries([*kept, *(address._replace(primary=False) for address in lost)])


def _with_primaries(found: Sequence[Address]) -> list[Address]:
    done: list[Address] = []
    for address in found:
        first = address.normal is not None and not any(
            a.primary for a in [*done, *found] if a.kind == address.kind and a is not address
        )
        done.append(address._replace(primary=True) if first else address)
    return done


def _form(address: Address) -> tuple[str, str, str]:
    return address.kind, address.normal or address.raw, address.extension


def _put_links_back(tx: Tx, merge: Merge, at: datetime) -> None:
    """Records return to their owners, unless HubSpot merged them or somebody linked them anew."""
    involved = {merge.survivor, *merge.absorbed}
    for portal, record, owner, state, excluded, archived in merge.journal["links"]:
        known = links.of_records(tx, PortalId(portal), [RecordId(record)], lock=True)
        link = known.get(RecordId(record))
        if link is None or link.contact_id not in involved or link.state is LinkState.MERGED:
            continue
        slept = link.state is LinkState.ASLEEP and link.excluded == follow.MERGED_HERE
        back = replace(link, contact_id=ContactId(owner))
        if slept:
            back = replace(back, state=LinkState(state), excluded=excluded, archived_at=maybe_moment(archived))
        links.save_many(tx, PortalId(portal), [back])
        conflicts.follow(tx, PortalId(portal), RecordId(record), ContactId(owner))
        # What HubSpot changed while the record slept has yet to be seen.
        outbox.note_look(tx, PortalId(portal), RecordId(record), at)


def _put_apart_back(tx: Tx, merge: Merge) -> None:
    match_keys.forget_apart(tx, [_apart_in(row) for row in merge.journal["apart_added"]])
    match_keys.add_apart(tx, [_apart_in(row) for row in merge.journal["apart"]])


def _log(tx: Tx, merge: Merge, survivor: Held, back: Unmerge, actor: Actor, at: datetime) -> None:
    log = [Change(merge.survivor, WHOLE, "mercuri", "", f"merge {merge.id} undone", actor.name, "undo", at)]
    log += [
        Change(merge.survivor, name, "mercuri", survivor.fields.get(name, ""), value, actor.name, "undo", at)
        for name, value in back.restore.items()
    ]
    log += [
        Change(id_, WHOLE, "mercuri", f"merged into {merge.survivor}", "", actor.name, "undo", at)
        for id_ in merge.absorbed
    ]
    changes.add_many(tx, log)
    users.note_audit(tx, actor.name, "contact.unmerged", {"merge": merge.id}, at)


def _origin_in(values: Sequence[Any]) -> Origin:
    kind, by, at, run = values
    return Origin(kind, by, from_ms(at), None if run is None else RunId(run))


def _address_in(row: Sequence[Any]) -> Address:
    return Address(*row)


def _apart_in(row: Sequence[Any]) -> Apart:
    a, b, kind, value, by, at = row
    return Apart(a, b, MatchKey(KeyKind(kind), value), by, from_ms(at))
