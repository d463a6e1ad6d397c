"""Who calls: a bearer token leads to a workspace and a role, and everything else is asked of that workspace alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mercuri.core.contact import WorkspaceId
from mercuri.engine.app import Actor, App, require
from mercuri.store import users
from mercuri.store.database import ANY
from mercuri.web.api.problems import ApiProblem
from mercuri.wiring import Services

#: How exactly the last use of a token is known.
_NOTED_EVERY = timedelta(minutes=1)
_bearer = HTTPBearer(auto_error=False, description="An API token: `mercuri token create NAME`")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request this is, and the use cases they may ask for."""

    app: App
    ws: WorkspaceId
    actor: Actor


def services_of(request: Request) -> Services:
    """The running program's parts."""
    services: Services = request.app.state.services
    return services


def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> Caller:
    """The caller by their token. Raises a 401 problem that does not tell what was wrong with it."""
    app = services_of(request).app
    identity = None
    if credentials is not None:
        with app.db.read(ANY) as tx:
            identity = users.find_token(tx, credentials.credentials)
    if identity is None or identity.token_id is None:
        raise ApiProblem(
            401,
            "Login needed",
            "Send a valid API token: `Authorization: Bearer …`. Make one with `mercuri token create NAME`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    _note_use(request, app, identity.token_id)
    return Caller(app, identity.workspace, Actor(f"api:{identity.name}", identity.role))


def _note_use(request: Request, app: App, token_id: int) -> None:
    """Remember when the token was last used, to the minute."""
    if not hasattr(request.app.state, "token_uses"):
        request.app.state.token_uses = {}
    uses: dict[int, datetime] = request.app.state.token_uses
    now = app.now()
    if token_id not in uses or now - uses[token_id] >= _NOTED_EVERY:
        uses[token_id] = now
        with app.db.write(ANY) as tx:
            users.note_token_use(tx, token_id, now)


def role(name: str) -> Callable[[Caller], Caller]:
    """A dependency that lets only this role and stronger ones pass; viewer < manager < owner."""

    def checked(who: Annotated[Caller, Depends(caller)]) -> Caller:
        require(who.actor, name)
        return who

    return checked


Reader = Annotated[Caller, Depends(role("viewer"))]
Manager = Annotated[Caller, Depends(role("manager"))]
