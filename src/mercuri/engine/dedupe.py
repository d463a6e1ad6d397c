"""Find, merge and un-merge duplicates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from mercuri.core.contact import ContactId
from mercuri.store.database import Tx


def contacts_changed(tx: Tx, ids: Collection[ContactId], at: datetime, *, bulk: bool = False) -> None:
    """Note that addresses, names or the very existence of these contacts changed. `bulk` leaves groups to `rebuild`."""


def rebuild(tx: Tx, at: datetime) -> None:
    """Compute all groups of the workspace anew, after a bulk load."""
