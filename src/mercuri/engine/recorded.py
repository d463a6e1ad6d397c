"""Which addresses a record of HubSpot holds itself, by its mapped properties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mercuri.core.contact import Address
from mercuri.core.mapping import kind_of
from mercuri.core.normalise import Phone, normalise_email, phones_in
from mercuri.core.settings import MappingItem
from mercuri.engine.fields import ADDITIONAL_EMAILS, PHONES


def properties_of_kind(mapping: Iterable[MappingItem], kind: str) -> tuple[str, ...]:
    """The mapped properties that hold addresses of a kind, phone or email."""
    names = [
        item.property for item in mapping if kind_of(item) == kind or (kind == "phone" and item.property in PHONES)
    ]
    return (*names, ADDITIONAL_EMAILS) if kind == "email" else tuple(names)


def own_addresses(values: Iterable[str], held: Sequence[Address], kind: str, region: str) -> set[str]:
    """The normal addresses in a record's values. `held` are the contact's: mostly the same, they save work."""
    known: dict[str, set[str]] = {}
    for address in held:
        normals = known.setdefault(address.raw.strip(), set())
        if address.normal:
            normals.add(address.normal)
    found: set[str] = set()
    for value in values:
        text = value.strip()
        if not text:
            continue
        if text in known:
            found |= known[text]
        elif kind == "phone":
            found |= {phone.e164 for phone in phones_in(text, region) if isinstance(phone, Phone)}
        else:
            emails = [normalise_email(part) for part in text.split(";") if part.strip()]
            found |= {email for email in emails if isinstance(email, str)}
    return found
