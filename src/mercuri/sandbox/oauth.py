"""OAuth: codes, refresh tokens and access tokens, and the errors of HubSpot's token endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

from mercuri.sandbox.answers import Refusal
from mercuri.sandbox.switches import Switches

READ, WRITE = "crm.objects.contacts.read", "crm.objects.contacts.write"
SCHEMA_READ, SCHEMA_WRITE = "crm.schemas.contacts.read", "crm.schemas.contacts.write"
KNOWN_SCOPES = frozenset(
    {
        "oauth", READ, WRITE, SCHEMA_READ, SCHEMA_WRITE, "crm.export", "crm.import",
        "communication_preferences.read", "communication_preferences.write", "communication_preferences.read_write",
        "communication_preferences.statuses.batch.read", "communication_preferences.statuses.batch.write",
        "crm.objects.owners.read", "crm.lists.read", "crm.lists.write", "crm.objects.companies.read",
    }
)  # fmt: skip
JOURNAL_SCOPES = frozenset(
    {"webhooks-journal-data-access", "developer.webhooks_journal.read"}
    | {
        f"developer.webhooks_journal.{part}.{verb}"
        for part in ("subscriptions", "snapshots")
        for verb in ("read", "write")
    }
)
REQUIRED_SCOPES = frozenset({"oauth"})
_CODE_LIFE_MS = 10 * 60_000


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """An access token and what it may do; `expires_ms` is None for a static one."""

    text: str
    scopes: frozenset[str]
    static: bool = False
    expires_ms: int | None = None
    refresh: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """What a person agreed to, not yet turned into tokens."""

    redirect_uri: str
    scopes: frozenset[str]
    expires_ms: int


class OAuth:
    """The grants of one app in one portal. Access tokens live `lifetime_s` seconds."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        rng: Random,
        client_id: str,
        client_secret: str,
        static_token: str,
        lifetime_s: int,
        switches: Callable[[], Switches],
    ) -> None:
        self._now_ms = now_ms
        self._switches = switches
        self._rng = rng
        self.client_id = client_id
        self.client_secret = client_secret
        self.lifetime_s = lifetime_s
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, frozenset[str]] = {}
        self._access: dict[str, Token] = {static_token: Token(static_token, KNOWN_SCOPES, static=True)}

    def set_static(self, text: str, scopes: frozenset[str]) -> None:
        """A static token with these scopes alone."""
        self._access[text] = Token(text, scopes, static=True)

    def check_install(self, params: Mapping[str, str]) -> str:
        """Why HubSpot's page would stop here, or "" when a person may agree. The app never hears of it."""
        if params.get("client_id") != self.client_id:
            return "We couldn't find an app with this client id."
        if not self._is_redirect(params.get("redirect_uri", "")):
            return "The redirect URL is missing, not https, or not one of the app's redirect URLs."
        asked = set(params.get("scope", "").split())
        unknown = sorted((asked | set(params.get("optional_scope", "").split())) - KNOWN_SCOPES)
        if unknown:
            return f"The app asks for scopes that do not exist: {', '.join(unknown)}."
        missing = sorted(REQUIRED_SCOPES - asked)
        return (
            f"Authorization failed because there is a mismatch of scopes. Missing: {', '.join(missing)}."
            if missing
            else ""
        )

    def agree(self, redirect_uri: str, scopes: frozenset[str]) -> str:
        """A person connects the app: the code for the redirect."""
        code = self._secret("na1-")
        self._codes[code] = Code(redirect_uri, scopes, self._now_ms() + _CODE_LIFE_MS)
        return code

    def exchange(self, form: Mapping[str, str]) -> Token:
        """Tokens for a code or a refresh token.

        Raises Refusal with the token endpoint's own errors.
        """
        self._check_client(form)
        grant = form.get("grant_type")
        if grant == "authorization_code":
            return self._by_code(form)
        if grant == "refresh_token":
            return self._by_refresh(form.get("refresh_token", ""))
        if grant == "client_credentials":
            return self._by_credentials(frozenset(form.get("scope", "").split()))
        raise _refused(
            "unsupported_grant_type",
            "UNSUPPORTED_GRANT_TYPE",
            "grant_type must be one of authorization_code, refresh_token",
        )

    def token(self, header: str) -> Token:
        """The token of an `Authorization` header.

        Raises Refusal (401) when it is unknown or has expired.
        """
        kind, _, text = header.partition(" ")
        token = self._access.get(text.strip()) if kind.lower() == "bearer" else None
        if token is None:
            raise unauthorised()
        if token.expires_ms is not None and token.expires_ms <= self._now_ms():
            raise expired((self._now_ms() - token.expires_ms) // 1000)
        return token

    def introspect(self, form: Mapping[str, str]) -> Token | None:
        """The live token (access or refresh) that was asked about; None is inactive."""
        self._check_client(form)
        text = form.get("token", "")
        if text in self._refresh:
            return Token(text, self._refresh[text], refresh=text)
        token = self._access.get(text)
        return token if token is not None and (token.expires_ms is None or token.expires_ms > self._now_ms()) else None

    def revoke(self, refresh_token: str) -> None:
        """Forget a refresh token. Access tokens that were issued live on."""
        self._refresh.pop(refresh_token, None)

    def revoke_all(self) -> None:
        """The app is uninstalled: neither refresh nor access tokens work. Static ones stay."""
        self._refresh.clear()
        self._access = {text: token for text, token in self._access.items() if token.static}

    def revoke_static(self) -> None:
        """Static tokens stop working."""
        self._access = {text: token for text, token in self._access.items() if not token.static}

    def expire_all(self) -> None:
        """Every access token by OAuth has run out just now."""
        now = self._now_ms()
        self._access = {
            text: token if token.static else Token(text, token.scopes, False, now, token.refresh)
            for text, token in self._access.items()
        }

    def _by_code(self, form: Mapping[str, str]) -> Token:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_ms <= self._now_ms():
            raise _refused("invalid_grant", "BAD_AUTH_CODE", "missing or unknown auth code")
        if form.get("redirect_uri") != code.redirect_uri:
            raise _refused(
                "redirect_uri_mismatch", "BAD_REDIRECT_URI", "redirect_uri does not match the one of the authorization"
            )
        refresh = self._secret("na1-")
        self._refresh[refresh] = code.scopes
        return self._issue(code.scopes, refresh)

    def _by_refresh(self, refresh: str) -> Token:
        scopes = self._refresh.get(refresh)
        if scopes is None:
            raise refused_refresh()
        if self._switches().refresh_token == "replaced":
            del self._refresh[refresh]
            refresh = self._secret("na1-")
            self._refresh[refresh] = scopes
        return self._issue(scopes, refresh)

    def _by_credentials(self, scopes: frozenset[str]) -> Token:
        if not scopes or scopes - KNOWN_SCOPES - JOURNAL_SCOPES:
            raise _refused("invalid_scope", "BAD_SCOPES", "missing or unknown scopes")
        return self._issue(scopes, "")

    def _issue(self, scopes: frozenset[str], refresh: str) -> Token:
        token = Token(self._secret("CMa"), scopes, False, self._now_ms() + self.lifetime_s * 1000, refresh)
        self._access[token.text] = token
        return token

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != self.client_id:
            raise _refused("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id")
        if form.get("client_secret") != self.client_secret:
            raise _refused("invalid_client", "BAD_CLIENT_SECRET", "missing or unknown client secret")

    @staticmethod
    def _is_redirect(uri: str) -> bool:
        parts = urlsplit(uri)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1"))
        )

    def _secret(self, prefix: str) -> str:
        return prefix + "".join(
            self._rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=200)
        )


def refused_refresh() -> Refusal:
    """400 for a refresh token that does not work any more."""
    return _refused("invalid_grant", "BAD_REFRESH_TOKEN", "refresh token is invalid, expired or revoked")


def unauthorised() -> Refusal:
    """401 for credentials nobody knows."""
    message = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
    return Refusal(401, {"status": "error", "message": message, "category": "INVALID_AUTHENTICATION"})


def expired(seconds: int) -> Refusal:
    """401 for an access token that has run out."""
    message = f"The OAuth token used to make this call expired {seconds} second(s) ago."
    context = {"expireTime": ["PT0S"]}
    return Refusal(
        401, {"status": "error", "message": message, "category": "EXPIRED_AUTHENTICATION", "context": context}
    )


def _refused(error: str, status: str, message: str) -> Refusal:
    return Refusal(400, {"error": error, "error_description": message, "status": status, "message": message})
