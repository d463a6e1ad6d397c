"""The properties endpoints: list, get, create, change and archive properties and their groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from mercuri.sandbox.answers import JSON_HEADERS, Answer, Refusal, encode, invalid, json_answer, not_found
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.properties import TYPES, Property
from mercuri.sandbox.request import Request, inputs_of, text_of
from mercuri.sandbox.standard import GROUPS

_NAME = re.compile(r"[a-z][a-z0-9_]*$")
_MOST_UNIQUE = 10
_CHANGEABLE = {
    "label": "label", "description": "description", "groupName": "group", "type": "type", "fieldType": "field_type",
}  # fmt: skip


class Schema:
    """`crm/properties/{version}/contacts` and its `groups`."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.groups: dict[str, str] = dict(GROUPS)

    def route(self, request: Request) -> Answer | None:
        """Answer a call below the properties path; None when the path means nothing."""
        match request.method, request.rest:
            case "GET", ():
                return self._list(request)
            case "POST", ():
                return json_answer(self.create(request.json()).to_json(), 201)
            case "POST", ("batch", "read"):
                names = [text_of(each, "name") for each in inputs_of(request.json(), 100)]
                return json_answer({"status": "COMPLETE", "results": [self._one(each).to_json() for each in names]})
            case _, ("groups", *more):
                return self._groups(request, more)
            case "GET", (name,):
                return json_answer(self._one(name, archived=request.flag("archived")).to_json())
            case "PATCH", (name,):
                return json_answer(self.change(name, request.json()).to_json())
            case "DELETE", (name,):
                self.archive(name)
                return Answer(204)
        return None

    def create(self, body: Mapping[str, Any]) -> Property:
        """A new property, or an archived one of this name brought back.

        Raises Refusal: 409 for a name in use, 400 for a bad definition.
        """
        name, label, kind, field_type, group = (
            text_of(body, each) for each in ("name", "label", "type", "fieldType", "groupName")
        )
        present = self._portal.properties.get(name)
        if present is not None and present.archived_ms is None:
            raise _name_in_use(name)
        if not _NAME.match(name):
            raise invalid(f"Property name {name} is invalid: lower-case letters, digits and underscores only")
        self._check(kind, field_type, group)
        unique = body.get("hasUniqueValue") is True
        if unique:
            self._check_room()
        now = self._portal.now_ms()
        prop = Property(
            name, label, kind, field_type, group, str(body.get("description") or ""), _options(body, kind),
            unique=unique, hidden=body.get("hidden") is True, form_field=body.get("formField") is True,
            defined_by_hubspot=False, created_ms=now, updated_ms=now,
        )  # fmt: skip
        self._portal.set_property(prop)
        return prop

    def _check(self, kind: str, field_type: str, group: str) -> None:
        if kind not in TYPES or field_type not in TYPES[kind]:
            raise invalid(f"Field type {field_type} is not valid for type {kind}")
        if group not in self.groups:
            raise invalid(f"Property group {group} does not exist")

    def _check_room(self) -> None:
        custom = [each for each in self._portal.properties.values() if not each.defined_by_hubspot]
        if sum(each.unique for each in custom) >= _MOST_UNIQUE:
            raise invalid(f"At most {_MOST_UNIQUE} properties with unique values are allowed")

    def change(self, name: str, body: Mapping[str, Any]) -> Property:
        """Other label, description, group or options, which replace the whole list. Uniqueness is fixed at creation."""
        prop = self._one(name)
        if prop.defined_by_hubspot and set(body) - {"options"}:
            raise invalid(f"Property {name} is defined by HubSpot and cannot be changed")
        given = {key: str(body[key]) for key in _CHANGEABLE if key in body}
        kind, field_type = given.get("type", prop.type), given.get("fieldType", prop.field_type)
        self._check(kind, field_type, given.get("groupName", prop.group))
        changes: dict[str, Any] = {_CHANGEABLE[key]: value for key, value in given.items()}
        changed = replace(
            prop,
            **changes,
            options=_options(body, kind) if "options" in body else prop.options,
            updated_ms=self._portal.now_ms(),
        )
        self._portal.set_property(changed)
        return changed

    def archive(self, name: str) -> None:
        """To the bin; records keep their values, and nobody sees them."""
        prop = self._one(name)
        if prop.defined_by_hubspot:
            message = f"Property {name} is in use and cannot be deleted"
            raise invalid(message, subCategory="PropertyValidationError.CANNOT_DELETE_PROPERTY_IN_USE")
        self._portal.set_property(replace(prop, archived_ms=self._portal.now_ms()))

    def _list(self, request: Request) -> Answer:
        wanted = request.flag("archived")
        if request.params.get("dataSensitivity", "non_sensitive") != "non_sensitive":
            return json_answer({"results": []})
        found = [p for p in self._portal.properties.values() if (p.archived_ms is not None) is wanted]
        return Answer(200, JSON_HEADERS, b'{"results":[' + b",".join(map(_encoded, found)) + b"]}")

    def _one(self, name: str, *, archived: bool = False) -> Property:
        prop = self._portal.properties.get(name)
        if prop is None or (prop.archived_ms is not None) is not archived:
            raise not_found(f"Property {name} does not exist")
        return prop

    def _groups(self, request: Request, more: list[str]) -> Answer | None:
        match request.method, more:
            case "GET", []:
                return json_answer({"results": [self._group(each) for each in self.groups]})
            case "POST", []:
                body = request.json()
                name = text_of(body, "name")
                if name in self.groups:
                    raise _name_in_use(name)
                self.groups[name] = text_of(body, "label")
                return json_answer(self._group(name), 201)
            case "GET", [name] if name in self.groups:
                return json_answer(self._group(name))
            case "PATCH", [name] if name in self.groups:
                self.groups[name] = text_of(request.json(), "label")
                return json_answer(self._group(name))
            case "DELETE", [name] if name in self.groups:
                if any(each.group == name and each.archived_ms is None for each in self._portal.properties.values()):
                    raise invalid(f"Property group {name} has active properties")
                del self.groups[name]
                return Answer(204)
        return None

    def _group(self, name: str) -> dict[str, Any]:
        return {"name": name, "label": self.groups[name], "displayOrder": -1, "archived": False}


@lru_cache(maxsize=4096)
def _encoded(prop: Property) -> bytes:
    # Remembered, since a client asks for all of them again and again.
    return encode(prop.to_json())


def _options(body: Mapping[str, Any], kind: str) -> tuple[tuple[str, str], ...]:
    options = body.get("options") or []
    if not isinstance(options, list) or not all(isinstance(each, dict) for each in options):
        raise invalid("Invalid input JSON: options must be a list of objects")
    pairs = tuple((text_of(each, "label"), text_of(each, "value")) for each in options)
    if len({value for _, value in pairs}) < len(pairs):
        raise invalid("Property options must have unique values")
    if kind == "enumeration" and not pairs:
        raise invalid("An enumeration needs options")
    return pairs


def _name_in_use(name: str) -> Refusal:
    return Refusal(
        409,
        {
            "status": "error",
            "message": f"A property named '{name}' already exists.",
            "category": "OBJECT_ALREADY_EXISTS",
            "subCategory": "Properties.PROPERTY_WITH_NAME_EXISTS",
        },
    )
