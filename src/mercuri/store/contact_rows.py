"""A contact's rows in the tables -> its values, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from mercuri.core.contact import Address, ContactId, Fields, Origin, RunId
from mercuri.core.normalise import clean_text, fold_name
from mercuri.store import schema, search
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps_text, dumps_texts, loads
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import from_ms, maybe_moment, to_ms

#: Longest sort key: PostgreSQL cannot index more than about 2,700 bytes.
KEY_LENGTH = 200
_CUSTOM = "custom."
_PREFIX = len(_CUSTOM)
#: Most ids in one statement.
_CHUNK = 2_000
_c = schema.contact.c
_a = schema.address.c
CONTACT_COLUMNS = (
    "id",
    "workspace_id",
    "first_name",
    "last_name",
    "phone",
    "email",
    "custom",
    "origins",
    "subscribed",
    "status_reason",
    "name_key",
    "email_key",
    "search",
    "created_at",
    "updated_at",
    "created_run",
)
ADDRESS_COLUMNS = (
    "workspace_id",
    "contact_id",
    "position",
    "kind",
    "raw",
    "normal",
    "label",
    "is_primary",
    "problem",
    "extension",
)
HELD_COLUMNS = (
    _c.id,
    _c.first_name,
    _c.last_name,
    _c.phone,
    _c.email,
    _c.custom,
    _c.origins,
    _c.version,
    _c.created_run,
    _c.deleted_at,
    _c.merged_into,
)


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact to be. `origin` is the source of every field that has a value; None leaves them without one."""

    fields: Fields = field(repr=False)
    origin: Origin | None = field(repr=False)
    addresses: Sequence[Address] = field(repr=False)
    created_at: datetime
    run: RunId | None = None
    subscribed: bool = False
    status_reason: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A contact as a sync needs it. `fields` always has the four standard ones."""

    id: ContactId
    fields: Fields = field(repr=False)
    origins: Mapping[str, Origin] = field(repr=False)
    version: int
    created_run: RunId | None = None
    deleted_at: datetime | None = None
    merged_into: ContactId | None = None

    def author(self, name: str) -> str:
        """Who gave a field its value."""
        origin = self.origins.get(name)
        return f"{origin.kind} {origin.by}".strip() if origin else "mercuri"


def storable(fields: Fields) -> dict[str, str]:
    """The fields as a database can store them."""
    return {
        name: value if value.isascii() and "\0" not in value else clean_text(value) for name, value in fields.items()
    }


def contact_row(tx: Tx, id_: ContactId, new: NewContact, fields: dict[str, str]) -> tuple[Any, ...]:
    created, name = to_ms(new.created_at), folded_name(fields)
    return (
        id_,
        tx.workspace,
        fields.get("first_name", ""),
        fields.get("last_name", ""),
        fields.get("phone", ""),
        fields.get("email", ""),
        custom_text(fields),
        "{}" if new.origin is None else f'{{"*":{_origin_text(new.origin)}}}',
        new.subscribed,
        new.status_reason,
        name_key(name, fields),
        email_key(fields),
        search.text_of(name, new.addresses),
        created,
        created,
        new.run,
    )


def custom_text(fields: Fields) -> str:
    """The fields beyond the standard four, as JSON."""
    return dumps_texts({name[_PREFIX:]: value for name, value in fields.items() if name.startswith(_CUSTOM)})


def folded_name(fields: Fields) -> str:
    """The name to sort and search by, last name first."""
    last, first = fields.get("last_name", "")[:KEY_LENGTH], fields.get("first_name", "")[:KEY_LENGTH]
    return fold_name(f"{last} {first}")


def name_key(name: str, fields: Fields) -> str:
    """The sort key of a contact with this folded name; who has none stands under their e-mail or phone."""
    return name[:KEY_LENGTH] or email_key(fields) or fields.get("phone", "")[:KEY_LENGTH]


def email_key(fields: Fields) -> str:
    return fields.get("email", "")[:KEY_LENGTH].strip().lower()[:KEY_LENGTH]


def origins_text(fields: Fields, origins: Mapping[str, Origin]) -> str:
    """Origins as JSON. Most contacts have one for all their values: it is written once, as "*"."""
    if not origins:
        return "{}"
    first = next(iter(origins.values()))
    same = all(origin is first or origin == first for origin in origins.values())
    if same and all(name in origins for name, value in fields.items() if value):
        return '{"*":' + _origin_text(first) + "}"
    return "{" + ",".join(f"{dumps_text(name)}:{_origin_text(origin)}" for name, origin in origins.items()) + "}"


def _origin_text(origin: Origin) -> str:
    run = "null" if origin.run is None else origin.run
    return f"[{dumps_text(origin.kind)},{dumps_text(origin.by)},{to_ms(origin.at)},{run}]"


def read_origins(stored: str, fields: Fields) -> dict[str, Origin]:
    """The origin of each field, "*" spelled out for the fields that have a value."""
    origins = {name: _origin(*values) for name, values in loads(stored).items()}
    rest = origins.pop("*", None)
    if rest is not None:
        for name, value in fields.items():
            if value and name not in origins:
                origins[name] = rest
    return origins


def _origin(kind: str, by: str, at: int, run: int | None) -> Origin:
    return Origin(kind, by, from_ms(at), None if run is None else RunId(run))


def address_rows(tx: Tx, id_: ContactId, addresses: Sequence[Address]) -> Iterator[tuple[Any, ...]]:
    for position, a in enumerate(addresses):
        # Normal forms are short (core.normalise); the cut only guards the index of PostgreSQL.
        normal = a.normal and a.normal[: KEY_LENGTH * 2]
        raw = a.raw if a.raw.isascii() and "\0" not in a.raw else clean_text(a.raw)
        yield (tx.workspace, id_, position, a.kind, raw, normal, a.label, a.primary, a.problem, a.extension)


def read_fields(first_name: str, last_name: str, phone: str, email: str, custom: str) -> dict[str, str]:
    """The fields of a row of `contact`."""
    fields = {"first_name": first_name, "last_name": last_name, "phone": phone, "email": email}
    if custom != "{}":
        fields.update((_CUSTOM + name, value) for name, value in loads(custom).items())
    return fields


def held_of(row: Any) -> Held:
    id_, first, last, phone, email, custom, origins, version, run, deleted, merged = row
    fields = read_fields(first, last, phone, email, custom)
    return Held(id_, fields, read_origins(origins, fields), version, run, maybe_moment(deleted), merged)


def chunks(ids: Collection[Any]) -> Iterator[list[Any]]:
    """Ids in lists short enough for one statement."""
    all_ids = list(ids)
    for start in range(0, len(all_ids), _CHUNK):
        yield all_ids[start : start + _CHUNK]


_ADDRESSES = Statement(
    sa.select(_a.contact_id, _a.kind, _a.raw, _a.normal, _a.label, _a.is_primary, _a.problem, _a.extension)
    .where(_a.workspace_id == WORKSPACE, _a.contact_id.in_(bindparam("contacts", expanding=True)))
    .order_by(_a.contact_id, _a.position),
    lists=["contacts"],
)


def addresses(tx: Tx, ids: Collection[ContactId]) -> dict[ContactId, tuple[Address, ...]]:
    """The addresses of contacts, in order; a contact without any is left out."""
    found: dict[ContactId, list[Address]] = {}
    for chunk in chunks(ids):
        for id_, *values in tx.run(_ADDRESSES, contacts=chunk):
            found.setdefault(id_, []).append(Address(*values))
    return {id_: tuple(items) for id_, items in found.items()}
