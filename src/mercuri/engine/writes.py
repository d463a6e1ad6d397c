"""How a person's change to contacts is stored: value, origin, addresses, log, hooks and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mercuri.core.contact import STANDARD, Address, ContactId, Origin
from mercuri.core.normalise import blank, clean_text
from mercuri.core.settings import MappingItem
from mercuri.engine import consent, fields, regrouping
from mercuri.engine.csv_files import CELL, CUSTOM_FIELD
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import changes, contact_rows, contacts, outbox, portals, workspaces
from mercuri.store.changes import WHOLE, Change
from mercuri.store.contact_rows import Held, NewContact
from mercuri.store.database import Tx


@dataclass(frozen=True, slots=True)
class Rules:
    """What tells addresses from other values: the workspace's region, and which mapped fields hold phone numbers."""

    region: str
    mapping: tuple[MappingItem, ...]


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something, by what way (an origin's kind: user, api or import), when and why."""

    actor: str
    kind: str
    at: datetime
    reason: str

    @property
    def origin(self) -> Origin:
        """The origin of a value set now."""
        return Origin(self.kind, self.actor, self.at)


def rules_of(tx: Tx) -> Rules:
    """The rules of the workspace."""
    mapping = tuple(item for portal in portals.all(tx) for item in portal.settings.mapping)
    return Rules(workspaces.settings(tx).default_region, mapping)


def checked_fields(values: Mapping[str, str]) -> dict[str, str]:
    """Values that may be stored, as typed but for what no database holds. Raises UserError for an unknown field."""
    for name, value in values.items():
        if name not in STANDARD and not CUSTOM_FIELD.fullmatch(name):
            raise UserError(
                f"There is no field {name!r}: use {', '.join(STANDARD)} or custom.<name>. Nothing was saved."
            )
        if len(value) > CELL:
            raise UserError(f"{name} is longer than {CELL:,} characters. Nothing was saved.")
    return {name: "" if blank(value) else clean_text(value) for name, value in values.items()}


def new_contact(values: Mapping[str, str], by: By, rules: Rules) -> NewContact:
    """A contact to be, with its addresses."""
    filled = {name: value for name, value in values.items() if value}
    found = fields.addresses(filled, fields.phone_fields(rules.mapping), rules.region)
    return NewContact(filled, by.origin, found, by.at)


def insert(tx: Tx, new: Sequence[NewContact], by: By) -> list[ContactId]:
    """Store new contacts, with log, hooks and outbox."""
    ids = contacts.insert_many(tx, new)
    log = [
        _change(id_, name, "", value, by)
        for id_, item in zip(ids, new, strict=True)
        for name, value in {WHOLE: "created", **item.fields}.items()
    ]
    changes.add_many(tx, log)
    regrouping.contacts_made(tx, dict(zip(ids, new, strict=True)), by.at)
    consent.contacts_changed(tx, ids, by.at)
    outbox.note_contacts(tx, ids, by.at)
    return ids


def change(tx: Tx, now: Held, values: Mapping[str, str], by: By, rules: Rules) -> Held:
    """Give fields of a locked contact new values; what has its value already is left alone."""
    taken = {name: value for name, value in values.items() if now.fields.get(name, "") != value}
    found = addresses_after(tx, now, taken, rules)
    after, _ = contacts.change_fields(tx, now.id, taken, by.origin, found)
    log = [_change(now.id, name, now.fields.get(name, ""), value, by) for name, value in taken.items()]
    if log:
        changes.add_many(tx, log)
        after_change(tx, [now.id], by.at)
    return after


def addresses_after(
    tx: Tx, now: Held, values: Mapping[str, str], rules: Rules, properties: Mapping[str, str] | None = None
) -> list[Address]:
    """The addresses of a contact whose fields change; those that came from elsewhere (a record, a merge) stay.

    The record's `properties`, where given, say anew which further e-mails it has.
    """
    phones = fields.phone_fields(rules.mapping)
    own = {"phone", "email", *phones, *(("more_emails",) if properties is not None else ())}
    mine = list(fields.addresses({**now.fields, **values}, phones, rules.region, properties))
    known = {(a.kind, a.normal or a.raw, a.extension) for a in mine}
    for address in contact_rows.addresses(tx, [now.id]).get(now.id, ()):
        if address.label not in own and (address.kind, address.normal or address.raw, address.extension) not in known:
            has_primary = any(a.primary for a in mine if a.kind == address.kind)
            mine.append(address._replace(primary=address.normal is not None and not has_primary))
    return mine


def note_whole(tx: Tx, id_: ContactId, before: str, after: str, by: By) -> None:
    """Log what happened to a contact as a whole, then hooks and outbox."""
    changes.add_many(tx, [_change(id_, WHOLE, before, after, by)])
    after_change(tx, [id_], by.at)


def after_change(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """What follows every change of contacts, in its transaction: duplicates, consent, and word to HubSpot's side."""
    regrouping.contacts_changed(tx, ids, at)
    consent.contacts_changed(tx, ids, at)
    outbox.note_contacts(tx, ids, at)


def present(tx: Tx, id_: ContactId) -> Held:
    """A contact that can be changed, and that nobody else changes until the transaction ends.

    Raises NotFound, and Clash when it is deleted or was merged away.
    """
    held = contacts.lock(tx, [id_]).get(id_)
    if held is None:
        raise NotFound("There is no such contact.")
    if held.merged_into is not None:
        raise Clash(f"Contact {id_} was merged into {contacts.survivor_of(tx, id_)}. Nothing was changed.")
    if held.deleted_at is not None:
        raise Clash(f"Contact {id_} was deleted. Nothing was changed; restore it first.")
    return held


def _change(id_: ContactId, field: str, before: str, after: str, by: By) -> Change:
    return Change(id_, field, "mercuri", before, after, by.actor, by.reason, by.at)
