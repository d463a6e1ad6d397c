"""HubSpot's calls: verify, note what to look at, answer at once."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response

from mercuri.engine import inbox
from mercuri.hubspot import webhooks
from mercuri.store.database import Busy
from mercuri.web.services import app_of

router = APIRouter()
_log = structlog.get_logger("mercuri.webhooks")
#: Newest first: a call that carries a newer signature is judged by that one alone.
_VERSIONS = ("v3", "v2", "v1")


async def _raw(request: Request) -> bytes:
    return await request.body()


@router.post("/webhooks/hubspot")
def receive(request: Request, body: Annotated[bytes, Depends(_raw)]) -> Response:
    """Note the records that the events name. 2xx says that nothing has to be sent again, also for what we ignore."""
    app = app_of(request)
    secret = app.settings.hubspot_client_secret.get_secret_value()
    if not secret:
        return PlainTextResponse("No HubSpot app is configured here.", 404)
    verdict = webhooks.verify(
        secret, request.method, _address(request), body, request.headers, app.now(), versions=_VERSIONS
    )
    if not verdict:
        _log.warning("webhook.refused", why=verdict.name)
        return PlainTextResponse(f"Refused: {verdict.value}.", 401)
    try:
        inbox.accept(app, webhooks.parse(body))
    except ValueError:
        return PlainTextResponse("Refused: this is no list of events.", 400)
    except Busy:
        # HubSpot sends it again.
        return PlainTextResponse("Busy; send it again.", 503)
    return Response(status_code=204)


def _address(request: Request) -> str:
    """The address HubSpot signed: the public one, which a proxy in between may have changed."""
    query = request.url.query
    public = app_of(request).settings.public_url.rstrip("/")
    return f"{public}{request.url.path}" + (f"?{query}" if query else "")
