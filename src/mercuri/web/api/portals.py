"""Portals: connect by token, disconnect, settings, properties."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from mercuri.core import settings as core_settings
from mercuri.core.contact import PortalId
from mercuri.engine import portal as engine_portal
from mercuri.errors import NotFound, UserError
from mercuri.store import portals
from mercuri.web.api.access import Caller, Manager, Reader
from mercuri.web.api.models import PortalIn, PortalOut, PropertyOut
from mercuri.web.api.problems import ProblemRoute

router = APIRouter(tags=["portals"], route_class=ProblemRoute)

PortalPath = Annotated[str, Path(max_length=50)]
SettingsDocument = Annotated[dict[str, object], Body(description="Some or all setting keys with their new values")]


@router.get("/portals")
def list_portals(who: Reader) -> list[PortalOut]:
    """Every HubSpot account that is or was connected."""
    with who.app.db.read(who.ws) as tx:
        return [_shown(portal) for portal in portals.all(tx)]


@router.post("/portals", status_code=201)
def connect_portal(who: Manager, body: PortalIn) -> PortalOut:
    """Connect by a static token (`pat-…`). OAuth is done in the browser."""
    return _shown(engine_portal.connect_static(who.app, who.ws, body.token, who.actor))


@router.get("/portals/{portal_id}")
def read_portal(who: Reader, portal_id: PortalPath) -> PortalOut:
    """One portal."""
    return _shown(_stored(who, portal_id))


@router.delete("/portals/{portal_id}", status_code=204)
def disconnect_portal(who: Manager, portal_id: PortalPath) -> None:
    """Forget the portal's tokens and stop syncing; the contacts stay."""
    engine_portal.disconnect(who.app, who.ws, PortalId(portal_id), who.actor)


@router.get("/portals/{portal_id}/settings")
def read_settings(who: Reader, portal_id: PortalPath) -> dict[str, object]:
    """Every setting of the portal."""
    return core_settings.to_document(_stored(who, portal_id).settings)


@router.put("/portals/{portal_id}/settings")
def write_settings(who: Manager, portal_id: PortalPath, body: SettingsDocument) -> dict[str, object]:
    """Set the keys given, all or none; the others stay. Answers with every setting."""
    _stored(who, portal_id)
    engine_portal.change_settings(who.app, who.ws, PortalId(portal_id), body, who.actor)
    return core_settings.to_document(_stored(who, portal_id).settings)


@router.get("/portals/{portal_id}/properties")
def list_properties(
    who: Reader, portal_id: PortalPath, refresh: Annotated[bool, Query(description="Ask HubSpot anew")] = False
) -> list[PropertyOut]:
    """The contact properties of the portal, as last seen or asked for anew."""
    portal = _stored(who, portal_id)
    if refresh:
        engine_portal.refresh_schema(who.app, who.ws, portal)
    with who.app.db.read(who.ws) as tx:
        return [PropertyOut.model_validate(item) for item in portals.schema(tx, portal.portal_id)]


def the_portal(who: Caller, portal_id: str | None) -> PortalId:
    """The portal named, or the only one that is connected. Raises UserError when that is not clear."""
    if portal_id is not None:
        return _stored(who, portal_id).portal_id
    with who.app.db.read(who.ws) as tx:
        connected = [p.portal_id for p in portals.all(tx) if p.state != "disconnected"]
    if not connected:
        raise NotFound("No portal is connected yet. Connect HubSpot in Settings, or with `mercuri connect --token`.")
    if len(connected) > 1:
        raise UserError(f"Several portals are connected: {', '.join(connected)}. Say which one with portal_id.")
    return connected[0]


def _stored(who: Caller, portal_id: str) -> portals.Portal:
    with who.app.db.read(who.ws) as tx:
        return portals.get(tx, PortalId(portal_id))


def _shown(portal: portals.Portal) -> PortalOut:
    return PortalOut.model_validate(portal)
