"""The hooks that every change of contacts calls: match keys and groups follow at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import structlog

from mercuri.core.contact import ContactId, WorkspaceId
from mercuri.core.match import MatchKey, keys_of
from mercuri.engine.app import App
from mercuri.store import groups, match_keys, users
from mercuri.store.contacts import NewContact
from mercuri.store.database import Tx

_log = structlog.get_logger("mercuri.duplicates")


def contacts_changed(tx: Tx, ids: Collection[ContactId], at: datetime) -> None:
    """Note that addresses, names or the very existence of these contacts changed."""
    if ids:
        groups.keys_changed(tx, match_keys.replace(tx, match_keys.due(tx, ids)), at)


def contacts_made(tx: Tx, made: Mapping[ContactId, NewContact], at: datetime) -> None:
    """Note contacts that were made just now, with their values."""
    keys: dict[int, frozenset[MatchKey]] = {id_: keys_of(new.addresses, new.fields) for id_, new in made.items()}
    match_keys.add(tx, keys)
    groups.keys_changed(tx, keys, at)


def contacts_loaded(tx: Tx, made: Mapping[ContactId, NewContact]) -> None:
    """Note contacts that a bulk load made just now; it calls `rebuild` at its end."""
    match_keys.add(tx, {id_: keys_of(new.addresses, new.fields) for id_, new in made.items()})


def rebuild(tx: Tx, at: datetime) -> None:
    """Compute all groups of the workspace anew, after a bulk load."""
    groups.rebuild(tx, at)


def drain(app: App, ws: WorkspaceId) -> int:
    """Do what a process that died between its commit and its drain left to do; for how many contacts."""
    if app.db.is_sqlite:
        return 0
    with app.db.write(ws) as tx:
        return groups.drain(tx, app.now())


def nightly_check(app: App, ws: WorkspaceId) -> int:
    """Compare the groups with a rebuild from scratch; returns how many differ, which is 0 unless something is broken.

    Differences are mended, and reported to the operator (an error in the log) and to the team (the audit log).
    """
    drain(app, ws)
    with app.db.read(ws) as tx:
        found = groups.differences(tx)
    if not found:
        return 0
    with app.db.write(ws) as tx:
        found = groups.differences(tx)
        if found:
            groups.rebuild(tx, app.now())
            users.note_audit(tx, "mercuri", "duplicates.mended", {"groups": found}, app.now())
    if found:
        _log.error("duplicates.mended", workspace=ws, groups=found)
    return found
