"""Merge contacts into one that remains, with a journal from which the merge can be taken back.

A merge changes no address's consent: addresses move to the survivor, what was said about them stays with them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mercuri.core.contact import Address, Contact, ContactId, Origin, PortalId, RecordId, WorkspaceId
from mercuri.core.match import LARGE_SIZE
from mercuri.core.survivor import Choice, choose_fields, choose_survivor
from mercuri.engine import consent, grouping, merge_records, regrouping, writes
from mercuri.engine.app import Actor, App, require
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import (
    changes,
    contact_rows,
    contacts,
    duplicates,
    groups,
    match_keys,
    merges,
    outbox,
    portals,
    shown,
    users,
)
from mercuri.store.changes import WHOLE, Change
from mercuri.store.contact_rows import Held
from mercuri.store.database import Tx
from mercuri.store.hubspot_merges import HubSpotMerge
from mercuri.store.match_keys import Apart
from mercuri.store.merges import Merge
from mercuri.store.times import to_ms

#: The label of an address that came with a merge.
MERGED = "merged"


@dataclass(frozen=True, slots=True)
class MergeDone:
    """A merge that was made, and the contact that remains."""

    merge: Merge
    survivor: Contact


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a merge of these contacts would keep, by default."""

    survivor: ContactId
    rule: str
    fields: Mapping[str, Choice]


def propose(people: Sequence[Contact], survivor: int | None = None) -> Proposal:
    """The survivor and the value of each field, each with its rule."""
    members = [grouping.as_member(contact) for contact in people]
    chosen, rule = choose_survivor(members)
    if survivor is not None and survivor != chosen:
        chosen, rule = survivor, "your choice"
    return Proposal(ContactId(chosen), rule, choose_fields(members, chosen))


def merge(
    app: App,
    ws: WorkspaceId,
    group: int | Sequence[int],
    actor: Actor,
    *,
    survivor_id: int | None = None,
    fields: Mapping[str, int] | None = None,
    seen: Collection[int] | None = None,
    override: bool = False,
) -> MergeDone:
    """Merge a group, by its id, or some contacts, into one of them.

    `fields` names the contact whose value a field takes; `seen` are the members that the person saw. Raises Clash with
    the present group when it is another one by now; UserError for members told apart (without `override`), a survivor
    or a value from elsewhere, more than fifty members; NotFound.
    """
    require(actor, "manager")
    with app.db.write(ws) as tx:
        ids = _members(tx, group, seen)
        done = merge_now(tx, ids, actor, app.now(), survivor_id=survivor_id, fields=fields, override=override)
    app.wake()
    return done


def _members(tx: Tx, group: int | Sequence[int], seen: Collection[int] | None) -> list[int]:
    if not isinstance(group, int):
        return list(dict.fromkeys(group))
    found = duplicates.members(tx, [group])[group]
    if not found or (seen is not None and set(seen) != set(found)):
        known = match_keys.contact_ids(seen or [group])
        if not found and not shown.many(tx, known):
            raise NotFound("There is no such group of duplicates.")
        present = _present_group(tx, found or list(known))
        raise Clash("This group is not as it was shown: it changed meanwhile. Nothing was merged; look again.", present)
    return found


def _present_group(tx: Tx, ids: Collection[int]) -> grouping.GroupView | None:
    for id_ in ids:
        group = duplicates.group_of(tx, id_)
        if group is not None:
            return grouping.view(tx, group)
    return None


def merge_now(
    tx: Tx,
    ids: Sequence[int],
    actor: Actor,
    at: datetime,
    *,
    survivor_id: int | None = None,
    fields: Mapping[str, int] | None = None,
    override: bool = False,
    batch: int | None = None,
) -> MergeDone:
    """`merge`, inside a transaction. Everything is checked before the first row is written."""
    held = _checked(tx, ids, survivor_id, fields or {}, override)
    made = _make(tx, held, ids, actor, at, survivor_id=survivor_id, fields=fields, batch=batch)
    return MergeDone(made, shown.get(tx, made.survivor))


def _make(
    tx: Tx,
    held: Mapping[ContactId, Held],
    ids: Sequence[int],
    actor: Actor,
    at: datetime,
    *,
    survivor_id: int | None = None,
    fields: Mapping[str, int] | None = None,
    batch: int | None = None,
    made_there: Sequence[HubSpotMerge] = (),
) -> Merge:
    people = shown.many(tx, match_keys.contact_ids(ids))
    plan = propose(people, survivor_id)
    choices = choose_fields([grouping.as_member(c) for c in people], plan.survivor, fields)
    absorbed = [ContactId(id_) for id_ in ids if id_ != plan.survivor]
    journal = _journal(plan, choices, people, held[plan.survivor], actor)
    journal["links"], hubspot = merge_records.move_links(tx, plan.survivor, absorbed, at)
    hubspot += [one for one in made_there if one.portal not in {wanted.portal for wanted in hubspot}]
    journal |= _move_apart(tx, plan.survivor, absorbed)
    journal["survivor"] |= _move_values(tx, held[plan.survivor], choices, absorbed, actor, at)
    for id_ in absorbed:
        contacts.mark_merged(tx, id_, plan.survivor, at)
    made = merges.add(tx, plan.survivor, absorbed, journal, actor.name, at, batch=batch, hubspot=hubspot)
    _log(tx, made, held[plan.survivor], choices, actor, at)
    tell(tx, [plan.survivor, *absorbed], at)
    return made


