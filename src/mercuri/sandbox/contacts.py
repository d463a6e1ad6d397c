"""The contacts endpoints, one record at a time: list, get, create, change, archive, merge, erase, search."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mercuri.sandbox.answers import Answer, invalid, json_answer, not_found
from mercuri.sandbox.listing import Listing
from mercuri.sandbox.oauth import READ, WRITE
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Author, Record
from mercuri.sandbox.request import Request, sent_properties, text_of, texts_of, whole
from mercuri.sandbox.search import Search
from mercuri.sandbox.standard import ALWAYS, DEFAULT
from mercuri.sandbox.times import iso

_FEW = 20
MOST_PER_PAGE = 100
#: Versions whose creates need a name or an e-mail, and obey what the portal's admin requires.
STRICT = ("2026-09",)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which properties an answer holds, and of which the history."""

    names: tuple[str, ...]
    history: tuple[str, ...] = ()


class Contacts:
    """Endpoints over one portal. `author_of` names who writes with a token."""

    def __init__(self, portal: Portal, author_of: Callable[[Request], Author]) -> None:
        self.portal = portal
        self.author_of = author_of
        self._search = Search(portal)
        self._listing = Listing(portal)

    # -- reading

    def page(self, request: Request) -> Answer:
        """`GET contacts`: ascending id, `after` is the last id plus one."""
        shape = self.shape(request.names("properties"), request.names("propertiesWithHistory"))
        limit = _limit_of(request.params.get("limit", "10"), self.most(shape))
        records, after = self._listing.page(request.params.get("after"), limit, archived=request.flag("archived"))
        body: dict[str, Any] = {"results": self.read(records, shape)}
        if after is not None:
            body["paging"] = {"next": {"after": after, "link": _next_link(request, after)}}
        return json_answer(body)

    def get(self, request: Request, key: str) -> Answer:
        """`GET contacts/{id}`; a merged-away id answers with the survivor, under the survivor's id."""
        shape = self.shape(request.names("properties"), request.names("propertiesWithHistory"))
        return json_answer(self.read([self.one(request, key)], shape)[0])

    def search(self, request: Request) -> Answer:
        """`POST contacts/search`, out of the index."""
        body = request.json()
        found = self._search.run(body, len(request.body.decode("utf-8", "replace")))
        shape = self.shape(texts_of(body, "properties"), [])
        rows = self.portal.index.rows
        results = [self._row(each, rows[each], shape.names) for each in found.ids]
        answer: dict[str, Any] = {"total": found.total, "results": results}
        if found.after is not None:
            answer["paging"] = {"next": {"after": found.after}}
        return json_answer(answer)

    # -- writing

    def create(self, request: Request) -> Answer:
        """`POST contacts`."""
        sent = sent_properties(request.json())
        checked = self.portal.check_new(sent, strict=request.version in STRICT)
        record = self.portal.create(checked, self.author_of(request), self.portal.now_ms())
        return json_answer(self.written(record, checked, new=True), 201)

    def change(self, request: Request, key: str) -> Answer:
        """`PATCH contacts/{id}`. An old id of a merged record is not found."""
        record = self.one(request, key)
        if not request.params.get("idProperty") and record.text_id != key:
            raise not_found()
        checked = self.portal.check_change(record, sent_properties(request.json()))
        changed = self.portal.update(record, checked, self.author_of(request), self.portal.now_ms())
        return json_answer(self.written(record, {**checked, **changed}))

    def archive(self, request: Request, key: str) -> Answer:
        """`DELETE contacts/{id}`: 204, known or not."""
        record = self.portal.records.get(whole(key) or 0)
        if record is not None and record.archived_ms is None:
            self.portal.archive(record, self.author_of(request))
        return Answer(204)

    def merge(self, request: Request) -> Answer:
        """`POST contacts/merge`."""
        body = request.json()
        primary, other = text_of(body, "primaryObjectId"), text_of(body, "objectIdToMerge")
        record = self.portal.merge(whole(primary) or 0, whole(other) or 0, self.author_of(request))
        return json_answer(self.read([record], self.shape([], []))[0])

    def erase(self, request: Request) -> Answer:
        """`POST contacts/gdpr-delete`: an address nobody has goes to the blocklist."""
        body = request.json()
        key = text_of(body, "objectId")
        by_email = body.get("idProperty") == "email"
        record = self.portal.find_by("email", key) if by_email else self._by_id(key)
        if record is not None:
            self.portal.erase(record, self.author_of(request))
        elif by_email:
            self.portal.block(key)
        else:
            raise not_found()
        return Answer(204)

    # -- shapes

    def shape(self, names: Iterable[str], history: Iterable[str]) -> Shape:
        """Defined properties of those asked for; undefined ones are silently left out."""
        known = self.portal.properties
        wanted = [
            name
            for name in dict.fromkeys([*(names or DEFAULT), *ALWAYS])
            if name in known and known[name].archived_ms is None
        ]
        return Shape(tuple(wanted), tuple(name for name in dict.fromkeys(history) if name in known))

    def most(self, shape: Shape) -> int:
        """Most records of one page or batch in this shape."""
        return self.portal.switches.history_limit if shape.history else MOST_PER_PAGE

    def read(self, records: list[Record], shape: Shape) -> list[dict[str, Any]]:
        """Records as a read answers them."""
        results = [self._row(each.id, each.values, shape.names) for each in records]
        for record, result in zip(records, results, strict=True):
            if record.archived_ms is not None:
                result["archived"] = True
                result["archivedAt"] = iso(record.archived_ms)
            if shape.history:
                result["propertiesWithHistory"] = {name: self._history(record, name) for name in shape.history}
        return results

    def written(self, record: Record, checked: dict[str, str], *, new: bool = False) -> dict[str, Any]:
        """What a write answers: what was sent ("" when cleared), calculated companions and some system properties."""
        values = record.values
        properties = {name: values.get(name, "") for name in checked}
        companions = [name for name in values if new and (name.startswith("hs_") or name == "lifecyclestage")]
        properties |= {name: values[name] for name in (*companions, *ALWAYS)}
        if new and "hs_lifecyclestage_lead_date" in properties:
            properties["hs_lifecyclestage_lead_date"] = str(record.created_ms)
        return {
            "id": record.text_id,
            "properties": properties,
            "createdAt": values["createdate"],
            "updatedAt": values["lastmodifieddate"],
            "archived": False,
            "url": self._url(record.id),
        }

    def one(self, request: Request, key: str) -> Record:
        """The record a path names, by id or by `idProperty`.

        Raises Refusal (404) when there is none.
        """
        name = request.params.get("idProperty")
        if name and name != "hs_object_id":
            record = self.portal.find_by(name, key)
        elif request.flag("archived"):
            record = self.portal.find_archived(whole(key) or 0)
        else:
            record = self._by_id(key)
        if record is None:
            raise not_found()
        return record

    def _by_id(self, key: str) -> Record | None:
        return self.portal.find(whole(key) or 0)

    def _row(self, number: int, values: dict[str, str], names: tuple[str, ...]) -> dict[str, Any]:
        get = values.get
        empty = self.portal.switches.empty_property
        if empty == "null" or (empty == "random" and self.portal.rng.random() < 0.5):
            properties = {name: get(name) for name in names}
        else:
            properties = {name: values[name] for name in names if name in values}
        return {
            "id": str(number),
            "properties": properties,
            "createdAt": values["createdate"],
            "updatedAt": values["lastmodifieddate"],
            "archived": False,
            "url": self._url(number),
        }

    def _url(self, number: int) -> str:
        return f"https://app.hubspot.com/contacts/{self.portal.portal_id}/record/0-1/{number}"

    def _history(self, record: Record, name: str) -> list[dict[str, Any]]:
        entries = record.entries(name)
        if self.portal.switches.history_entries == "few":
            entries = entries[:_FEW]
        return [_entry(each.value, each.at_ms, each.author) for each in entries]


