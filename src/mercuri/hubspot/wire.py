"""JSON <-> core types; the only place that spells the key names of records, properties and searches.

Every parser takes what `json.loads` gave and raises `Malformed` when what must be there is not: an answer that was
cut or came from something else than HubSpot must never look like an empty one.
Source: HubSpot contacts, search, properties and account-info APIs 2026-09.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from mercuri.core.contact import PropertyVersion, Record, RecordId
from mercuri.core.properties import Option, Property
from mercuri.hubspot.messages import Account, BatchAnswer, Fault, Filter, Page, Write, Written

API_VERSION = "2026-09"
CONTACTS = f"/crm/objects/{API_VERSION}/contacts"
PROPERTIES = f"/crm/properties/{API_VERSION}/contacts"
ACCOUNT = f"/account-info/{API_VERSION}/details"
STATUSES = f"/communication-preferences/{API_VERSION}/statuses"

#: The scopes to read and to write what lies below a path (HubSpot's scopes page).
_SCOPES = {
    CONTACTS: ("crm.objects.contacts.read", "crm.objects.contacts.write"),
    PROPERTIES: ("crm.schemas.contacts.read", "crm.schemas.contacts.write"),
    STATUSES: ("communication_preferences.read_write", "communication_preferences.read_write"),
}
#: The property that holds a record's own id.
ID = "hs_object_id"
#: The properties that tell which records went into this one, the complete one first (section "merge" of the guide).
MERGED_IDS = ("hs_merged_object_ids", "hs_calculated_merged_vids")


_IN_PORTAL = re.compile(r"/contacts/(\d+)/")


#: What no database of ours takes: NUL, and halves of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Malformed(ValueError):
    """An answer that cannot be one of HubSpot's."""


def loads(content: bytes) -> Any:
    """The JSON of an answer; characters that no database takes become U+FFFD, so that one value never stops a page.

    >>> loads(rb'{"city": "Ly\\u0000on \\ud83d\\ude00"}')
    {'city': 'Ly\ufffdon \U0001f600'}
    """
    if b"\\u0000" not in content:
        with suppress(ValueError):  # it refuses halves of a surrogate pair, and what is no JSON
            return from_json(content)
    return _storable(json.loads(content))


