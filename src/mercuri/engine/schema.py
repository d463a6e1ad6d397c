"""The portal's schema as a run knows it: which of the mapped properties carry values now.

Values of a property that has vanished read as empty, as if every record had been emptied. So the schema is asked for
before anything is concluded from what was read, and not only when it is old.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mercuri.core.contact import WorkspaceId
from mercuri.core.mapping import active_mapping, properties_to_ask, rules_for
from mercuri.core.properties import Property
from mercuri.core.settings import Blanks, PortalSettings
from mercuri.engine.app import App
from mercuri.engine.fields import norm_for
from mercuri.engine.portal import refresh_schema
from mercuri.engine.work import Carried, Work
from mercuri.hubspot.client import Client
from mercuri.store import portals
from mercuri.store.portals import Portal

#: How old the schema may be in a run that finds nothing to store.
LIFE = timedelta(hours=1)
#: How old it may be where values are stored: runs by hints follow each other within seconds.
YOUNG = timedelta(minutes=1)


def known(
    app: App, ws: WorkspaceId, portal: Portal, settings: PortalSettings, client: Client, *, is_full: bool
) -> tuple[Property, ...]:
    """The schema at the start of a run: asked for anew where it is old, or the run may erase."""
    is_careful = is_full or settings.blanks is not Blanks.KEEP
    return _younger_than(timedelta(0) if is_careful else LIFE, app, ws, portal, client)


def renew(work: Work) -> None:
    """Make sure that the schema is young, before the first values of a run are stored."""
    if not work.has_young_schema:
        found = _younger_than(YOUNG, work.app, work.ws, work.portal, work.client)
        work.carried = carried(work.settings, found, work.region)
        work.has_young_schema = True


def carried(settings: PortalSettings, found: tuple[Property, ...], region: str) -> Carried:
    """What of the settings the schema can carry; nothing follows from an empty one, which no portal has."""
    mapping = active_mapping(settings.mapping, found) if found else settings.mapping
    rules = rules_for(settings, mapping, norm_for(region))
    return Carried(mapping, rules, properties_to_ask(replace(settings, mapping=mapping)))


def _younger_than(life: timedelta, app: App, ws: WorkspaceId, portal: Portal, client: Client) -> tuple[Property, ...]:
    asked = portal.reading.get("schema_at")
    if asked and app.now() - datetime.fromisoformat(asked) < life:
        with app.db.read(ws) as tx:
            return portals.schema(tx, portal.id)
    return refresh_schema(app, ws, portal, client)
