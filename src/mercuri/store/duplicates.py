"""Groups of contacts that share a phone number or an e-mail, as they stand in the database."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from mercuri.store import schema
from mercuri.store.database import Tx


@dataclass(frozen=True, slots=True)
class Totals:
    """How many groups there are, and how many contacts are in them."""

    groups: int
    contacts: int


def totals(tx: Tx) -> Totals:
    """The numbers of the banner; one row is read, whatever the size of the workspace."""
    t = schema.dup_total.c
    row = tx.execute(sa.select(t.groups, t.contacts).where(t.workspace_id == tx.workspace)).first()
    return Totals(*row) if row else Totals(0, 0)
