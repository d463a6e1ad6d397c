"""Connect a portal, ask for its schema, change its settings, disconnect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime

from mercuri.core.consent_mapping import checked, names_unknown_option
from mercuri.core.contact import PortalId, WorkspaceId
from mercuri.core.mapping import active_mapping, properties_to_ask, suggest_mapping, with_types
from mercuri.core.properties import Property
from mercuri.core.settings import DEFAULT_MAPPING, OWN_ID_PROPERTY, Direction, PortalSettings, with_json
from mercuri.engine import failing, optouts, unreadable
from mercuri.engine.app import Actor, App, require
from mercuri.engine.schedule import next_time
from mercuri.engine.tokens import PortalTokens, sealed
from mercuri.errors import HubSpotError, MissingScope, NotThere, Unauthorised, UserError
from mercuri.hubspot.client import Account, Calls, Client
from mercuri.hubspot.oauth import OAuth
from mercuri.hubspot.pacing import Lane, Limit, Pacer
from mercuri.hubspot.tokens import Tokens, TokenService
from mercuri.store import portals, runs, users
from mercuri.store.database import Tx
from mercuri.store.portals import Portal

#: Requests in ten seconds, by kind of connection (HubSpot usage guidelines).
BURST = {"oauth": "110/10", "static": "100/10"}
_NOT_ACCEPTED = "HubSpot does not accept this token. Nothing was connected; make sure that it is whole and not revoked."
#: Settings whose change makes every contact be compared again in the next run.
_COMPARED = frozenset({"two_way", "mapping", "conflict_policy", "blanks"})


def connect_static(app: App, ws: WorkspaceId, token: str, actor: Actor) -> Portal:
    """Connect the portal that a static token opens. Raises Unauthorised when HubSpot refuses the token."""
    require(actor, "manager")
    token = token.strip()
    if not token:
        raise UserError("The token is empty. Nothing was connected; paste the whole token, it begins with pat-.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError("This is no HubSpot token. Nothing was connected; paste the token alone, it begins with pat-.")
    try:
        return _connect(app, ws, Tokens(token, kind="static"), None, actor)
    except Unauthorised as error:
        raise Unauthorised(_NOT_ACCEPTED, status=error.status) from error


def authorize_url(app: App, state: str) -> str:
    """Where a person agrees that we read and write their portal's contacts. Raises UserError without an OAuth app."""
    if not app.settings.hubspot_client_id:
        raise UserError(
            "No HubSpot app is configured. Set MERCURI_HUBSPOT_CLIENT_ID and MERCURI_HUBSPOT_CLIENT_SECRET, "
            "or connect with a static token."
        )
    return oauth_of(app).authorize_url(state)


def connect_code(app: App, ws: WorkspaceId, code: str, actor: Actor) -> Portal:
    """Connect the portal whose owner came back from HubSpot with this code."""
    require(actor, "manager")
    grant = oauth_of(app).exchange(code)
    return _connect(app, ws, grant.tokens, grant.hub_id, actor)


def disconnect(app: App, ws: WorkspaceId, portal_id: PortalId, actor: Actor) -> None:
    """Forget a portal's tokens and stop its run. Contacts and links stay, so that it can be connected again."""
    require(actor, "manager")
    with app.db.write(ws) as tx:
        live = runs.live(tx, portals.get(tx, portal_id).id)
        if live is not None:
            runs.ask_cancel(tx, live.id)
        portals.set_state(tx, portal_id, "disconnected")
        users.note_audit(tx, actor.name, "portal.disconnected", {"portal": portal_id}, app.now())


