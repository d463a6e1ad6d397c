"""The screens, one module each. A screen registers its router here; `ROUTERS` need a login, `OPEN_ROUTERS` do not."""

from __future__ import annotations

from fastapi import APIRouter

from mercuri.web.pages import (
    bulk,
    bulk_all,
    bulk_merges,
    conflicts,
    connection,
    consent,
    contact,
    contacts,
    duplicates,
    imports,
    login,
    mapping,
    palette,
    people,
    rules,
    runs,
    setup,
    subscription,
    sync,
    views,
    welcome,
)

#: Pages that open without a login.
OPEN_ROUTERS: tuple[APIRouter, ...] = (login.open_router, setup.router)
#: All others. Fixed addresses stand before those with a number in them.
ROUTERS: tuple[APIRouter, ...] = (
    login.router,
    welcome.router,
    sync.router,
    contacts.router,
    views.router,
    palette.router,
    bulk.router,
    bulk_all.router,
    imports.router,
    contact.router,
    runs.router,
    conflicts.router,
    bulk_merges.router,
    duplicates.router,
    connection.router,
    mapping.router,
    subscription.router,
    consent.router,
    rules.router,
    people.router,
)
