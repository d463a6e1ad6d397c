"""The webhooks journal: events to be fetched, in order, kept for three days, by whoever has no public address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random
from typing import Any

from mercuri.sandbox.answers import Answer, Refusal, invalid, json_answer, missing_scopes, not_found
from mercuri.sandbox.oauth import READ
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Event
from mercuri.sandbox.request import Request, text_of, texts_of, whole
from mercuri.sandbox.times import DAY_MS, iso

ACTIONS = {
    "creation": "CREATE", "propertyChange": "UPDATE", "deletion": "DELETE", "merge": "MERGE", "restore": "RESTORE",
    "privacyDeletion": "GDPR_DELETE",
}  # fmt: skip
#: Where the files lie; a key in the path is all they ask for.
FILES = "/journal-files/"
_PREFIX = "developer.webhooks_journal."
_OTHER_SPELLING = "webhooks-journal-data-access"
_KEPT_MS = 3 * DAY_MS
_FILE_LIFE_MS = 5 * 60_000
_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which actions on contacts are written down, and the values of which properties (None: it was not said)."""

    number: int
    kind: str
    actions: frozenset[str]
    properties: frozenset[str] | None

    def to_json(self, portal_id: int) -> dict[str, Any]:
        """As the API shows it."""
        listed = {} if self.properties is None else {"properties": sorted(self.properties)}
        told = {"id": self.number, "subscriptionType": self.kind, "objectTypeId": "0-1", "portalId": portal_id}
        return {**told, "actions": sorted(self.actions), **listed}


@dataclass(frozen=True, slots=True)
class File:
    """What was published at one moment."""

    offset: int
    at_ms: int
    key: str
    events: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """The file itself."""
        return {"offset": self.offset, "journalEvents": list(self.events), "publishedAt": iso(self.at_ms)}


