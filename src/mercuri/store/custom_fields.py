"""Which custom fields the contacts of a workspace have."""

from __future__ import annotations

from mercuri.store.database import Tx

_SQLITE = """
SELECT DISTINCT held.key FROM contact, json_each(contact.custom) AS held
WHERE contact.workspace_id = :ws AND contact.custom <> '{}' ORDER BY held.key
"""
_POSTGRESQL = """
SELECT DISTINCT held.key FROM contact, jsonb_object_keys(contact.custom::jsonb) AS held(key)
WHERE contact.workspace_id = :ws AND contact.custom <> '{}' ORDER BY held.key
"""


def names(tx: Tx) -> list[str]:
    """The names of all custom fields in use, without the `custom.` prefix; reads every contact that has one."""
    rows = tx.execute(_SQLITE if tx.is_sqlite else _POSTGRESQL, {"ws": tx.workspace})
    return [row[0] for row in rows]
