"""Settings, Subscription: which HubSpot properties speak of consent, counted before they do; words; the proof."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response, StreamingResponse

from mercuri.core.consent import State
from mercuri.core.consent_mapping import new_options
from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.core.keywords import OUT_WORDS
from mercuri.core.properties import Property
from mercuri.core.settings import CHANNELS, ConsentItem, WorkspaceSettings
from mercuri.engine import consent, consent_counts, consent_setup, gate
from mercuri.engine.app import App
from mercuri.engine.consent_counts import Counts
from mercuri.engine.consent_setup import Setup, as_document
from mercuri.engine.portal import change_settings
from mercuri.errors import HubSpotError, UserError
from mercuri.store import consent as store
from mercuri.store import consent_holders as holders
from mercuri.store import portals, workspaces
from mercuri.store.database import Tx
from mercuri.web import render
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.pages.consent_view import CHANNEL_NAMES
from mercuri.web.services import app_of, may_edit

router = APIRouter()

PortalPath = Annotated[str, Path(max_length=50)]
Sent = Annotated[Form, Depends(sent)]
#: What each kind is called here.
KINDS: Mapping[str, str] = {
    "opt_in": "opt-in: true means yes",
    "opt_out": "opt-out: true means no",
    "enumeration": "a list: each option means yes, no or nothing",
    "date_pair": "two dates: the later one speaks",
}
#: Which kinds can read a property of each type.
_FITTING: Mapping[str, tuple[str, ...]] = {
    "bool": ("opt_in", "opt_out"),
    "enumeration": ("enumeration",),
    "date": ("date_pair",),
    "datetime": ("date_pair",),
}
_ITEM = "item"


@dataclass(frozen=True, slots=True)
class Draft:
    """A property that is about to be mapped: what was chosen so far, and what its records say once that is enough."""

    found: Property
    kinds: Sequence[tuple[str, str]]
    channel: str
    kind: str
    values: Mapping[str, str]
    out_property: str
    false_says_nothing: bool
    dates: Sequence[Property]
    new_options: Collection[str] = ()
    is_change: bool = False
    item: ConsentItem | None = None
    counts: Counts | None = None
    problem: str = ""

    @property
    def document(self) -> str:
        """The item as text, for the form that saves it."""
        return json.dumps(as_document(self.item)) if self.item else ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that looks like a stop: the address, its text, and who has it."""

    channel: str
    address: str
    text: str
    contacts: Sequence[int]


@router.get("/settings/subscription")
def show(request: Request, viewer: Viewer, portal: str = "") -> Response:
    """What is mapped, what could be, and a draft with its counts where one was begun."""
    return _page(request, viewer.workspace, portal)


def _page(request: Request, ws: WorkspaceId, portal_id: str, problem: str = "") -> Response:
    app = app_of(request)
    with app.db.read(ws) as tx:
        known = [one for one in portals.all(tx) if one.state != "disconnected"]
        settings, waiting = workspaces.settings(tx), _waiting(tx)
    chosen = next((one for one in known if one.id == portal_id), known[0] if known else None)
    setup = consent_setup.setup_of(app, ws, chosen.id) if chosen else None
    draft = _draft(app, ws, setup, request.query_params) if setup and may_edit(request) else None
    return render.page(
        request,
        "settings/subscription.html",
        status=422 if problem else 200,
        section="settings",
        portals=known,
        portal=chosen,
        setup=setup,
        draft=draft,
        waiting=waiting,
        kinds=KINDS,
        channels=[(name, CHANNEL_NAMES[name]) for name in CHANNELS],
        channel_names=CHANNEL_NAMES,
        out_words=sorted(OUT_WORDS),
        **_team(settings),
        problem=problem,
        may_edit=may_edit(request),
    )


def _team(settings: WorkspaceSettings) -> dict[str, object]:
    return {"stop_words": "\n".join(settings.stop_words), "status_channel": settings.status_channel}


def _waiting(tx: Tx) -> list[Waiting]:
    found = []
    for channel, address in store.paused(tx):
        pauses = [one.event for one in store.evidence(tx, channel, [address]) if one.event.state is State.PAUSE]
        text = max(pauses, key=lambda event: event.occurred_at).proof.get("text", "") if pauses else ""
        people = holders.owners(tx, channel, [address]).get(address, [])
        found.append(Waiting(channel, address, text, people))
    return found


def _draft(app: App, ws: WorkspaceId, setup: Setup, asked: Mapping[str, str]) -> Draft | None:
    """What the address asks for; counted once every choice is made."""
    found = setup.schema.get(asked.get("property", ""))
    if found is None:
        return None
    mapped = _mapped(setup, found.name, asked.get("channel", ""))
    offer = mapped or next((one.item for one in setup.offers if one.property.name == found.name and one.item), None)
    fitting = _kinds_of(found)
    is_asked = "count" in asked
    kind = asked.get("kind") if asked.get("kind") in fitting else (offer.kind if offer else next(iter(fitting), ""))
    channel = asked.get("channel", "")
    meant = mapped.values if mapped and not is_asked else {}
    draft = Draft(
        found=found,
        kinds=[(name, KINDS[name]) for name in fitting],
        channel=channel if channel in CHANNELS else (offer.channel if offer else "sms"),
        kind=kind or "",
        values={one.value: asked.get(f"value:{one.value}", meant.get(one.value, "")) for one in found.options},
        out_property=asked.get("out_property", offer.out_property if offer else ""),
        false_says_nothing=asked.get("false_says_nothing") == "on"
        or (not is_asked and mapped is not None and mapped.false_says_nothing),
        dates=[one for one in setup.schema.values() if one.type in ("date", "datetime") and one.name != found.name],
        new_options=new_options(mapped, found) if mapped else (),
        is_change=mapped is not None,
    )
    return _counted(app, ws, setup, draft, is_asked=is_asked or mapped is not None)


