"""Settle an open conflict as a person chose: write the value on the other side, and remember it as settled."""

from __future__ import annotations

from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.core.diff import Act, Base, settle_choice
from mercuri.core.settings import MappingItem
from mercuri.engine.app import Actor, App, require
from mercuri.engine.writes import By, change, checked_fields, note_whole, present, rules_of
from mercuri.errors import Clash, UserError
from mercuri.store import conflicts, contacts, links, outbox, portals
from mercuri.store.changes import WHOLE
from mercuri.store.conflicts import Conflict
from mercuri.store.database import Tx
from mercuri.store.links import Link

SIDES = ("hubspot", "mercuri", "other")


def resolve_conflict(
    app: App, ws: WorkspaceId, id_: int, take: str, actor: Actor, value: str | None = None
) -> Conflict:
    """Take HubSpot's value, Mercuri's, or (`other`) the given one. HubSpot hears of it with the next run.

    Raises Clash when the conflict is no longer open, NotFound.
    """
    require(actor, "manager")
    if take not in SIDES:
        raise UserError(f"Take one of {', '.join(SIDES)}, not {take!r}. Nothing was changed.")
    if (take == "other") != (value is not None):
        raise UserError("A value of one's own goes with `other`, and only with it. Nothing was changed.")
    by = By(actor.name, "user", app.now(), "chosen in a conflict")
    with app.db.write(ws) as tx:
        conflict = conflicts.get(tx, id_)
        if not conflicts.resolve(tx, id_, take, actor.name, by.at):
            raise Clash("This conflict is settled already. Nothing was changed.")
        _settle(tx, conflict, take, value, by)
        settled = conflicts.get(tx, id_)
    app.wake()
    return settled


def _settle(tx: Tx, conflict: Conflict, take: str, value: str | None, by: By) -> None:
    now = present(tx, conflict.contact_id)
    if conflict.field == WHOLE:
        _settle_deletion(tx, conflict, take, by)
        return
    link = links.of_records(tx, conflict.portal_id, [conflict.record_id], lock=True).get(conflict.record_id)
    item = _mapped(tx, conflict)
    if link is None or item is None:
        raise UserError("This field is no longer mapped, or the record no longer linked. Nothing was changed.")
    remote = link.shadow.get(item.property, conflict.remote)
    if value is not None:
        chosen = checked_fields({conflict.field: value})[conflict.field]
        now = change(tx, now, {conflict.field: chosen}, by, rules_of(tx))
    local = now.fields.get(conflict.field, "")
    decision = settle_choice(local, remote, take_remote=take == "hubspot", direction=item.direction)
    if decision.act is Act.TAKE:
        change(tx, now, {conflict.field: decision.value}, by, rules_of(tx))
    # A value that is to be sent differs from a base that holds HubSpot's on both halves: the next run finds an edit
    # made here, and none there.
    _move_base(tx, conflict, link, decision.base or Base(remote, remote, "resolved"))
    outbox.note_contact(tx, ContactId(conflict.contact_id), by.at)


def _settle_deletion(tx: Tx, conflict: Conflict, take: str, by: By) -> None:
    """HubSpot deleted the record: the contact follows it, or stays here, without a record."""
    if take == "other":
        raise UserError("A deletion is taken over (hubspot) or not (mercuri). Nothing was changed.")
    if take == "hubspot":
        contacts.mark_deleted(tx, conflict.contact_id, by.at)
        note_whole(tx, conflict.contact_id, "live", "deleted", by)


def _mapped(tx: Tx, conflict: Conflict) -> MappingItem | None:
    mapping = portals.get(tx, conflict.portal_id).settings.mapping
    return next((item for item in mapping if item.field == conflict.field), None)


def _move_base(tx: Tx, conflict: Conflict, link: Link, base: Base) -> None:
    links.save_many(tx, conflict.portal_id, [link.moved({conflict.field: base})])
