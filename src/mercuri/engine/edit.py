"""What people do to contacts: create, change, delete, restore, settle a conflict, try a failure again.

Every use case is one transaction, logged with who did it, and tells duplicates, consent and the outbox.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from mercuri.core.contact import Contact, ContactId, RecordId, WorkspaceId
from mercuri.engine import optouts, unreadable
from mercuri.engine.app import Actor, App, require
from mercuri.engine.csv_export import export_csv as export_csv
from mercuri.engine.csv_import import ImportReport as ImportReport
from mercuri.engine.csv_import import import_csv as import_csv
from mercuri.engine.erasure import erase_contact as erase_contact
from mercuri.engine.resolve import resolve_conflict as resolve_conflict
from mercuri.engine.writes import By, change, checked_fields, insert, new_contact, note_whole, present, rules_of
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import contacts, failures, links, outbox, portals, shown
from mercuri.store.database import Tx


def create_contact(
    app: App, ws: WorkspaceId, fields: Mapping[str, str], actor: Actor, *, kind: str = "user"
) -> Contact:
    """Create a contact; at least one value must be filled. `kind` is the origin of its values: user or api."""
    require(actor, "manager")
    values = checked_fields(fields)
    if not any(values.values()):
        raise UserError("A contact needs at least one value. Nothing was created.")
    by = By(actor.name, kind, app.now(), "created")
    with app.db.write(ws) as tx:
        (made,) = insert(tx, [new_contact(values, by, rules_of(tx))], by)
        contact = shown.get(tx, made)
    app.wake()
    return contact


def update_contact(
    app: App,
    ws: WorkspaceId,
    id_: ContactId,
    changes: Mapping[str, str],
    actor: Actor,
    *,
    version: int | None = None,
    kind: str = "user",
) -> Contact:
    """Set the fields given; "" clears one. With `version`, only while it is still the contact's.

    Raises Clash with the present contact, NotFound.
    """
    require(actor, "manager")
    values = checked_fields(changes)
    by = By(actor.name, kind, app.now(), "edited")
    with app.db.write(ws) as tx:
        now = _at_version(tx, id_, version)
        change(tx, now, values, by, rules_of(tx))
        contact = shown.get(tx, id_)
    app.wake()
    return contact


def delete_contact(app: App, ws: WorkspaceId, id_: ContactId, actor: Actor, *, version: int | None = None) -> None:
    """Take a contact out of every list; it can be restored, and no sync brings the person back.

    What happens to its HubSpot record is the portal's setting `deletions`, applied by the next run.
    """
    require(actor, "manager")
    at = app.now()
    with app.db.write(ws) as tx:
        _at_version(tx, id_, version)
        contacts.mark_deleted(tx, id_, at)
        note_whole(tx, id_, "live", "deleted", By(actor.name, "user", at, "deleted"))
    app.wake()


def restore_contact(app: App, ws: WorkspaceId, id_: ContactId, actor: Actor) -> Contact:
    """Bring a deleted contact back, with its link and all. Raises Clash when it is not deleted."""
    require(actor, "manager")
    at = app.now()
    with app.db.write(ws) as tx:
        held = contacts.lock(tx, [id_]).get(id_)
        if held is None:
            raise NotFound("There is no such contact.")
        if held.deleted_at is None:
            raise Clash("This contact is not deleted. Nothing was changed.", shown.get(tx, id_))
        contacts.mark_restored(tx, id_, at)
        note_whole(tx, id_, "deleted", "live", By(actor.name, "user", at, "restored"))
        # A look at the record wakes the same link, although nothing changed there.
        for portal, link in links.all_of_contacts(tx, [id_]):
            outbox.note_look(tx, portal, link.record_id, at)
        contact = shown.get(tx, id_)
    app.wake()
    return contact


def retry_failures(app: App, ws: WorkspaceId, ids: Collection[int] | None, actor: Actor) -> int:
    """Let failing things be tried with the next run: these, or all of the workspace. Returns how many."""
    require(actor, "manager")
    at = app.now()
    with app.db.write(ws) as tx:
        failing = failures.by_ids(tx, ids) if ids is not None else failures.recent(tx, limit=100_000)
        _read_again(tx, failing, at)
        for item in failing:
            if item.key.startswith(unreadable.PREFIX):
                continue  # it waits for another value or another mapping
            failures.put(tx, replace(item, next_at=at))
            if item.record_id is not None:
                outbox.note_look(tx, item.portal_id, RecordId(item.record_id), at)
            optouts.retry(tx, item.portal_id, item.key, at)
        touched = [item.contact_id for item in failing if item.contact_id is not None]
        outbox.note_contacts(tx, touched, at)
        outbox.retry_now(tx, touched)
    app.wake()
    return len(failing)


def _read_again(tx: Tx, failing: Collection[failures.Failure], at: datetime) -> None:
    for portal in portals.all(tx):
        mine = [one for one in failing if one.portal_id == portal.id and one.key.startswith(unreadable.PREFIX)]
        unreadable.read_again(tx, portal, mine, at)


def _at_version(tx: Tx, id_: ContactId, version: int | None) -> contacts.Held:
    now = present(tx, id_)
    if version is not None and version != now.version:
        raise Clash("Someone changed this contact meanwhile. Nothing was saved.", shown.get(tx, id_))
    return now
