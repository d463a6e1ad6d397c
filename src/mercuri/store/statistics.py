"""What PostgreSQL's planner knows of the tables that a load fills.

Without it, the planner takes `workspace_id` and `portal_id`, which lead every index, for nearly unique, and reads a
whole workspace for every page. Its own upkeep comes a minute late, and a plan is kept until the statistics change.
"""

from __future__ import annotations

from mercuri.store.database import Tx

#: From so many new contacts on it pays.
_LEAST = 500
_LOADED = "contact, contact_address, link, match_key, consent_event, consent_state"


def note_growth(tx: Tx, before: int, now: int) -> None:
    """Look at the tables anew whenever a load has made four times as many contacts as at the last look.

    `before` and `now` are the contacts that the load has made before and after this transaction. SQLite needs none.
    """
    if not tx.is_sqlite and _fourfolds(now) > _fourfolds(before):
        tx.execute(f"ANALYZE {_LOADED}")


def _fourfolds(contacts: int) -> int:
    """How often the least was multiplied by four: 1 from 500 on, 2 from 2,000, 3 from 8,000."""
    return ((contacts // _LEAST).bit_length() + 1) // 2