def route(contacts: Contacts, request: Request) -> Answer | None:
    """Answer a call about single records; None when the path means something else."""
    rest = request.rest
    match request.method, rest:
        case "GET", ():
            return contacts.page(request)
        case "POST", ():
            return contacts.create(request)
        case "POST", ("search",):
            return contacts.search(request)
        case "POST", ("merge",):
            return contacts.merge(request)
        case "POST", ("gdpr-delete",):
            return contacts.erase(request)
        case "GET", (key,):
            return contacts.get(request, key)
        case "PATCH", (key,):
            return contacts.change(request, key)
        case "DELETE", (key,):
            return contacts.archive(request, key)
        case "GET", (key, "associations", _):
            contacts.one(request, key)
            return json_answer({"results": []})
    return None


def scope_of(request: Request) -> str:
    """The scope a contacts call needs."""
    reads = request.method == "GET" or request.rest in (("search",), ("batch", "read"))
    return READ if reads else WRITE


def _entry(value: str, at_ms: int, author: Author) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": value, "timestamp": iso(at_ms), "sourceType": author.source}
    if author.source_id:
        entry["sourceId"] = author.source_id
    if author.user_id is not None:
        entry["updatedByUserId"] = author.user_id
    return entry


def _limit_of(text: str, most: int) -> int:
    if not 1 <= (whole(text) or 0) <= most:
        raise invalid(f"Invalid limit: {text}. It must be between 1 and {most}")
    return int(text)


def _next_link(request: Request, after: str) -> str:
    return f"{request.public_url}{request.path}?{urlencode({**request.params, 'after': after})}"
