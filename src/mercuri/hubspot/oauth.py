"""HubSpot's OAuth: where to send a person, and what their consent is exchanged for (OAuth guide, 2026-09)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from mercuri.errors import BadRequest, HubSpotError, RateLimited, Unauthorised, Unavailable, UserError
from mercuri.hubspot.tokens import Tokens
from mercuri.hubspot.wire import API_VERSION

SCOPES = ("oauth", "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read")
OPTIONAL_SCOPES = ("crm.schemas.contacts.write", "communication_preferences.read_write")

_RECONNECT = "HubSpot has withdrawn our access to this portal. Connect it again; nothing here was lost."
_MISCONFIGURED = (
    "HubSpot does not know this installation's app. Check MERCURI_HUBSPOT_CLIENT_ID, MERCURI_HUBSPOT_CLIENT_SECRET "
    "and the redirect address of the app; the portal's connection itself was left as it is."
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person agreed to: tokens for one portal."""

    tokens: Tokens
    hub_id: str
    user_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Introspection:
    """What HubSpot says about a token; `active` false when it knows it not, or no longer."""

    active: bool
    hub_id: str = ""
    hub_domain: str = ""
    user: str = ""
    app_id: str = ""
    scopes: tuple[str, ...] = ()


class OAuth:
    """Our app, as HubSpot's OAuth knows it."""

    def __init__(
        self,
        api_url: str,
        app_url: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        http: httpx.Client,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._token_url = f"{api_url.rstrip('/')}/oauth/{API_VERSION}/token"
        self._authorize_url = f"{app_url.rstrip('/')}/oauth/authorize"
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._redirect_uri = redirect_uri
        self._http, self._now = http, now

    def authorize_url(
        self, state: str, scopes: tuple[str, ...] = SCOPES, optional_scopes: tuple[str, ...] = OPTIONAL_SCOPES
    ) -> str:
        """Where to send a person who connects a portal; `state` comes back with them."""
        query = {
            "client_id": self._client["client_id"],
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(scopes),
            "optional_scope": " ".join(optional_scopes),
            "state": state,
        }
        return f"{self._authorize_url}?{urlencode({k: v for k, v in query.items() if v}, quote_via=quote)}"

    def exchange(self, code: str) -> Grant:
        """Turn the code a person came back with into tokens. Raises UserError when it is too old or not ours."""
        answer = self._ask(
            self._token_url, {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        )
        tokens = self._tokens(answer)
        return Grant(tokens, _text(answer.get("hub_id")), _text(answer.get("user_id")), tokens.scopes)

    def refresh(self, tokens: Tokens) -> Tokens:
        """New tokens for old. Raises Unauthorised when the grant is gone."""
        answer = self._ask(self._token_url, {"grant_type": "refresh_token", "refresh_token": tokens.refresh or ""})
        fresh = self._tokens(answer)
        # HubSpot may leave out what has not changed: keep what we had.
        return replace(fresh, refresh=fresh.refresh or tokens.refresh, scopes=fresh.scopes or tokens.scopes)

    def for_app(self, scopes: Sequence[str]) -> Tokens:
        """A token of the app itself, for what belongs to no portal; there is nothing to refresh it with."""
        return self._tokens(self._ask(self._token_url, {"grant_type": "client_credentials", "scope": " ".join(scopes)}))

    def introspect(self, token: str) -> Introspection:
        """Ask whose token this is."""
        answer = self._ask(f"{self._token_url}/introspect", {"token": token, "token_type_hint": "access_token"})
        return Introspection(
            active=answer.get("active") is True,
            hub_id=_text(answer.get("hub_id")),
            hub_domain=_text(answer.get("hub_domain")),
            user=_text(answer.get("user")),
            app_id=_text(answer.get("app_id")),
            scopes=_scopes(answer),
        )

    def _tokens(self, answer: Mapping[str, Any]) -> Tokens:
        access, lasts = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(access, str) or not isinstance(lasts, int):
            raise Unavailable("HubSpot's token answer could not be read.")
        refresh = answer.get("refresh_token")
        return Tokens(
            access=access,
            refresh=refresh if isinstance(refresh, str) and refresh else None,
            expires_at=self._now() + timedelta(seconds=lasts),
            scopes=_scopes(answer),
        )

    def _ask(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            response = self._http.post(url, data={**form, **self._client})
            body = response.json()
        except httpx.HTTPError as error:
            raise Unavailable("HubSpot's sign-in did not answer.") from error
        except ValueError:
            body = {}
        answer = body if isinstance(body, dict) else {}
        if response.status_code == 200 and answer:
            return answer
        raise _refusal(response, answer)


def _refusal(response: httpx.Response, answer: Mapping[str, Any]) -> HubSpotError | UserError:
    status, code, hubspot_code = response.status_code, answer.get("error"), answer.get("status")
    if status == 429:
        seconds = response.headers.get("retry-after", "")
        return RateLimited("HubSpot's sign-in is busy.", retry_after=float(seconds) if seconds.isdecimal() else 10.0)
    if status >= 500 or status == 200:
        return Unavailable("HubSpot's sign-in did not answer.", status=status)
    if code == "invalid_client" or hubspot_code in {"BAD_CLIENT_ID", "BAD_CLIENT_SECRET", "BAD_REDIRECT_URI"}:
        return UserError(_MISCONFIGURED)
    if hubspot_code == "BAD_AUTH_CODE":
        return UserError("HubSpot's permission has expired or was used already. Nothing was changed; connect again.")
    if code in {"invalid_grant", "access_denied"} or hubspot_code in {"BAD_REFRESH_TOKEN", "BAD_HUB"}:
        return Unauthorised(_RECONNECT, status=status)
    return BadRequest("HubSpot refused the sign-in.", raw=response.text[:4000], status=status)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _scopes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    scopes = answer.get("scopes") or ()
    return tuple(str(scope) for scope in (scopes.split() if isinstance(scopes, str) else scopes))
