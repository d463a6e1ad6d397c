"""The JSON API, `/api/v1`: every route needs a bearer token, and errors are problem documents.

Its description is open to all: it is in the published reference, and holds nothing of this installation.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from mercuri.web.api import conflicts, consent, contacts, duplicates, imports, portals, runs
from mercuri.web.api.problems import RESPONSES, ProblemRoute

_v1 = APIRouter(prefix="/api/v1", responses=RESPONSES)
for _area in (contacts, imports, runs, conflicts, duplicates, portals, consent):
    _v1.include_router(_area.router)

#: All of it, to be included in the application as it is.
router = APIRouter(route_class=ProblemRoute)
router.include_router(_v1)


@router.get("/api/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The description of this API (OpenAPI 3.1)."""
    document: dict[str, Any] = request.app.openapi()
    return document
