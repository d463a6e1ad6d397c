"""Who asks, and whether they may: sessions in a cookie, the CSRF token of every form, roles.

Views name what they need by a type: `Viewer`, `Manager` or `Owner` is the identity, once it has that role.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import Response

from mercuri.core.contact import WorkspaceId
from mercuri.engine.app import Actor, require
from mercuri.errors import Forbidden
from mercuri.store import users
from mercuri.store.database import ANY
from mercuri.store.users import Identity
from mercuri.web.problems import NeedsLogin, NeedsSetup
from mercuri.web.services import app_of, services_of

COOKIE = "mercuri_session"
#: How long a login lasts.
LIFETIME = timedelta(days=30)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Form = Mapping[str, str]


def signed_in(request: Request) -> Identity:
    """Who is logged in. Raises NeedsLogin, or NeedsSetup where there is no user at all yet."""
    identity = identity_of(request)
    if identity is None:
        app = app_of(request)
        with app.db.read(ANY) as tx:
            raise NeedsLogin("Log in first.") if users.any_user(tx) else NeedsSetup("Create the first user.")
    request.state.identity = identity
    return identity


def identity_of(request: Request) -> Identity | None:
    """Whose session the cookie is, if any."""
    token = request.cookies.get(COOKIE, "")
    if not token:
        return None
    app = app_of(request)
    with app.db.read(ANY) as tx:
        return users.find_session(tx, token, app.now())


def _at_least(role: str) -> Callable[[Request], Identity]:
    def identity(request: Request) -> Identity:
        known: Identity = request.state.identity
        require(actor_of(known), role)
        return known

    return identity


Viewer = Annotated[Identity, Depends(_at_least("viewer"))]
Manager = Annotated[Identity, Depends(_at_least("manager"))]
Owner = Annotated[Identity, Depends(_at_least("owner"))]


def actor_of(identity: Identity) -> Actor:
    """The person as use cases know them."""
    return Actor(identity.name, identity.role)


def csrf_of(identity: Identity) -> str:
    """The session's CSRF token under a mask that is new each time, so that compression tells nothing of it (BREACH)."""
    token = identity.csrf.encode()
    mask = secrets.token_bytes(len(token))
    return base64.urlsafe_b64encode(mask + _xor(mask, token)).decode()


def _unmasked(text: str) -> bytes:
    try:
        both = base64.urlsafe_b64decode(text.encode())
    except ValueError:
        return b""
    return _xor(both[: len(both) // 2], both[len(both) // 2 :])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


async def sent(request: Request) -> Form:
    """The fields of the form that was sent, as text; files are left out."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


async def guarded(request: Request, identity: Annotated[Identity, Depends(signed_in)]) -> None:
    """Let a change pass only with the session's CSRF token, from the form or the header. Raises Forbidden."""
    if request.method in _SAFE:
        return
    token = request.headers.get("X-CSRF-Token") or (await sent(request)).get("csrf", "")
    if not hmac.compare_digest(_unmasked(token), identity.csrf.encode()):
        raise Forbidden("This form is out of date, or was not sent from Mercuri. Nothing was changed. Reload the page.")


def from_here(request: Request) -> None:
    """Let a form without a session (login, set-up) pass only when it was sent from our own page. Raises Forbidden."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        is_ours = origin is None or urlsplit(origin).netloc in _our_hosts(request)
    if not is_ours:
        raise Forbidden("This form was not sent from Mercuri. Nothing was changed.")


def _our_hosts(request: Request) -> set[str]:
    return {request.headers.get("Host", ""), urlsplit(services_of(request).settings.public_url).netloc}


def start(request: Request, response: Response, user_id: int, workspace: WorkspaceId) -> None:
    """Log a person in: a new session, whatever the cookie was before."""
    app = app_of(request)
    with app.db.write(workspace) as tx:
        users.end_session(tx, request.cookies.get(COOKIE, ""))
        token = users.start_session(tx, user_id, app.now(), LIFETIME)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_https(request),
        path="/",
    )


def end(request: Request, response: Response) -> None:
    """Log a person out."""
    with app_of(request).db.write(ANY) as tx:
        users.end_session(tx, request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


def remember(request: Request, identity: Identity, **values: object) -> Identity:
    """Keep plain JSON data with the session; the answer has it."""
    known = replace(identity, data={**identity.data, **values})
    with app_of(request).db.write(identity.workspace) as tx:
        users.save_session_data(tx, request.cookies.get(COOKIE, ""), known.data)
    request.state.identity = known
    return known


def is_https(request: Request) -> bool:
    """Whether browsers reach us by https, so that cookies may insist on it."""
    return services_of(request).settings.public_url.startswith("https://")
