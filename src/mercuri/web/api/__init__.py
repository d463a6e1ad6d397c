"""The JSON API, `/api/v1`: every route needs a bearer token, and errors are problem documents."""

from __future__ import annotations

from fastapi import APIRouter

from mercuri.web.api import conflicts, contacts, portals, runs
from mercuri.web.api.problems import RESPONSES

router = APIRouter(prefix="/api/v1", responses=RESPONSES)
for _area in (contacts, runs, conflicts, portals):
    router.include_router(_area.router)
