"""Settings, Mapping: which property is which field, the two-way switch, and what a save would do."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from mercuri.core.contact import STANDARD, PortalId
from mercuri.core.mapping import Problem, mappable, schema_problems
from mercuri.core.properties import Property
from mercuri.core.settings import MappingItem, SettingRefused
from mercuri.engine import portal as engine_portal
from mercuri.engine import run as engine_run
from mercuri.errors import Clash, HubSpotError, NotFound, UserError
from mercuri.store import custom_fields, portals
from mercuri.store.portals import Portal
from mercuri.store.runs import Run
from mercuri.web import render
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.services import app_of, may_edit

router = APIRouter()

PortalPath = Annotated[str, Path(max_length=50)]
Sent = Annotated[Form, Depends(sent)]
DIRECTIONS = (("both", "both ways"), ("in", "only from HubSpot"), ("out", "only to HubSpot"))
POLICIES = (
    ("", "as the portal's rule"),
    ("hubspot", "HubSpot wins"),
    ("mercuri", "Mercuri wins"),
    ("recent", "most recent wins"),
    ("ask", "ask me"),
)


@router.get("/settings/mapping")
def show(request: Request, viewer: Viewer, portal: str = "") -> Response:
    """The mapping of one portal, the first one when none is named."""
    return _page(request, viewer, portal)


def _page(request: Request, viewer: Viewer, portal_id: str, problem: str = "") -> Response:
    with app_of(request).db.read(viewer.workspace) as tx:
        known = [one for one in portals.all(tx) if one.state != "disconnected"]
        chosen = next((one for one in known if one.id == portal_id), known[0] if known else None)
        schema = portals.schema(tx, chosen.id) if chosen else ()
        own = custom_fields.names(tx)
    return render.page(
        request,
        "settings/mapping.html",
        status=422 if problem else 200,
        section="settings",
        portals=known,
        portal=chosen,
        properties={one.name: one for one in schema},
        problems=_problems(chosen, schema),
        addable=_addable(chosen, schema),
        fields=[*STANDARD, *(name for name in own if name not in STANDARD)],
        directions=DIRECTIONS,
        policies=POLICIES,
        problem=problem,
        may_edit=may_edit(request),
    )


def _problems(portal: Portal | None, schema: tuple[Property, ...]) -> dict[str, Problem]:
    if portal is None or not schema:
        return {}
    return {problem.property: problem for problem in schema_problems(portal.settings.mapping, schema)}


def _addable(portal: Portal | None, schema: tuple[Property, ...]) -> list[Property]:
    mapped = {item.property for item in portal.settings.mapping} if portal else set()
    return [one for one in mappable(schema) if one.name not in mapped]


@router.post("/settings/mapping/{portal_id}")
def save(request: Request, manager: Manager, portal_id: PortalPath, form: Sent) -> Response:
    """Save directions and rules of the mapped properties; those that are ticked to be removed go."""
    with app_of(request).db.read(manager.workspace) as tx:
        items = portals.get(tx, PortalId(portal_id)).settings.mapping
    kept = [_changed(item, form) for item in items if not form.get(f"remove:{item.property}")]
    return _save(request, manager, portal_id, {"mapping": kept}, "The mapping was saved.")


def _changed(item: MappingItem, form: Form) -> dict[str, object]:
    return {
        "property": item.property,
        "field": item.field,
        "direction": form.get(f"direction:{item.property}", item.direction.value),
        "policy": form.get(f"policy:{item.property}") or None,
    }


@router.post("/settings/mapping/{portal_id}/add")
def add(request: Request, manager: Manager, portal_id: PortalPath, form: Sent) -> Response:
    """Map one more property, to a field that is there or to one made for it."""
    app, name = app_of(request), form.get("property", "")
    with app.db.read(manager.workspace) as tx:
        portal = portals.get(tx, PortalId(portal_id))
        found = next((one for one in portals.schema(tx, portal.id) if one.name == name), None)
    if found is None:
        raise NotFound("This portal has no such property. Nothing was changed. Refresh the list of properties.")
    field = form.get("field") or field_for(found)
    new = {"property": name, "field": field, "direction": "in" if found.read_only else form.get("direction", "both")}
    items = [_changed(item, {}) for item in portal.settings.mapping]
    said = f"{found.label} was added. Existing contacts get its values with the next full sync."
    return _save(request, manager, portal_id, {"mapping": [*items, new]}, said)


def field_for(found: Property) -> str:
    """The name of the own field that a property gets by itself.

    >>> field_for(Property("Shoe-Size 2", "Shoe size", "number"))
    'custom.shoe_size_2'
    """
    plain = re.sub(r"[^a-z0-9]+", "_", found.name.lower()).strip("_")[:60]
    return f"custom.{plain if plain[:1].isalpha() else f'p_{plain}'}"


def _save(request: Request, manager: Manager, portal_id: str, values: dict[str, object], said: str) -> Response:
    try:
        engine_portal.change_settings(
            app_of(request), manager.workspace, PortalId(portal_id), values, actor_of(manager)
        )
    except SettingRefused as refusal:
        return _page(request, manager, portal_id, refusal.message)
    return render.toast(request, render.see_other(request, f"/settings/mapping?portal={portal_id}"), said)


@router.post("/settings/mapping/{portal_id}/refresh")
def refresh(request: Request, manager: Manager, portal_id: PortalPath) -> Response:
    """Ask HubSpot for the portal's properties again."""
    app = app_of(request)
    with app.db.read(manager.workspace) as tx:
        portal = portals.get(tx, PortalId(portal_id))
    try:
        found = engine_portal.refresh_schema(app, manager.workspace, portal)
    except (UserError, HubSpotError) as error:
        return _page(request, manager, portal_id, error.message)
    response = render.see_other(request, f"/settings/mapping?portal={portal_id}")
    return render.toast(request, response, f"HubSpot has {len(found)} properties.")


@router.post("/settings/mapping/{portal_id}/two-way")
def two_way(request: Request, manager: Manager, portal_id: PortalPath, form: Sent) -> Response:
    """Turn two-way sync off at once; turning it on begins with a preview, and happens when that is applied."""
    app, id_ = app_of(request), PortalId(portal_id)
    if form.get("on") != "on":
        said = "Two-way sync is off: nothing is written to HubSpot any more, opt-outs excepted."
        return _save(request, manager, portal_id, {"two_way": False}, said)
    try:
        run = engine_run.request(
            app, manager.workspace, id_, preview=True, trigger="button", actor=actor_of(manager), two_way=True
        )
    except Clash as clash:
        if not isinstance(clash.present, Run):
            raise
        raise UserError("A sync is under way. Two-way sync was not turned on. Try again when it is over.") from clash
    return render.see_other(request, f"/runs/{run.id}")
