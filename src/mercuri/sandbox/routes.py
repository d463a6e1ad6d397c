"""Which path means what, in every version's spelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mercuri.sandbox import contacts as contact_routes
from mercuri.sandbox.answers import Answer, Refusal, invalid, json_answer, missing_scopes, no_such_route
from mercuri.sandbox.batch import Batches
from mercuri.sandbox.contacts import Contacts
from mercuri.sandbox.oauth import READ, SCHEMA_READ, SCHEMA_WRITE, Token
from mercuri.sandbox.preferences import Preferences
from mercuri.sandbox.records import Author
from mercuri.sandbox.request import Request
from mercuri.sandbox.schema_api import Schema
from mercuri.sandbox.times import iso

if TYPE_CHECKING:
    from mercuri.sandbox.api import Sandbox

_DATED = ("2026-09", "2026-03")
_JOURNAL = ("journal", "journal-local", "subscriptions", "snapshots")
_TYPES = ("contacts", "contact", "0-1")


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names: the area of the API, the version it spells, and the segments below."""

    area: str
    version: str
    rest: tuple[str, ...]


def parse_path(path: str) -> Place | None:
    """The place of a path, or None when no version of the API has it."""
    match path.strip("/").split("/"):
        case ["crm", "objects", version, kind, *rest] if version in _DATED:
            return _typed("objects", version, kind, rest)
        case ["crm", "v3", "objects", kind, *rest]:
            return _typed("objects", "v3", kind, rest)
        case ["crm", "properties", version, kind, *rest] if version in _DATED:
            return _typed("properties", version, kind, rest)
        case ["crm", "v3", "properties", kind, *rest]:
            return _typed("properties", "v3", kind, rest)
        case ["properties", "v2", kind, "properties"]:
            return _typed("old_properties", "v2", kind, [])
        case ["crm", "v4", "associations", kind, _, "batch", "read"] if kind in _TYPES:
            return Place("associations", "v4", ())
        case ["crm", "associations", version, kind, _, "batch", "read"] if version in _DATED and kind in _TYPES:
            return Place("associations", version, ())
        case ["communication-preferences", version, *rest] if version in (*_DATED, "v4"):
            return Place("preferences", version, tuple(rest))
        case ["oauth", version, *rest] if version in (*_DATED, "v3", "v1"):
            return Place("oauth", version, tuple(rest))
        case ["webhooks-journal", part, version, *rest] if version in _DATED and part in _JOURNAL:
            return Place("journal", version, (part, *rest))
        case ["account-info", version, *rest] if version in (*_DATED, "v3"):
            return Place("account", version, tuple(rest))
    return None


def kind_of(method: str, path: str) -> str:
    """The counter a request goes to: list, search, read, write or other."""
    place = parse_path(path)
    if place is None or place.area != "objects":
        return "other"
    if method == "GET":
        return "read" if place.rest else "list"
    return {("search",): "search", ("batch", "read"): "read"}.get(place.rest, "write")


