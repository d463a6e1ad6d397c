"""Workspaces: a team and its contacts, and the settings that all of its portals share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import sqlalchemy as sa

from mercuri.core.contact import WorkspaceId
from mercuri.core.settings import WorkspaceSettings, parse, to_document
from mercuri.errors import NotFound
from mercuri.store import schema
from mercuri.store.database import Tx
from mercuri.store.jsons import dumps, loads
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import to_ms

_w = schema.workspace.c
_SETTINGS = Statement(sa.select(_w.settings).where(_w.id == WORKSPACE))


@dataclass(frozen=True, slots=True)
class Workspace:
    """A team and its contacts."""

    id: WorkspaceId
    name: str
    settings: WorkspaceSettings


def create(tx: Tx, name: str, settings: WorkspaceSettings, at: datetime) -> WorkspaceId:
    """Make a workspace, whatever the transaction's own."""
    row = {"name": name, "settings": dumps(to_document(settings)), "created_at": to_ms(at)}
    return WorkspaceId(tx.execute(sa.insert(schema.workspace).values(row).returning(_w.id)).scalar_one())


def all(tx: Tx) -> list[Workspace]:
    """Every workspace of the installation, oldest first."""
    rows = tx.execute(sa.select(_w.id, _w.name, _w.settings).order_by(_w.id))
    return [Workspace(id_, name, parsed(settings)) for id_, name, settings in rows]


def settings(tx: Tx) -> WorkspaceSettings:
    """The settings of the transaction's workspace. Raises NotFound."""
    stored = tx.run(_SETTINGS).scalar()
    if stored is None:
        raise NotFound("There is no such workspace.")
    return parsed(stored)


def save_settings(tx: Tx, settings: WorkspaceSettings) -> None:
    """Store checked settings."""
    tx.execute(sa.update(schema.workspace).where(_w.id == tx.workspace).values(settings=dumps(to_document(settings))))


@lru_cache(maxsize=64)
def parsed(stored: str) -> WorkspaceSettings:
    """Settings from the text in which they are stored; remembered, since every page of a load asks for them."""
    return WorkspaceSettings(**{key: parse(key, value) for key, value in loads(stored).items()})  # type: ignore[arg-type]  # parse() gives each key's type
