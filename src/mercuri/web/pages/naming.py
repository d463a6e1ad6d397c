"""The names of contacts that other rows speak of, for links to them."""

from __future__ import annotations

from collections.abc import Collection

from mercuri.core.contact import ContactId
from mercuri.store import contacts
from mercuri.store.database import Tx


def contact_names(tx: Tx, ids: Collection[ContactId]) -> dict[ContactId, str]:
    """First and last name, or else the e-mail; empty where there is neither."""
    return {
        id_: " ".join(filter(None, (held.fields["first_name"], held.fields["last_name"]))) or held.fields["email"]
        for id_, held in contacts.held(tx, ids).items()
    }
