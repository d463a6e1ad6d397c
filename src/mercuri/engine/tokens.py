"""A portal's tokens in our database, encrypted: what `hubspot.tokens` asks of a store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.engine.app import App
from mercuri.errors import Unauthorised
from mercuri.hubspot.tokens import Tokens
from mercuri.store import portals


def sealed(app: App, tokens: Tokens) -> bytes:
    """Tokens as they are stored."""
    body = {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
        "scopes": list(tokens.scopes),
        "kind": tokens.kind,
    }
    return app.vault.encrypt(json.dumps(body).encode())


class PortalTokens:
    """The tokens of one portal, in the row that all processes share."""

    def __init__(self, app: App, ws: WorkspaceId, portal: PortalId) -> None:
        self._app, self._ws, self._portal = app, ws, portal

    def load(self) -> Tokens:
        """The tokens as last saved. Raises Unauthorised once the portal is disconnected."""
        with self._app.db.read(self._ws) as tx:
            secrets = portals.load_tokens(tx, self._portal)
        if secrets is None:
            raise Unauthorised("This portal is disconnected. Connect it again.")
        body = json.loads(self._app.vault.decrypt(secrets))
        expires = datetime.fromisoformat(body["expires_at"]) if body["expires_at"] else None
        return Tokens(body["access"], body["refresh"], expires, tuple(body["scopes"]), body["kind"])

    def save(self, tokens: Tokens) -> None:
        """Store tokens; durable on return."""
        with self._app.db.write(self._ws) as tx:
            portals.save_tokens(tx, self._portal, sealed(self._app, tokens))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while the token is refreshed: a second refresh might end the token that the first one just got."""
        with self._app.db.alone(f"token-{self._ws}-{self._portal}"):
            yield
