"""What rows need to speak of contacts and their fields: names for links, kinds for values."""

from __future__ import annotations

from collections.abc import Collection

from mercuri.core.contact import ContactId
from mercuri.core.mapping import kind_of
from mercuri.store import contacts, portals
from mercuri.store.database import Tx


def contact_names(tx: Tx, ids: Collection[ContactId]) -> dict[ContactId, str]:
    """First and last name, or else the e-mail; empty where there is neither."""
    return {
        id_: " ".join(filter(None, (held.fields["first_name"], held.fields["last_name"]))) or held.fields["email"]
        for id_, held in contacts.held(tx, ids).items()
    }


def field_kinds(tx: Tx) -> dict[str, str]:
    """What kind of value each mapped field holds, such as a date, by the type of its property."""
    return {item.field: kind_of(item) for portal in portals.all(tx) for item in portal.settings.mapping}
