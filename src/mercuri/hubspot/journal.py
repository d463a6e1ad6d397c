"""HubSpot's webhooks journal: events to be fetched by whoever HubSpot cannot call (webhooks journal guide 2026-03).

Events stand in files, in order, and are kept for three days. Each is a hint to look, as with webhooks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx

from mercuri.core.contact import RecordId
from mercuri.errors import NotThere, Unavailable
from mercuri.hubspot.pacing import Lane, Limit, Pacer
from mercuri.hubspot.tokens import Bearer
from mercuri.hubspot.transport import Calls, Request, T, Transport
from mercuri.hubspot.webhooks import Hint, HintKind
from mercuri.hubspot.wire import API_VERSION, Malformed, loads, moment, text

#: How long HubSpot keeps an event.
KEPT = timedelta(days=3)
#: What the app itself must be allowed to do.
SCOPES = (
    "crm.objects.contacts.read",
    "developer.webhooks_journal.read",
    "developer.webhooks_journal.subscriptions.read",
    "developer.webhooks_journal.subscriptions.write",
)

_SUBSCRIPTIONS = f"/webhooks-journal/subscriptions/{API_VERSION}"
_FILES = f"/webhooks-journal/journal-local/{API_VERSION}"
#: Observed: 100 requests per second for each app, apart from all other limits. Ours stay far below.
_LIMIT = Limit(20, 1)
_CONTACT = "0-1"
_ERASURES = "GDPR_PRIVACY_DELETION"
_KINDS = {
    "CREATE": HintKind.CREATED,
    "DELETE": HintKind.DELETED,
    "UPDATE": HintKind.CHANGED,
    "MERGE": HintKind.MERGED,
    "RESTORE": HintKind.RESTORED,
    "GDPR_DELETE": HintKind.ERASED,
}
_ACTIONS = ("CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE")


@dataclass(frozen=True, slots=True)
class File:
    """What HubSpot wrote down at one time; `offset` is where the next file is asked for."""

    offset: str
    hints: tuple[Hint, ...]


class Journal:
    """The journal of one portal, read as our app. Every method may raise HubSpotError or UserError."""

    def __init__(self, http: httpx.Client, api_url: str, tokens: Bearer, *, portal: str) -> None:
        self._http, self._portal = http, portal
        self._transport = Transport(http, api_url, tokens, Pacer(_LIMIT, _LIMIT), portal=portal, calls=Calls())

    def subscribe(self, properties: Collection[str]) -> None:
        """Have everything written down that happens to contacts, and the changes of these properties.

        Subscriptions of this portal that a wider one replaces are taken off.
        """
        listed = [one for one in self._listed() if text(one.get("portalId")) == self._portal]
        if not any(one.get("subscriptionType") == _ERASURES for one in listed):
            self._make({"subscriptionType": _ERASURES})
        ours = [
            one for one in listed if one.get("subscriptionType") == "OBJECT" and one.get("objectTypeId") == _CONTACT
        ]
        if any(_covers(one, properties) for one in ours):
            return
        self._make({"subscriptionType": "OBJECT", "actions": list(_ACTIONS), "properties": sorted(properties)})
        for one in ours:
            self._take_off(text(one.get("id")))

    def next_file(self, after: str | None) -> File | None:
        """The file that follows an offset, the oldest that is kept for None; None when there is none yet.

        Raises NotThere or BadRequest when HubSpot does not know the offset.
        """
        place = "earliest" if after is None else f"offset/{quote(after, safe='')}/next"
        link = self._send(Request("other", "GET", f"{_FILES}/{place}", {"installPortalId": self._portal}), _link)
        return File(link[1], tuple(self._hints(link[0]))) if link else None

    def _hints(self, url: str) -> Iterator[Hint]:
        # The address opens the file by itself: our token is not for whoever keeps it.
        try:
            answer = self._http.get(url)
            answer.raise_for_status()
            events = loads(answer.content)["journalEvents"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            raise Unavailable("A file of HubSpot's journal could not be fetched.", portal=self._portal) from error
        for event in events if isinstance(events, list) else []:
            hint = _hint(event) if isinstance(event, dict) else None
            if hint is not None and hint.portal_id == self._portal:
                yield hint

    def _listed(self) -> list[Mapping[str, Any]]:
        return self._send(Request("other", "GET", _SUBSCRIPTIONS), _results)

    def _make(self, body: Mapping[str, Any]) -> None:
        asked = {**body, "objectTypeId": _CONTACT, "portalId": int(self._portal)}
        # Made twice, it is one too many, which does no harm.
        self._send(Request("other", "POST", _SUBSCRIPTIONS, body=asked), _nothing)

    def _take_off(self, number: str) -> None:
        try:
            self._send(Request("other", "DELETE", f"{_SUBSCRIPTIONS}/{quote(number, safe='')}"), _nothing)
        except NotThere:
            pass

    def _send(self, request: Request, parse: Callable[[Any], T]) -> T:
        return self._transport.send(request, parse, lane=Lane.WEBHOOK)


def _covers(subscription: Mapping[str, Any], properties: Collection[str]) -> bool:
    """Whether it says all that we want to hear. Without `properties`, nobody knows which changes it tells."""
    actions, named = subscription.get("actions") or (), subscription.get("properties") or ()
    return set(_ACTIONS) <= set(actions) and set(properties) <= set(named)


def _hint(event: Mapping[str, Any]) -> Hint | None:
    """An event about a contact. One of a kind we do not know is a reason to look, too."""
    is_erasure = event.get("type") == _ERASURES
    if event.get("objectId") is None or not (is_erasure or event.get("objectTypeId") == _CONTACT):
        return None
    merged = event.get("mergedObjectIds")
    return Hint(
        portal_id=text(event.get("portalId")),
        kind=HintKind.ERASED if is_erasure else _KINDS.get(text(event.get("action")), HintKind.CHANGED),
        object_id=RecordId(text(event["objectId"])),
        primary_id=_id(event.get("primaryObjectId")),
        merged_ids=tuple(RecordId(text(key)) for key in merged) if isinstance(merged, list) else (),
        new_id=_id(event.get("newObjectId")),
        occurred_at=moment(event.get("occurredAt")),
    )


def _id(value: object) -> RecordId | None:
    return RecordId(text(value)) if value else None


def _link(body: Any) -> tuple[str, str] | None:
    """Address and offset of a file; None for an answer without content."""
    if body is None:
        return None
    if not isinstance(body, dict) or not body.get("url") or body.get("currentOffset") is None:
        raise Malformed("this is no link to a file of the journal")
    return text(body["url"]), text(body["currentOffset"])


def _results(body: Any) -> list[Mapping[str, Any]]:
    if not isinstance(body, dict) or not isinstance(body.get("results"), list):
        raise Malformed("this is no list of subscriptions")
    return [one for one in body["results"] if isinstance(one, dict)]


def _nothing(_: object) -> None:
    return None