def tell(tx: Tx, ids: Sequence[ContactId], at: datetime) -> None:
    """What follows a merge or its undo: keys and groups, consent shown, word to HubSpot's side."""
    regrouping.contacts_changed(tx, ids, at)
    # Also those whose keys stayed: who was told apart from whom may have changed.
    groups.keys_changed(tx, {}, at, also=ids)
    consent.contacts_changed(tx, ids, at)
    outbox.note_contacts(tx, ids, at)


def merged_remotely(
    tx: Tx, portal: PortalId, record: RecordId, survivor: ContactId, absorbed: Sequence[ContactId], at: datetime
) -> Merge | None:
    """Merge here what somebody merged into a record in HubSpot; None where nobody is left to be merged.

    The person decided there: pairs told apart here are no obstacle. What was deleted here stays deleted. Records of
    theirs in other portals are merged as after any merge here.
    """
    held = contacts.lock(tx, [survivor, *absorbed])
    alive = [id_ for id_ in (survivor, *absorbed) if id_ in held and _is_alive(held[id_])]
    if survivor not in alive or len(alive) < 2 or len(alive) > LARGE_SIZE:
        return None
    done = HubSpotMerge(portal, record, (), "done", note="The merge was made in HubSpot.")
    return _make(tx, held, alive, Actor(f"HubSpot {portal}", "owner"), at, survivor_id=survivor, made_there=[done])


def _is_alive(held: Held) -> bool:
    return held.deleted_at is None and held.merged_into is None


# --- may it be done ------------------------------------------------------------------------------------------------


def _checked(
    tx: Tx, ids: Sequence[int], survivor: int | None, fields: Mapping[str, int], override: bool
) -> dict[ContactId, Held]:
    own = set(ids)
    if len(own) < 2:
        raise UserError("A merge needs at least two contacts. Nothing was merged.")
    if len(own) > LARGE_SIZE:
        raise UserError(
            f"{len(own):,} contacts are too many to merge at once (at most {LARGE_SIZE}). Nothing was merged; look at "
            "the values that join them, or merge some of them."
        )
    if survivor is not None and survivor not in own:
        raise UserError("The contact that should remain is not one of the group. Nothing was merged.")
    if strangers := {id_ for id_ in fields.values() if id_ not in own}:
        raise UserError(f"Contact {min(strangers)} gives a value but is not one of the group. Nothing was merged.")
    held = contacts.lock(tx, match_keys.contact_ids(ids))
    _check_alive(tx, own, held)
    if not override and (apart := grouping.different_pairs(tx, ids)):
        a, b = min(apart)
        raise UserError(
            f"Contacts {a} and {b} were marked different. Nothing was merged; an override merges them all the same."
        )
    _check_no_write_under_way(tx, match_keys.contact_ids(ids))
    return held


def _check_alive(tx: Tx, ids: Collection[int], held: Mapping[ContactId, Held]) -> None:
    for id_ in sorted(ids):
        one = held.get(ContactId(id_))
        if one is None:
            raise NotFound(f"There is no contact {id_}. Nothing was merged.")
        if one.deleted_at is not None:
            raise Clash(f"Contact {id_} was deleted meanwhile. Nothing was merged.", _present_group(tx, ids))
        if one.merged_into is not None:
            into = contacts.survivor_of(tx, one.id)
            raise Clash(f"Contact {id_} was merged into {into} meanwhile. Nothing was merged.", _present_group(tx, ids))


def _check_no_write_under_way(tx: Tx, ids: Sequence[ContactId]) -> None:
    """A write to HubSpot whose outcome is not known yet must find the contact that it was sent for."""
    for portal in portals.all(tx):
        if outbox.open_for(tx, portal.id, ids):
            raise Clash(
                "A sync is just writing one of these contacts to HubSpot. Nothing was merged; try again in a moment."
            )


# --- what moves ---------------------------------------------------------------------------------------------------


