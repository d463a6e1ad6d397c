"""From fields to addresses and normal forms, with the settings of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from mercuri.core.contact import Address
from mercuri.core.mapping import kind_of
from mercuri.core.normalise import addresses_of, equal_form
from mercuri.core.settings import MappingItem

#: Properties of HubSpot's own that hold phone numbers, though their type is text.
PHONES = frozenset({"mobilephone", "hs_whatsapp_phone_number"})
#: E-mails of a record beside its first, separated by semicolons.
ADDITIONAL_EMAILS = "hs_additional_emails"


def addresses(
    fields: Mapping[str, str], phones: Sequence[str], region: str, properties: Mapping[str, str] | None = None
) -> tuple[Address, ...]:
    """All phone numbers and e-mails of a contact: its fields, and the further e-mails of its record (`properties`).

    `phones` are the further fields that hold a phone number (`phone_fields`).
    """
    more_emails = further_emails(properties or {})
    more_phones = [(name, fields[name]) for name in phones if fields.get(name)]
    return addresses_of(fields, region, more_emails, more_phones)


def further_emails(properties: Mapping[str, str]) -> list[str]:
    """The e-mails of a record beside its first."""
    listed = properties.get(ADDITIONAL_EMAILS)
    return [email for email in listed.split(";") if email.strip()] if listed else []


def phone_fields(mapping: Sequence[MappingItem]) -> list[str]:
    """Further fields that hold a phone number."""
    return [
        item.field
        for item in mapping
        if item.field != "phone" and (kind_of(item) == "phone" or item.property in PHONES)
    ]


def norm_for(region: str) -> Callable[[str, str], str]:
    """The form for equality of a kind of value, in a region; remembered, since values repeat."""

    @lru_cache(maxsize=16_384)
    def norm(kind: str, raw: str) -> str:
        return equal_form(kind, raw, region)

    return norm
