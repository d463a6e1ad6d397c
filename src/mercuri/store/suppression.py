"""Keyed hashes of those who must not come back: closed addresses (never message) and erased people (never import)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from mercuri.store.database import Tx
from mercuri.store.schema import suppression as table
from mercuri.store.statements import WORKSPACE, Statement
from mercuri.store.times import to_ms

#: An address that was closed when its person was erased.
CLOSED = "closed"
#: An address, or a record of HubSpot, of a person who was erased.
ERASED = "erased"
_CHUNK = 500


def erased_text(kind: str, normal: str) -> str:
    """What is hashed for an erased person's address; `kind` is phone or email."""
    return f"{kind}:{normal}"


def closed_text(channel: str, address: str) -> str:
    """What is hashed for a closed address on a channel."""
    return f"{channel}:{address}"


def add(tx: Tx, hashes: Collection[str], kind: str, at: datetime) -> None:
    """Remember hashes; those that are known keep their first date."""
    if not hashes:
        return
    statement = (sqlite if tx.is_sqlite else postgresql).insert(table).on_conflict_do_nothing()
    rows = [{"workspace_id": tx.workspace, "hash": item, "kind": kind, "at": to_ms(at)} for item in sorted(set(hashes))]
    tx.execute(statement, rows)


def known(tx: Tx, hashes: Collection[str], kind: str) -> set[str]:
    """Which of these hashes are on the list."""
    asked, found = sorted(set(hashes)), set[str]()
    for start in range(0, len(asked), _CHUNK):
        chunk = asked[start : start + _CHUNK]
        mine = select(table.c.hash).where(
            table.c.workspace_id == tx.workspace, table.c.kind == kind, table.c.hash.in_(chunk)
        )
        found |= {row.hash for row in tx.execute(mine)}
    return found


_ANY = Statement(
    select(table.c.hash).where(table.c.workspace_id == WORKSPACE, table.c.kind == bindparam("kind")).limit(1)
)


def has_any(tx: Tx, kind: str) -> bool:
    """Whether there is anything of one kind on the list at all; a load asks this before it hashes addresses."""
    return tx.run(_ANY, kind=kind).first() is not None