class Routes:
    """The endpoints of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        portal = sandbox.portal
        self.contacts = Contacts(portal, self._author)
        self.batches = Batches(self.contacts)
        self.schema = Schema(portal)
        self.preferences = Preferences(portal)

    def answer(self, area: str, request: Request) -> Answer:
        """Answer a call that came with a good token.

        Raises Refusal.
        """
        if area == "unknown_type":
            raise invalid(f"Unable to infer object type from: {request.rest[0]}")
        answers = {
            "objects": self._objects,
            "properties": self._properties,
            "old_properties": self._old_properties,
            "associations": self._associations,
            "preferences": self._preferences,
            "account": self._account,
            "journal": self._sandbox.journal.route,
        }
        answer = answers[area](request)
        if answer is None:
            raise no_such_route()
        return answer

    def open(self, request: Request) -> Answer:
        """Answer a call of the OAuth area, which needs no token."""
        oauth = self._sandbox.oauth
        match request.method, request.rest:
            case "POST", ("token",):
                return json_answer(self._token_body(oauth.exchange(_form(request))))
            case "POST", ("token", "introspect"):
                return json_answer(self._introspected(oauth.introspect(_form(request))))
            case "POST", ("token", "revoke"):
                oauth.revoke(_form(request).get("token", ""))
                return json_answer({})
            case "GET", ("access-tokens", text) if request.version == "v1":
                return json_answer(self._introspected(oauth.token(f"Bearer {text}")))
        raise no_such_route()

    def _objects(self, request: Request) -> Answer | None:
        _need(request, (contact_routes.scope_of(request),))
        if len(request.rest) == 2 and request.rest[0] == "batch" and request.method == "POST":
            return self.batches.route(request, request.rest[1])
        return contact_routes.route(self.contacts, request)

    def _properties(self, request: Request) -> Answer | None:
        reads = request.method == "GET" or request.rest == ("batch", "read")
        _need(request, (SCHEMA_READ, READ) if reads else (SCHEMA_WRITE,))
        return self.schema.route(request)

    def _old_properties(self, request: Request) -> Answer | None:
        _need(request, (SCHEMA_READ, READ))
        return json_answer(
            [each.to_json() for each in self._sandbox.portal.properties.values() if each.archived_ms is None]
        )

    def _associations(self, request: Request) -> Answer | None:
        _need(request, (READ,))
        moment = iso(self._sandbox.portal.now_ms())
        return json_answer({"status": "COMPLETE", "results": [], "startedAt": moment, "completedAt": moment})

    def _preferences(self, request: Request) -> Answer | None:
        verb = "read" if request.method == "GET" else "write"
        _need(request, (f"communication_preferences.{verb}", "communication_preferences.read_write"))
        return self.preferences.route(request, self._author(request))

    def _account(self, request: Request) -> Answer | None:
        sandbox = self._sandbox
        if request.token is not None and request.token.static and sandbox.switches.static_account_info == "refused":
            raise missing_scopes(("oauth",), static=True)
        _need(request, ("oauth",))
        match request.method, request.rest:
            case "GET", ("details",):
                return json_answer(sandbox.account())
            case "GET", ("api-usage", "daily", "private-apps"):
                return json_answer(
                    {
                        "results": [
                            {
                                "name": "private-apps-api-calls-daily",
                                "usageLimit": sandbox.limits.daily,
                                "currentUsage": sandbox.limits.used_today,
                            }
                        ]
                    }
                )
        return None

    def _author(self, request: Request) -> Author:
        static = request.token is not None and request.token.static
        if static and self._sandbox.switches.static_author == "none":
            return Author("INTEGRATION")
        return Author("INTEGRATION", str(self._sandbox.app_id))

    def _token_body(self, token: Token) -> dict[str, Any]:
        life = self._sandbox.oauth.lifetime_s
        body: dict[str, Any] = {
            "token_type": "bearer",
            "access_token": token.text,
            "expires_in": life,
            "token_use": "access_token",
            "hub_id": self._sandbox.portal.portal_id,
            "scopes": sorted(token.scopes),
            "user_id": 28604240,
        }
        return {**body, "refresh_token": token.refresh} if token.refresh else body

    def _introspected(self, token: Token | None) -> dict[str, Any]:
        if token is None:
            return {"active": False}
        sandbox = self._sandbox
        left = 0 if token.expires_ms is None else (token.expires_ms - sandbox.portal.now_ms()) // 1000
        return {
            "active": True,
            "token": token.text,
            "token_type": "refresh_token" if token.text == token.refresh else "access_token",
            "hub_id": sandbox.portal.portal_id,
            "hub_domain": "sandbox.example.com",
            "user": "ana@example.com",
            "user_id": 28604240,
            "app_id": sandbox.app_id,
            "client_id": sandbox.oauth.client_id,
            "scopes": sorted(token.scopes),
            "expires_in": left,
        }


def _typed(area: str, version: str, kind: str, rest: list[str]) -> Place | None:
    return Place(area, version, tuple(rest)) if kind in _TYPES else Place("unknown_type", version, (kind,))


def _need(request: Request, any_of: tuple[str, ...]) -> None:
    token = request.token
    if token is None or token.scopes.isdisjoint(any_of):
        raise missing_scopes(any_of, static=token is not None and token.static)


def _form(request: Request) -> dict[str, str]:
    if "application/x-www-form-urlencoded" not in request.headers.get("content-type", ""):
        raise Refusal(415, {"status": "error", "message": "Unsupported Media Type"})
    if request.params:
        raise invalid("Parameters belong in the body, not in the query")
    return request.form()