def _mapped(setup: Setup, name: str, channel: str) -> ConsentItem | None:
    """What the property says of the channel at present, where it is mapped already."""
    items = setup.portal.settings.consent_mapping
    return next((item for item in items if item.properties[0] == name and item.channel == channel), None)


def _kinds_of(found: Property) -> tuple[str, ...]:
    is_flag = {option.value for option in found.options} == {"true", "false"}
    return ("opt_in", "opt_out") if is_flag else _FITTING.get(found.type, ())


def _counted(app: App, ws: WorkspaceId, setup: Setup, draft: Draft, *, is_asked: bool) -> Draft:
    if not draft.kinds:
        return replace(draft, problem=f"{draft.found.label} is {draft.found.type}: it cannot say yes or no.")
    if not is_asked:
        return draft
    try:
        item = consent_setup.item_from(_document(draft))
        return replace(draft, item=item, counts=consent_counts.count(app, ws, setup.portal.id, item))
    except (UserError, HubSpotError) as error:
        return replace(draft, problem=error.message)


def _document(draft: Draft) -> dict[str, Any]:
    document: dict[str, Any] = {"channel": draft.channel, "kind": draft.kind}
    if draft.kind == "date_pair":
        return document | {"in_property": draft.found.name, "out_property": draft.out_property}
    document["property"] = draft.found.name
    if draft.kind == "enumeration":
        document["values"] = {option: said for option, said in draft.values.items() if said}
        document["options"] = list(draft.values)
    if draft.kind == "opt_in" and draft.false_says_nothing:
        document["false_says_nothing"] = True
    return document


@router.post("/settings/subscription/{portal_id}/add")
def add(request: Request, manager: Manager, portal_id: PortalPath, form: Sent) -> Response:
    """Let a property speak, as its counts were shown."""
    try:
        new = json.loads(form.get(_ITEM, ""))
    except ValueError:
        new = None
    if not isinstance(new, dict):
        raise UserError("The mapping did not arrive whole. Nothing was saved; choose the property again.")
    said = "It was mapped. The next sync reads it."
    return _save(request, manager, portal_id, lambda items: [*(i for i in items if not _same(i, new)), new], said)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one mapping takes the place of the other: the same property speaks of the same channel."""
    return all(one.get(name) == other.get(name) for name in ("channel", "property", "in_property"))


@router.post("/settings/subscription/{portal_id}/remove")
def remove(request: Request, manager: Manager, portal_id: PortalPath, form: Sent) -> Response:
    """Let a property speak no more; what it said stays."""
    number = form.get("number", "")
    if not number.isdecimal() or len(number) > 4:
        raise UserError("No mapping was named. Nothing was changed.")
    said = "It says nothing new from now on. What it said stays."
    return _save(request, manager, portal_id, lambda items: [i for n, i in enumerate(items) if n != int(number)], said)


def _save(
    request: Request, manager: Manager, portal_id: str, change: Callable[[list[Any]], list[Any]], said: str
) -> Response:
    app, id_ = app_of(request), PortalId(portal_id)
    with app.db.read(manager.workspace) as tx:
        items = [as_document(item) for item in portals.get(tx, id_).settings.consent_mapping]
    try:
        change_settings(app, manager.workspace, id_, {"consent_mapping": change(items)}, actor_of(manager))
    except UserError as refusal:
        return _page(request, manager.workspace, portal_id, refusal.message)
    return render.toast(request, render.see_other(request, f"/settings/subscription?portal={portal_id}"), said)


@router.post("/settings/subscription/{portal_id}/own")
def make_own(request: Request, manager: Manager, portal_id: PortalPath) -> Response:
    """Make our own properties in HubSpot and carry the state there."""
    try:
        consent_setup.make_own_properties(app_of(request), manager.workspace, PortalId(portal_id), actor_of(manager))
    except HubSpotError as error:
        return _page(request, manager.workspace, portal_id, error.message)
    response = render.see_other(request, f"/settings/subscription?portal={portal_id}")
    return render.toast(request, response, "HubSpot has the properties now; the state is being written there.")


@router.post("/settings/subscription/words")
def save_words(request: Request, manager: Manager, form: Sent) -> Response:
    """The workspace's own stop words, one a line, and the channel whose state contacts show."""
    words = [line for line in form.get("stop_words", "").splitlines() if line.strip()]
    texts = {"stop_words": json.dumps(words)}
    if form.get("status_channel"):
        texts["status_channel"] = json.dumps(form["status_channel"])
    try:
        consent_setup.change_workspace(app_of(request), manager.workspace, texts, actor_of(manager))
    except UserError as refusal:
        return _page(request, manager.workspace, "", refusal.message)
    return render.toast(request, render.see_other(request, "/settings/subscription"), "It was saved.")


@router.get("/settings/subscription/proof.{form}")
def proof(request: Request, manager: Manager, form: str, channel: str = "", address: str = "") -> Response:
    """The proof for an auditor, of one address or of all."""
    if form not in ("csv", "json"):
        raise UserError("The proof comes as .csv or .json.")
    one = {"channel": channel or "sms", "address": address} if address else {}
    rows = consent.proof(app_of(request), manager.workspace, actor_of(manager), **one)
    lines, kind = (gate.as_csv(rows), "text/csv") if form == "csv" else (gate.as_json(rows), "application/json")
    headers = {"Content-Disposition": f'attachment; filename="consent-proof.{form}"'}
    return StreamingResponse(lines, media_type=f"{kind}; charset=utf-8", headers=headers)