def _journal(
    plan: Proposal, choices: Mapping[str, Choice], people: Sequence[Contact], survivor: Held, actor: Actor
) -> dict[str, Any]:
    return {
        "survivor": {"before": dict(survivor.fields), "origins": origins_out(survivor.origins)},
        "rule": plan.rule,
        "choices": {name: [choice.value, choice.from_contact, choice.rule] for name, choice in choices.items()},
        "consent": {
            str(contact.id): [[line.channel, line.address, line.state] for line in contact.consent]
            for contact in people
        },
    }


def _move_apart(tx: Tx, survivor: ContactId, absorbed: Sequence[ContactId]) -> dict[str, Any]:
    """Who was told apart from an absorbed contact is told apart from the survivor."""
    before = set(match_keys.apart_among(tx, absorbed))
    if not before:
        return {"apart": [], "apart_added": []}
    gone = set(absorbed)
    standing = set(match_keys.apart_among(tx, [survivor]))
    moved = [_renamed(item, gone, survivor) for item in sorted(before, key=_apart_order)]
    keys = {(item.a, item.b, item.key) for item in standing}
    added = [item for item in moved if item is not None and (item.a, item.b, item.key) not in keys]
    match_keys.forget_apart(tx, before)
    match_keys.add_apart(tx, added)
    return {"apart": [apart_out(item) for item in before], "apart_added": [apart_out(item) for item in added]}


def _apart_order(item: Apart) -> tuple[datetime, int, int]:
    return item.at, item.a, item.b


def _renamed(item: Apart, gone: Collection[int], survivor: int) -> Apart | None:
    a, b = (survivor if id_ in gone else id_ for id_ in (item.a, item.b))
    return None if a == b else replace(item, a=min(a, b), b=max(a, b))


def _move_values(
    tx: Tx,
    survivor: Held,
    choices: Mapping[str, Choice],
    absorbed: Sequence[ContactId],
    actor: Actor,
    at: datetime,
) -> dict[str, Any]:
    """The survivor's fields by the choices, and the addresses of all; what the journal needs to take it back."""
    taken = {name: choice.value for name, choice in choices.items() if choice.value != survivor.fields.get(name, "")}
    after = {**survivor.fields, **taken}
    origins = {**survivor.origins, **dict.fromkeys(taken, Origin("merge", actor.name, at))}
    known = contact_rows.addresses(tx, [survivor.id, *absorbed])
    own = known.get(survivor.id, ())
    mine = writes.addresses_after(tx, survivor, taken, writes.rules_of(tx))
    united = _united(mine, [*own, *(address for id_ in absorbed for address in known.get(id_, ()))])
    contacts.overwrite(tx, survivor.id, after, origins, united, at)
    return {
        "after": after,
        "addresses": [address_out(address) for address in own],
        "addresses_after": [address_out(address) for address in united],
    }


def _united(mine: Sequence[Address], others: Sequence[Address]) -> list[Address]:
    united = list(mine)
    seen = {_form(address) for address in united}
    for address in others:
        if _form(address) not in seen:
            seen.add(_form(address))
            first = address.normal is not None and not any(a.primary for a in united if a.kind == address.kind)
            united.append(address._replace(label=MERGED, primary=first))
    return united


def _form(address: Address) -> tuple[str, str, str]:
    return address.kind, address.normal or address.raw, address.extension


def _log(tx: Tx, made: Merge, before: Held, choices: Mapping[str, Choice], actor: Actor, at: datetime) -> None:
    survivor, named = made.survivor, ", ".join(map(str, made.absorbed))
    log = [Change(survivor, WHOLE, "mercuri", "", f"merged with {named}", actor.name, "merge", at)]
    log += [
        Change(survivor, name, "mercuri", before.fields.get(name, ""), choice.value, actor.name, choice.rule, at)
        for name, choice in choices.items()
        if choice.value != before.fields.get(name, "")
    ]
    log += [
        Change(id_, WHOLE, "mercuri", "", f"merged into {survivor}", actor.name, "merge", at) for id_ in made.absorbed
    ]
    changes.add_many(tx, log)
    users.note_audit(
        tx,
        actor.name,
        "contact.merged",
        {"merge": made.id, "survivor": survivor, "absorbed": list(made.absorbed)},
        at,
    )


# --- how the journal writes things --------------------------------------------------------------------------------


def origins_out(origins: Mapping[str, Origin]) -> dict[str, list[Any]]:
    """Origins as plain data."""
    return {name: [origin.kind, origin.by, to_ms(origin.at), origin.run] for name, origin in origins.items()}


def address_out(address: Address) -> list[Any]:
    """An address as plain data."""
    return [
        address.kind,
        address.raw,
        address.normal,
        address.label,
        address.primary,
        address.problem,
        address.extension,
    ]


def apart_out(item: Apart) -> list[Any]:
    """A pair told apart as plain data."""
    return [item.a, item.b, item.key.kind.value, item.key.value, item.by, to_ms(item.at)]