def client_for(
    app: App,
    ws: WorkspaceId,
    portal: Portal,
    lane: Lane,
    calls: Calls | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Client:
    """A client of a connected portal, in a lane of its one request budget."""
    service = TokenService(PortalTokens(app, ws, portal.id), oauth_of(app), app.now)
    pacer = pacer_of(app, ws, portal)
    api_url = app.settings.hubspot_api_url
    return Client(app.http, api_url, service, pacer, portal=portal.id, lane=lane, calls=calls, cancelled=cancelled)


def refresh_schema(app: App, ws: WorkspaceId, portal: Portal, client: Client | None = None) -> tuple[Property, ...]:
    """Ask HubSpot for the properties of its contacts and remember them, also which have vanished, and when it was."""
    found = (client or client_for(app, ws, portal, Lane.BUTTON)).properties()
    with app.db.write(ws) as tx:
        before = portals.schema(tx, portal.id)
        now = portals.get(tx, portal.id)
        portals.save(tx, portal.id, reading={**now.reading, "schema_at": app.now().isoformat()})
        if {one.name: one for one in before} != {one.name: one for one in found}:
            portals.save_schema(tx, portal.id, found, app.now())
            _take_up(tx, portals.get(tx, portal.id), before, found, app.now())
        # Without a moment of the last look, somebody asked for this one: a write named a property that is not there.
        if now.reading.get("schema_at") is None or _mapped(now, before) != _mapped(now, found):
            failing.try_again(tx, portal.id, app.now())
    return found


def _mapped(portal: Portal, properties: Sequence[Property]) -> set[Property]:
    names = {item.property for item in portal.settings.mapping}
    return {found for found in properties if found.name in names}


def _take_up(tx: Tx, portal: Portal, before: Sequence[Property], now: Sequence[Property], at: datetime) -> None:
    """A property that carries values again was not looked at for a while: its values are read and compared anew."""
    mapping = portal.settings.mapping
    paused = set(active_mapping(mapping, now)) - set(active_mapping(mapping, before))
    if not paused or portal.watermark is None:
        return
    properties = {item.property for item in paused}
    reading = {**portal.reading, "reread": sorted({*portal.reading.get("reread", ()), *properties})}
    portals.save(tx, portal.id, reading={**reading, "compare": at.isoformat()})


def change_settings(
    app: App, ws: WorkspaceId, portal_id: PortalId, values: Mapping[str, object], actor: Actor
) -> PortalSettings:
    """Set some keys to plain JSON values, all or none. Raises SettingRefused with the reason.

    Another consent mapping speaks from now on; by itself it opens and closes nothing, and every closed address is noted
    for the portal, which may be told of it in another way now.

    Asks HubSpot for its properties when one is named, or an option of one, that was not there when they were last asked
    for.
    """
    require(actor, "manager")
    _learn_properties(app, ws, portal_id, values)
    with app.db.write(ws) as tx:
        portal = portals.get(tx, portal_id)
        settings = _with(portal.settings, values)
        if settings.journal and not portal.settings.journal:
            _begin_journal(tx, app, portal)
        schema = portals.schema(tx, portal_id)
        speaking = checked(settings.consent_mapping, portal.settings.consent_mapping, schema)
        settings = replace(settings, mapping=with_types(settings.mapping, schema), consent_mapping=speaking)
        portals.update_settings(tx, portal_id, settings)
        if "schedule" in values:
            zone = str(portal.account.get("time_zone") or "UTC")
            portals.save(tx, portal_id, next_at=next_time(settings.schedule, app.now(), zone))
        _ask_for_comparison(tx, portal, settings, app.now())
        if settings.mapping != portal.settings.mapping:
            failing.try_again(tx, portal_id, app.now())
        _ask_for_reading(tx, portal, settings)
        if speaking != portal.settings.consent_mapping:
            unreadable.mapping_changed(tx, portal_id, portal.settings.consent_mapping, app.now())
            optouts.note_closed(tx, portal_id, app.now())
        users.note_audit(tx, actor.name, "settings.changed", {"portal": portal_id, "keys": sorted(values)}, app.now())
    app.wake()
    return settings


def _begin_journal(tx: Tx, app: App, portal: Portal) -> None:
    """The journal is read from its oldest event; our app reads it, not whoever connected the portal."""
    if not app.settings.hubspot_client_id or not portal.id.isdecimal():
        raise UserError(
            "The journal was not turned on: it is read with the id and secret of a HubSpot app that is installed in "
            "this account. Set MERCURI_HUBSPOT_CLIENT_ID and MERCURI_HUBSPOT_CLIENT_SECRET, and connect by OAuth."
        )
    portals.save(tx, portal.id, journal={})


def _with(settings: PortalSettings, values: Mapping[str, object]) -> PortalSettings:
    for key, value in values.items():
        settings = with_json(settings, key, json.dumps(value))
    return settings


def _learn_properties(app: App, ws: WorkspaceId, portal_id: PortalId, values: Mapping[str, object]) -> None:
    """A property that somebody has just made in HubSpot is mapped at once, with its type, and so is an option."""
    with app.db.read(ws) as tx:
        portal, schema = portals.get(tx, portal_id), portals.schema(tx, portal_id)
    settings = _with(portal.settings, values)
    is_new = not _named(settings) - _named(portal.settings) <= {found.name for found in schema}
    speaking = portal.settings.consent_mapping
    if portal.state == "disconnected" or not (
        is_new or names_unknown_option(settings.consent_mapping, speaking, schema)
    ):
        return
    try:
        refresh_schema(app, ws, portal)
    except HubSpotError:
        return  # what cannot be known now is known with the next run


def _named(settings: PortalSettings) -> set[str]:
    consent = {name for item in settings.consent_mapping for name in item.properties}
    return {item.property for item in settings.mapping} | consent


def _ask_for_comparison(tx: Tx, portal: Portal, settings: PortalSettings, at: datetime) -> None:
    """With other rules the same values may have to move: the next run compares all links, without reading anything."""
    if settings.two_way and any(getattr(settings, key) != getattr(portal.settings, key) for key in _COMPARED):
        portals.save(tx, portal.id, reading={**portal.reading, "compare": at.isoformat()})


def _ask_for_reading(tx: Tx, portal: Portal, settings: PortalSettings) -> None:
    """A property that is newly mapped, or newly speaks of consent, is read of all records by the next run.

    One that is mapped no more is no longer waited for.
    """
    speaking = {(item.channel, item.properties) for item in portal.settings.consent_mapping}
    coming = [item for item in settings.consent_mapping if (item.channel, item.properties) not in speaking]
    new = {name for item in coming for name in item.properties}
    pairs = {(item.property, item.field) for item in portal.settings.mapping}
    there = {found.name for found in portals.schema(tx, portal.id) if not found.archived}
    coming_in = [item for item in settings.mapping if item.direction is not Direction.OUT and item.property in there]
    new |= {item.property for item in coming_in if (item.property, item.field) not in pairs}
    reading = portals.get(tx, portal.id).reading
    waiting = set(reading.get("reread", ()))
    # What nothing asks for any more is not waited for: no run would ever read it.
    still = (waiting | new if portal.watermark is not None else waiting) & set(properties_to_ask(settings))
    if still != waiting:
        portals.save(tx, portal.id, reading={**reading, "reread": sorted(still)})


def _connect(app: App, ws: WorkspaceId, tokens: Tokens, hub_id: str | None, actor: Actor) -> Portal:
    client = _first_client(app, tokens)
    properties = client.properties()
    account = _account(app, client, tokens, hub_id)
    portal = Portal(
        PortalId(account.portal_id),
        name=account.domain or f"HubSpot {account.portal_id}",
        kind=tokens.kind,
        settings=PortalSettings(mapping=suggest_mapping(properties) or DEFAULT_MAPPING),
        scopes=tokens.scopes,
        account=asdict(account),
    )
    with app.db.write(ws) as tx:
        portals.add(tx, portal, sealed(app, tokens), app.now())
        portals.save_schema(tx, portal.id, properties, app.now())
        optouts.note_closed(tx, portal.id, app.now())
        users.note_audit(tx, actor.name, "portal.connected", {"portal": portal.id, "kind": tokens.kind}, app.now())
        return portals.get(tx, portal.id)


def _account(app: App, client: Client, tokens: Tokens, hub_id: str | None) -> Account:
    """Whose portal it is.

    Some static tokens may not ask for the account, and some stand-ins for HubSpot do not know the call. Then the app's
    own credentials can ask about the token; without any, the portal goes by a name of ours, made from the token.
    """
    try:
        return client.account()
    except (MissingScope, NotThere):
        pass
    if not hub_id and app.settings.hubspot_client_id:
        hub_id = oauth_of(app).introspect(tokens.access).hub_id
    return Account(hub_id or f"static-{app.vault.keyed_hash(tokens.access)[:8]}")


def ensure_own_id(app: App, ws: WorkspaceId, portal: Portal, client: Client) -> Portal:
    """The portal once it is known whether it has our own unique property, made there when the first write needs it."""
    if "own_id" in portal.account:
        return portal
    unique = client.ensure_unique_property(OWN_ID_PROPERTY, "Mercuri contact id")
    known = replace(portal, account={**portal.account, "own_id": unique})
    with app.db.write(ws) as tx:
        portals.save(tx, portal.id, account=known.account)
    return known


def _first_client(app: App, tokens: Tokens) -> Client:
    """A client for a portal that is not stored yet."""
    service = TokenService(_Unstored(tokens), oauth_of(app), app.now)
    limit = Limit.parse(app.settings.burst_limit or BURST[tokens.kind])
    pacer = Pacer(limit, Limit.parse(app.settings.search_limit))
    return Client(app.http, app.settings.hubspot_api_url, service, pacer, portal="")


class _Unstored:
    """Tokens that belong to no portal yet."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def load(self) -> Tokens:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @contextmanager
    def lock(self) -> Iterator[None]:
        yield


def pacer_of(app: App, ws: WorkspaceId, portal: Portal) -> Pacer:
    """The one request budget that all work on a portal shares in this process."""
    burst = _burst(app, portal)
    share = int(portal.settings.burst_share)
    zone = str(portal.account.get("time_zone") or "") or None

    def make() -> Pacer:
        return Pacer(Limit.parse(burst), Limit.parse(app.settings.search_limit), share=share, time_zone=zone)

    return app.portals.pacer(ws, portal.id, (burst, app.settings.search_limit, share, zone), make)


def requests_per_second(app: App, portal: Portal) -> float:
    """How many requests a portal takes from us, searches apart, as far as is known before it says so itself."""
    limit = Limit.parse(_burst(app, portal))
    return limit.requests / limit.seconds


def _burst(app: App, portal: Portal) -> str:
    return app.settings.burst_limit or BURST[portal.kind]


def oauth_of(app: App) -> OAuth:
    """Our app, as HubSpot's OAuth knows it."""
    settings = app.settings
    secret = settings.hubspot_client_secret.get_secret_value()
    urls = (settings.hubspot_api_url, settings.hubspot_app_url)
    return OAuth(*urls, settings.hubspot_client_id, secret, settings.redirect_uri, app.http, app.now)
