"""List, search, read, write and merge the contacts of one portal: typed records in and out.

Source: HubSpot contacts API 2026-09.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx

from mercuri.core.contact import Record
from mercuri.core.properties import Property
from mercuri.errors import BadRequest, MissingScope, NotThere
from mercuri.hubspot import batches, wire
from mercuri.hubspot.batches import Outcome as Outcome
from mercuri.hubspot.messages import Account as Account
from mercuri.hubspot.messages import Filter as Filter
from mercuri.hubspot.messages import Page as Page
from mercuri.hubspot.messages import Write as Write
from mercuri.hubspot.pacing import Lane, Pacer
from mercuri.hubspot.tokens import TokenService
from mercuri.hubspot.transport import Calls as Calls
from mercuri.hubspot.transport import Kind, Request, T, Transport
from mercuri.hubspot.wire import API_VERSION as API_VERSION

#: Most records of one list page, of one search page, and of one batch (contacts and search guides).
LIST_PAGE = 100
SEARCH_PAGE = 200
BATCH = batches.BATCH
#: Most records of one read with history (the official SDK's PROPERTY_HISTORY_MAX_SIZE).
HISTORY_BATCH = 50
#: Longest address we send; HubSpot's server answers 414 to some 8,000 characters.
LONGEST_URL = 7000


class Client:
    """One portal's contacts. Safe to share among threads; every method may raise HubSpotError or Cancelled."""

    def __init__(
        self,
        http: httpx.Client,
        api_url: str,
        tokens: TokenService,
        pacer: Pacer,
        *,
        portal: str,
        lane: Lane = Lane.BUTTON,
        calls: Calls | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.calls = calls if calls is not None else Calls()
        self._transport = Transport(http, api_url, tokens, pacer, portal=portal, calls=self.calls)
        self._lane, self._cancelled = lane, cancelled

    def on(self, lane: Lane) -> Client:
        """The same client in another lane."""
        other = copy.copy(self)
        other._lane = lane
        return other

    # The portal and its schema

    def account(self) -> Account:
        """The portal itself. Where it cannot be asked for (some service keys, stand-ins), no more than its id.

        Raises MissingScope or NotThere when it cannot, and no contact exists whose address names the portal.
        """
        try:
            return self._get("other", wire.ACCOUNT, {}, wire.account)
        except (MissingScope, NotThere):
            portal_id = self._get("list", wire.CONTACTS, {"limit": "1", "properties": wire.ID}, wire.portal_of)
            if portal_id is None:
                raise
            return Account(portal_id)

    def properties(self, archived: bool = False) -> tuple[Property, ...]:
        """The contacts' properties that carry no sensitive data; `archived` true gives the archived ones only."""
        return self._get("other", wire.PROPERTIES, {"archived": "true"} if archived else {}, wire.properties)

    def create_property(self, spec: Property) -> Property:
        """Make a property. Raises BadRequest (409) when the name is taken, MissingScope without the schema scope."""
        return self._write("POST", wire.PROPERTIES, wire.property_body(spec), wire.property_)

    def ensure_unique_property(self, name: str, label: str) -> bool:
        """Make sure that a text property with unique values exists; False when it cannot be had.

        It cannot without the schema scope, when ten exist already, or when the name belongs to an ordinary property.
        """
        spec = Property(name, label, "string", "text", unique=True, description="Written by Mercuri. Do not edit.")
        try:
            return self._get("other", f"{wire.PROPERTIES}/{quote(name, safe='')}", {}, wire.property_).unique
        except NotThere:
            pass
        try:
            return self.create_property(spec).unique
        except (MissingScope, NotThere):
            return False
        except BadRequest as error:
            return error.status == 409 and any(found.name == name and found.unique for found in self.properties())

    # Reading

    def list_contacts(
        self, properties: Sequence[str], after: str | None = None, *, limit: int = LIST_PAGE, archived: bool = False
    ) -> Page:
        """One page of all contacts, in no order to rely on. `after` is the last page's, opaque.

        Where the properties make the address too long, lists ids and reads the records by batch.
        """
        query = {"limit": str(limit), "archived": "true" if archived else "false", "properties": ",".join(properties)}
        query |= {"after": after} if after is not None else {}
        request = Request("list", "GET", wire.CONTACTS, query)
        if len(request.url(self._transport.api_url)) <= LONGEST_URL:
            try:
                return self._send(request, lambda body: wire.page(body, properties))
            except BadRequest as error:
                if error.status != 414:
                    raise
        short = replace(request, query=query | {"properties": wire.ID})
        listed = self._send(short, lambda body: wire.page(body, [wire.ID]))
        ids = [record.id for record in listed.records]
        found = {record.id: record for record in self.read_many(ids, properties, archived=archived).values()}
        return Page(tuple(found.values()), listed.after)

    def search(
        self,
        filters: Sequence[Sequence[Filter]],
        properties: Sequence[str],
        *,
        sort: tuple[str, bool] | None = None,
        limit: int = SEARCH_PAGE,
        after: str | None = None,
    ) -> Page:
        """One page of the contacts that match all filters of any group; `sort` is (property, descending).

        The index lags behind the records and its order cannot be trusted. At most 10,000 results can be paged
        through, 5 groups, 6 filters each, 18 in all; archived contacts never appear.
        """
        body = wire.search_body(filters, properties, sort, limit, after)
        request = Request("search", "POST", f"{wire.CONTACTS}/search", body=body)
        return self._send(request, lambda answer: wire.page(answer, properties))

    def read(
        self,
        record_id: str,
        properties: Sequence[str],
        *,
        history: Sequence[str] = (),
        archived: bool = False,
        id_property: str | None = None,
    ) -> Record:
        """One record, by id or by the value of a unique property. Raises NotThere when there is none.

        An id that differs from the one asked for means: merged into the one returned.
        """
        if not record_id:
            # Without an id, the path would be that of the list.
            raise NotThere("HubSpot knows no record without an id.", portal=self._transport.portal)
        query = {"properties": ",".join(properties), "archived": "true" if archived else "false"}
        query |= {"propertiesWithHistory": ",".join(history)} if history else {}
        query |= {"idProperty": id_property} if id_property else {}
        request = Request("read", "GET", f"{wire.CONTACTS}/{quote(record_id, safe='')}", query)
        if len(request.url(self._transport.api_url)) > LONGEST_URL:
            # The short question finds out whose id it is now; the long one then goes in a body.
            now = self.read(record_id, [wire.ID], archived=archived, id_property=id_property).id
            found = self._read_batch([now], properties, history, None, archived)
            if not found:
                raise NotThere("HubSpot knows no such record.", status=404, portal=self._transport.portal)
            return found[0]
        return self._send(request, lambda body: wire.record(body, properties))

    def read_many(
        self,
        ids: Iterable[str],
        properties: Sequence[str],
        *,
        history: Sequence[str] = (),
        id_property: str | None = None,
        archived: bool = False,
    ) -> dict[str, Record]:
        """Any number of records by the key they were asked for; those that do not exist are missing.

        A merged-away id is answered with the survivor, whose own id differs from the key.
        """
        asked = [key for key in dict.fromkeys(ids) if key]
        size = HISTORY_BATCH if history else BATCH
        found: dict[str, Record] = {}
        for start in range(0, len(asked), size):
            part = asked[start : start + size]
            found |= self._read_part(part, properties, history, id_property, archived)
        return found

    # Writing

    def update_many(self, writes: Sequence[Write]) -> list[Outcome]:
        """Change records by id; one outcome for each write, in their order.

        NotThere stands for an id that HubSpot left out: unknown, archived or merged away. What concerns every record
        alike (RateLimited, Unauthorised, MissingScope) is raised while nothing was sent, else stands in the outcomes.
        """

        def send(part: Sequence[Write]) -> list[Outcome]:
            answer = self._write("POST", f"{wire.CONTACTS}/batch/update", wire.update_body(part), wire.batch)
            return batches.updated(part, answer, self._transport.portal)

        return batches.write_all(writes, send)

    def upsert_many(self, writes: Sequence[Write], id_property: str) -> list[Outcome]:
        """Create or change records by a unique property; `created` tells which. Outcomes as in `update_many`.

        By `email`, HubSpot may blank what is not sent: send every mapped property.
        """

        def send(part: Sequence[Write]) -> list[Outcome]:
            body = wire.upsert_body(part, id_property)
            answer = self._write("POST", f"{wire.CONTACTS}/batch/upsert", body, wire.batch)
            return batches.upserted(part, answer, id_property, self._transport.portal)

        return batches.write_all(writes, send)

    def create(self, properties: Mapping[str, str]) -> Record:
        """Make a record. Raises BadRequest with `existing_id` when its e-mail is taken."""
        return self._write("POST", wire.CONTACTS, {"properties": dict(properties)}, wire.record)

    def update(self, record_id: str, properties: Mapping[str, str]) -> Record:
        """Change one record; the answer shows little more than what was sent, and the id it has now."""
        path = f"{wire.CONTACTS}/{quote(record_id, safe='')}"
        return self._write("PATCH", path, {"properties": dict(properties)}, wire.record)

    def archive_many(self, ids: Collection[str]) -> None:
        """Put records into HubSpot's recycle bin, from where a person can restore them for 90 days."""
        asked = list(dict.fromkeys(ids))
        for start in range(0, len(asked), BATCH):
            body = {"inputs": [{"id": key} for key in asked[start : start + BATCH]]}
            self._write("POST", f"{wire.CONTACTS}/batch/archive", body, _nothing)

    def merge(self, primary: str, other: str) -> Record:
        """Merge two records for good; the id of the answer is new, or the primary's."""
        body = {"primaryObjectId": primary, "objectIdToMerge": other}
        return self._write("POST", f"{wire.CONTACTS}/merge", body, wire.record)

    def erase(self, record_id: str) -> None:
        """Delete a person for good, as privacy law asks; HubSpot may block the e-mail."""
        self._write("POST", f"{wire.CONTACTS}/gdpr-delete", {"objectId": record_id}, _nothing)

    def unsubscribe_email(self, email: str) -> None:
        """Opt an address out of all e-mail. One-way; saying it twice does no harm, so it is repeated until heard."""
        path = f"{wire.STATUSES}/{quote(email, safe='')}/unsubscribe-all"
        self._send(Request("write", "POST", path, {"channel": "EMAIL"}), _nothing)

    # How it is sent

    def _send(self, request: Request, parse: Callable[[Any], T]) -> T:
        return self._transport.send(request, parse, lane=self._lane, cancelled=self._cancelled)

    def _get(self, kind: Kind, path: str, query: Mapping[str, str], parse: Callable[[Any], T]) -> T:
        return self._send(Request(kind, "GET", path, query), parse)

    def _write(self, method: str, path: str, body: Mapping[str, Any], parse: Callable[[Any], T]) -> T:
        # A write that has begun is not cancelled half way: its outcomes would be lost.
        request = Request("write", method, path, body=body, repeatable=False)
        return self._transport.send(request, parse, lane=self._lane)

    def _read_part(
        self,
        asked: Sequence[str],
        properties: Sequence[str],
        history: Sequence[str],
        id_property: str | None,
        archived: bool,
    ) -> dict[str, Record]:
        wanted = [*properties, id_property] if id_property and id_property not in properties else properties
        records = self._read_batch(asked, wanted, history, id_property, archived)
        named = {_key(record, id_property): record for record in records}
        found = {key: named[folded] for key in asked if (folded := _folded(key, id_property)) in named}
        strangers = named.keys() - {_folded(key, id_property) for key in asked}
        # By id, silence may mean merged away. By a unique value, it means absent, unless an answer fits no question
        # (an e-mail that is secondary there).
        for key in [key for key in asked if key not in found] if strangers or not id_property else ():
            try:
                found[key] = self.read(key, wanted, history=history, archived=archived, id_property=id_property)
            except NotThere:
                continue
        return found if wanted is properties else {key: _only(record, properties) for key, record in found.items()}

    def _read_batch(
        self,
        ids: Sequence[str],
        properties: Sequence[str],
        history: Sequence[str],
        id_property: str | None,
        archived: bool,
    ) -> tuple[Record, ...]:
        body = wire.read_body(ids, properties, history, id_property)
        query = {"archived": "true" if archived else "false"}
        request = Request("read", "POST", f"{wire.CONTACTS}/batch/read", query, body)
        try:
            return self._send(request, lambda answer: wire.records(answer, properties))
        except NotThere:
            return ()


def _key(record: Record, id_property: str | None) -> str:
    return record.properties[id_property].casefold() if id_property else record.id


def _folded(key: str, id_property: str | None) -> str:
    return key.casefold() if id_property else key


def _only(record: Record, properties: Sequence[str]) -> Record:
    return replace(record, properties={name: record.properties[name] for name in properties})


def _nothing(_: object) -> None:
    return None
