"""What views share: the parts behind the pages, and what the person may do."""

from __future__ import annotations

from fastapi import Request

from mercuri.engine.app import App
from mercuri.wiring import Services


def services_of(request: Request) -> Services:
    """The services that the app was created with."""
    services: Services = request.app.state.services
    return services


def app_of(request: Request) -> App:
    """What use cases are given."""
    return services_of(request).app


def may_edit(request: Request) -> bool:
    """Whether the person who is logged in may change contacts and start runs."""
    return request.state.identity.role in ("manager", "owner")
