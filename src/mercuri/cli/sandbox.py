"""`mercuri sandbox`: a HubSpot portal in one process, to try things and to develop against."""

from __future__ import annotations

from typing import Annotated

import typer

from mercuri.cli.edge import say
from mercuri.errors import UserError

PORT = 8766
_LIMIT = "requests/seconds, such as 110/10; none by default"


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = PORT,
    contacts: Annotated[int, typer.Option(min=0, help="How many contacts the portal has.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same people.")] = 0,
    latency_ms: Annotated[int, typer.Option(min=0, help="How long every answer takes.")] = 0,
    burst: Annotated[str | None, typer.Option(help=f"Limit of requests: {_LIMIT}.")] = None,
    search: Annotated[str | None, typer.Option(help=f"Limit of searches: {_LIMIT}.")] = None,
    daily: Annotated[int | None, typer.Option(min=1, help="Requests of one day.")] = None,
    lag_ms: Annotated[int, typer.Option(min=0, help="How far search may be behind.")] = 0,
    portal_id: Annotated[int, typer.Option(min=1, help="The account id it answers with.")] = 4242,
    client_id: Annotated[str, typer.Option(help="The app's OAuth id.")] = "sandbox-client",
    client_secret: Annotated[str, typer.Option(help="The app's OAuth secret.")] = "sandbox-secret",
    token: Annotated[str | None, typer.Option(help="The static token.")] = None,
) -> None:
    """Serve a sandbox HubSpot, with its limits, lag and refusals."""
    from mercuri.sandbox import Sandbox, serve
    from mercuri.sandbox.api import STATIC_TOKEN

    url = f"http://{host}:{port}"
    static = token or STATIC_TOKEN
    try:
        made = Sandbox(
            contacts=contacts,
            seed=seed,
            burst=burst,
            search=search,
            daily=daily,
            latency_ms=latency_ms,
            lag_ms=lag_ms,
            public_url=url,
            client_id=client_id,
            client_secret=client_secret,
            static_token=static,
            portal_id=portal_id,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    say(f"The sandbox is at {url}, portal {portal_id}, {contacts:,} contacts.")
    say(f"Use it: export MERCURI_HUBSPOT_API_URL={url} MERCURI_HUBSPOT_APP_URL={url}")
    say(f"        export MERCURI_HUBSPOT_CLIENT_ID={client_id} MERCURI_HUBSPOT_CLIENT_SECRET={client_secret}")
    say(f"        mercuri connect --token {static}")
    try:
        serve(made, host, port)
    except OSError as error:
        raise UserError(f"Cannot listen at {host}:{port}: {error.strerror}. Choose another --port.") from error
