"""Builders with good defaults: the cast of the tests. Ana and Bo are in workspace ACME, Cleo in OTHER."""

from __future__ import annotations

from datetime import UTC, datetime

from mercuri.core.contact import Origin, PortalId, RunId, WorkspaceId
from mercuri.core.normalise import addresses_of
from mercuri.store.contacts import NewContact
from mercuri.store.portals import Portal

ACME = WorkspaceId(1)
#: A workspace that must never see, or be seen by, the first.
OTHER = WorkspaceId(2)
PORTAL = PortalId("4242")
NOON = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
BY_HUBSPOT = Origin("hubspot", PORTAL, NOON)
BY_USER = Origin("user", "bo@example.org", NOON)


def a_contact(
    *,
    at: datetime = NOON,
    origin: Origin = BY_HUBSPOT,
    run: RunId | None = None,
    subscribed: bool = False,
    **fields: str,
) -> NewContact:
    """Ana, unless said otherwise; a custom field is written `custom_city`."""
    named = {name.replace("custom_", "custom."): value for name, value in fields.items()}
    if not named:
        named = {"first_name": "Ana", "last_name": "Duarte", "phone": "+447911123456", "email": "ana@example.org"}
    return NewContact(
        fields=named,
        origin=origin,
        addresses=addresses_of(named, "US"),
        created_at=at,
        run=run,
        subscribed=subscribed,
    )


def a_portal(id_: str = PORTAL, name: str = "Acme") -> Portal:
    """A connected portal with the settings that a new one has."""
    return Portal(PortalId(id_), name, "static")