def moment(value: object) -> datetime | None:
    """A timestamp as HubSpot spells it: ISO with or without milliseconds, or ms since the epoch; None for none.

    >>> moment("2026-03-09T12:00:00Z") == moment("1773057600000") == moment(1773057600000)
    True
    """
    if not value:
        return None
    try:
        # Nearly all are like this, and a page of a first load holds two hundred.
        if type(value) is str and value[-1] == "Z":
            return datetime.fromisoformat(value)
        if isinstance(value, str) and not value.lstrip("-").isdecimal():
            at = datetime.fromisoformat(value)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        return datetime.fromtimestamp(int(str(value)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def text(value: object) -> str:
    """A property's value as text; null is empty.

    >>> [text(None), text("a"), text(True), text(3)]
    ['', 'a', 'true', '3']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def record(item: Any, asked: Iterable[str] | None = None) -> Record:
    """A record with exactly the properties `asked` for (absent and null are empty), or all that came."""
    try:
        got = item["properties"] or {}
        names: Iterable[str] = got if asked is None else asked
        get = got.get
        return Record(
            RecordId(str(item["id"])),
            {name: value if type(value := get(name)) is str else text(value) for name in names},
            moment(item.get("createdAt")),
            moment(item.get("updatedAt")),
            item.get("archived") is True,
            moment(item.get("archivedAt")),
            _history(item["propertiesWithHistory"]) if item.get("propertiesWithHistory") else {},
            _merged(got),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed("a record without id or properties") from error


def page(body: Any, asked: Sequence[str]) -> Page:
    """A page of a list or a search."""
    records = tuple(record(item, asked) for item in _results(body))
    following = _at(body, "paging", "next", "after")
    total = body.get("total")
    return Page(records, None if following is None else str(following), total if isinstance(total, int) else None)


def records(body: Any, asked: Sequence[str]) -> tuple[Record, ...]:
    """The records of a batch read; those it does not know are missing."""
    return tuple(record(item, asked) for item in _results(body))


def batch(body: Any) -> BatchAnswer:
    """The answer to a batch update or upsert (200 or 207)."""
    written = tuple(
        Written(
            record(item), item.get("objectWriteTraceId"), item.get("new") if isinstance(item.get("new"), bool) else None
        )
        for item in _results(body)
    )
    return BatchAnswer(written, tuple(_fault(item) for item in body.get("errors") or () if isinstance(item, dict)))


def properties(body: Any) -> tuple[Property, ...]:
    """All properties of a schema."""
    return tuple(property_(item) for item in _results(body))


def property_(item: Any) -> Property:
    """One property as the schema describes it."""
    try:
        return Property(
            name=str(item["name"]),
            label=text(item.get("label")) or str(item["name"]),
            type=text(item.get("type")) or "string",
            field_type=text(item.get("fieldType")),
            options=tuple(_option(option) for option in item.get("options") or ()),
            read_only=_at(item, "modificationMetadata", "readOnlyValue") is True or item.get("calculated") is True,
            calculated=item.get("calculated") is True,
            hidden=item.get("hidden") is True,
            unique=item.get("hasUniqueValue") is True,
            archived=item.get("archived") is True,
            external_options=item.get("externalOptions") is True,
            description=text(item.get("description")),
            group=text(item.get("groupName")),
            hubspot_defined=item.get("hubspotDefined") is True,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed("a property without a name") from error


def account(body: Any) -> Account:
    """The portal's own details."""
    try:
        return Account(
            portal_id=str(body["portalId"]),
            time_zone=text(body.get("timeZone")),
            ui_domain=text(body.get("uiDomain")),
            hosting=text(body.get("dataHostingLocation")),
            account_type=text(body.get("accountType")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed("account details without an id") from error


def portal_of(body: Any) -> str | None:
    """The portal that the web address of a listed record names; addresses are optional.

    >>> portal_of({"results": [{"id": "1", "url": "https://app.hubspot.com/contacts/4242/record/0-1/1"}]})
    '4242'
    """
    named = (_IN_PORTAL.search(text(_at(item, "url"))) for item in _results(body))
    return next((found.group(1) for found in named if found), None)


def search_body(
    filters: Sequence[Sequence[Filter]],
    properties: Sequence[str],
    sort: tuple[str, bool] | None,
    limit: int,
    after: str | None,
) -> dict[str, Any]:
    """A search: any of the groups, all filters of a group; `sort` is (property, descending)."""
    body: dict[str, Any] = {
        "filterGroups": [{"filters": [_filter(item) for item in group]} for group in filters],
        "properties": list(properties),
        "limit": limit,
    }
    if sort is not None:
        body["sorts"] = [{"propertyName": sort[0], "direction": "DESCENDING" if sort[1] else "ASCENDING"}]
    if after is not None:
        body["after"] = after
    return body


def read_body(
    ids: Sequence[str], properties: Sequence[str], history: Sequence[str], id_property: str | None
) -> dict[str, Any]:
    """A batch read."""
    body: dict[str, Any] = {"properties": list(properties), "inputs": [{"id": key} for key in ids]}
    body["propertiesWithHistory"] = list(history)
    return body | ({"idProperty": id_property} if id_property else {})


def update_body(writes: Sequence[Write]) -> dict[str, Any]:
    """A batch update by record id; each input carries its place as a trace id, so that one bad input fails alone."""
    return {
        "inputs": [
            {"id": write.key, "properties": dict(write.properties), "objectWriteTraceId": str(place)}
            for place, write in enumerate(writes)
        ]
    }


def upsert_body(writes: Sequence[Write], id_property: str) -> dict[str, Any]:
    """A batch upsert; the key is sent as a property too, since the answer shows only what was sent."""
    return {
        "inputs": [
            {
                "id": write.key,
                "idProperty": id_property,
                "properties": {id_property: write.key, **write.properties},
                "objectWriteTraceId": str(place),
            }
            for place, write in enumerate(writes)
        ]
    }


def property_body(spec: Property) -> dict[str, Any]:
    """A property to be created."""
    return {
        "name": spec.name,
        "label": spec.label,
        "type": spec.type,
        "fieldType": spec.field_type or "text",
        "groupName": spec.group or "contactinformation",
        "description": spec.description,
        "hasUniqueValue": spec.unique,
        "hidden": spec.hidden,
        "options": [
            {"value": option.value, "label": option.label, "hidden": option.hidden, "displayOrder": place}
            for place, option in enumerate(spec.options)
        ],
    }


def _storable(body: Any) -> Any:
    if isinstance(body, str):
        return _UNSTORABLE.sub("\ufffd", body)
    if isinstance(body, list):
        return [_storable(item) for item in body]
    return {_storable(key): _storable(item) for key, item in body.items()} if isinstance(body, dict) else body


def _results(body: Any) -> list[Any]:
    results = body.get("results") if isinstance(body, dict) else None
    if not isinstance(results, list):
        raise Malformed("an answer without results")
    return results


def _at(body: Any, *path: str) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _filter(item: Filter) -> dict[str, Any]:
    body: dict[str, Any] = {"propertyName": item.property, "operator": item.operator}
    if item.value is not None:
        body["value"] = item.value
    if item.high is not None:
        body["highValue"] = item.high
    return body | ({"values": list(item.values)} if item.values else {})


def _option(item: Any) -> Option:
    return Option(text(item["value"]), text(item.get("label")) or text(item["value"]), item.get("hidden") is True)


def _history(histories: Mapping[str, Any]) -> dict[str, tuple[PropertyVersion, ...]]:
    return {
        name: tuple(
            PropertyVersion(
                text(item.get("value")),
                moment(item.get("timestamp")),
                text(item.get("sourceType")),
                text(item.get("sourceId")),
            )
            for item in versions or ()
        )
        for name, versions in histories.items()
    }


def _merged(got: Mapping[str, Any]) -> tuple[RecordId, ...]:
    if not (got.get(MERGED_IDS[0]) or got.get(MERGED_IDS[1])):
        return ()
    ids = [entry.partition(":")[0].strip() for name in MERGED_IDS for entry in text(got.get(name)).split(";")]
    return tuple(RecordId(key) for key in dict.fromkeys(ids) if key)


def _fault(item: Mapping[str, Any]) -> Fault:
    context = item.get("context") or {}
    return Fault(
        category=text(item.get("category")),
        message=text(item.get("message")),
        traces=_texts(context, "objectWriteTraceId"),
        ids=_texts(context, "ids"),
        existing_id=next(iter(_texts(context, "existingId")), None),
        raw=item,
    )


def _texts(context: Any, name: str) -> tuple[str, ...]:
    value = context.get(name) if isinstance(context, dict) else None
    return tuple(text(entry) for entry in (value if isinstance(value, list) else [value]) if entry is not None)


def scopes_for(path: str, *, write: bool) -> tuple[str, ...]:
    """The scope that a call needs, where it is known.

    >>> scopes_for(CONTACTS + "/batch/read", write=False)
    ('crm.objects.contacts.read',)
    """
    return tuple(scopes[write] for begin, scopes in _SCOPES.items() if path.startswith(begin))