class Journal:
    """`webhooks-journal/{subscriptions,journal,journal-local,snapshots}/{version}` and the files."""

    def __init__(self, portal: Portal, address: Callable[[], str], rng: Random) -> None:
        self._portal = portal
        self._address = address
        self._rng = rng
        self._subscriptions: dict[int, Subscription] = {}
        self._open: list[dict[str, Any]] = []
        self._open_ms = 0
        self._files: list[File] = []
        self._links: dict[str, tuple[File, int]] = {}
        self._next = 1000
        portal.listeners.append(self.hear)

    def subscriptions(self) -> list[Subscription]:
        """What is subscribed to, oldest first."""
        return list(self._subscriptions.values())

    def hear(self, event: Event) -> None:
        """Write an event down, if somebody subscribed to it."""
        action = ACTIONS[event.kind]
        wanted = [each for each in self._subscriptions.values() if action in each.actions]
        if action == "UPDATE":
            self._hear_value(event, wanted)
        elif wanted:
            self._open.append(self._entry(event.record_id, action, event.at_ms, {}))

    def _hear_value(self, event: Event, wanted: list[Subscription]) -> None:
        """Values of one write stand in one entry; those of a create stand in the create's."""
        last = self._open[-1] if self._open else None
        same = last is not None and last["objectId"] == event.record_id and last["occurredAt"] == iso(event.at_ms)
        if last is not None and same and last["action"] in ("CREATE", "UPDATE"):
            creators = [each for each in self._subscriptions.values() if last["action"] in each.actions]
            if self._covers(creators, event.name):
                last["propertyChanges"][event.name] = event.value
        elif self._covers(wanted, event.name):
            self._open.append(self._entry(event.record_id, "UPDATE", event.at_ms, {event.name: event.value}))

    def _covers(self, subscriptions: list[Subscription], name: str) -> bool:
        unsaid = self._portal.switches.journal_properties == "all"
        return any(unsaid if each.properties is None else name in each.properties for each in subscriptions)

    def _entry(self, record_id: int, action: str, at_ms: int, values: dict[str, str]) -> dict[str, Any]:
        self._open_ms = at_ms
        return {
            "type": "GDPR_PRIVACY_DELETION" if action == "GDPR_DELETE" else "OBJECT",
            "portalId": self._portal.portal_id,
            "occurredAt": iso(at_ms),
            "action": action,
            "objectTypeId": "0-1",
            "objectId": record_id,
            "propertyChanges": values,
        }

    def route(self, request: Request) -> Answer | None:
        """Answer a call below the journal's path; None when the path means nothing."""
        part, *rest = request.rest
        self._need(request, {"journal-local": "journal"}.get(part, part))
        match request.method, part, rest:
            case "POST", "subscriptions", []:
                return json_answer(self._subscribe(request.json()).to_json(self._portal.portal_id), 201)
            case "GET", "subscriptions", []:
                listed = [each.to_json(self._portal.portal_id) for each in self._subscriptions.values()]
                return json_answer({"results": listed})
            case "DELETE", "subscriptions", [number]:
                if self._subscriptions.pop(whole(number) or 0, None) is None:
                    raise not_found()
                return Answer(204)
            case "POST", "snapshots", ["crm"]:
                return json_answer(self._snapshots(request.json()))
            case "GET", ("journal" | "journal-local"), ["status", status]:
                return json_answer({"id": status, "status": "COMPLETED"})
            case "GET", ("journal" | "journal-local"), _:
                return self._read(request, rest)
        return None

    def file(self, path: str) -> Answer:
        """The file behind a pre-signed address; it needs no token and lives five minutes."""
        link = self._links.get(path.removeprefix(FILES))
        if link is None or link[1] < self._portal.now_ms():
            return Answer(403)
        return json_answer(link[0].to_json())

    def _need(self, request: Request, part: str) -> None:
        verb = "read" if request.method == "GET" else "write"
        scope = f"{_PREFIX}read" if part == "journal" else f"{_PREFIX}{part}.{verb}"
        held: Collection[str] = request.token.scopes if request.token is not None else ()
        any_spelling = self._portal.switches.journal_scopes == "both" and _OTHER_SPELLING in held
        static = request.token is not None and request.token.static
        if scope not in held and not any_spelling:
            raise missing_scopes((scope,), static=static)
        if READ not in held:
            raise missing_scopes((READ,), static=static)

    def _subscribe(self, body: dict[str, Any]) -> Subscription:
        kind = text_of(body, "subscriptionType")
        if text_of(body, "portalId") != str(self._portal.portal_id):
            raise Refusal(403, {"status": "error", "message": "The app is not installed in this account"})
        if kind == "GDPR_PRIVACY_DELETION":
            actions = frozenset({"GDPR_DELETE"})
        elif kind == "OBJECT" and text_of(body, "objectTypeId") == "0-1":
            actions = frozenset(texts_of(body, "actions"))
        else:
            raise invalid(f"Subscriptions to {kind} are not supported here")
        if not actions or not actions <= {*ACTIONS.values()}:
            raise invalid("Invalid actions")
        properties = frozenset(texts_of(body, "properties")) if body.get("properties") else None
        made = Subscription(self._number(), kind, actions, properties)
        self._subscriptions[made.number] = made
        return made

    def _read(self, request: Request, rest: list[str]) -> Answer | None:
        self._publish()
        if request.rest[0] == "journal-local" and request.params.get("installPortalId") != str(self._portal.portal_id):
            raise invalid("installPortalId is missing or unknown")
        match rest:
            case ["earliest"]:
                return self._told(self._files[:1])
            case ["latest"]:
                return self._told(self._files[-1:])
            case ["offset", offset, "next"]:
                return self._told(self._after(offset)[:1])
            case ["batch", offset, "next", count]:
                most = whole(count) or 0
                if not 1 <= most <= _MOST_FILES:
                    raise invalid(f"count must be between 1 and {_MOST_FILES}")
                found = self._after(offset)[:most]
                return json_answer({"results": [self._link(each) for each in found]}) if found else Answer(204)
        return None

    def _told(self, files: list[File]) -> Answer:
        return json_answer(self._link(files[0])) if files else Answer(204)

    def _link(self, file: File) -> dict[str, Any]:
        until = self._portal.now_ms() + _FILE_LIFE_MS
        self._links[file.key] = (file, until)
        return {"url": f"{self._address()}{FILES}{file.key}", "expiresAt": iso(until), "currentOffset": file.offset}

    def _after(self, offset: str) -> list[File]:
        number = whole(offset)
        if number is None:
            raise invalid("The offset is unknown")
        return self._files[bisect_right([each.offset for each in self._files], number) :]

    def _publish(self) -> None:
        if self._open:
            key = f"{self._rng.getrandbits(160):040x}"
            self._files.append(File(self._number(), self._open_ms, key, tuple(self._open)))
            self._open = []
        now = self._portal.now_ms()
        self._files = [each for each in self._files if each.at_ms + _KEPT_MS > now]

    def _number(self) -> int:
        self._next += self._rng.randrange(1, 10)
        return self._next

    def _snapshots(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write the present state of records into the journal."""
        asked = body.get("snapshotRequests")
        cap = self._portal.switches.snapshot_cap
        if (
            not isinstance(asked, list)
            or not 1 <= len(asked) <= cap
            or not all(isinstance(each, dict) for each in asked)
        ):
            raise invalid(f"snapshotRequests must hold between 1 and {cap} objects")
        return {"snapshotResponses": [self._snapshot(each) for each in asked]}

    def _snapshot(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = text_of(asked, "objectId")
        record = self._portal.find(whole(key) or 0)
        if record is not None:
            values = {name: record.values.get(name, "") for name in texts_of(asked, "properties")}
            self._open.append(self._entry(record.id, "SNAPSHOT", self._portal.now_ms(), values))
        told = {"portalId": self._portal.portal_id, "objectTypeId": "0-1", "objectId": key}
        return {**told, "snapshotStatusId": f"{self._rng.getrandbits(64):016x}"}
