"""The state of every address, compared with the evidence for it."""

from __future__ import annotations

import structlog

from mercuri.core.contact import WorkspaceId
from mercuri.engine import registers
from mercuri.engine.app import App
from mercuri.store import consent as store
from mercuri.store import users
from mercuri.store.consent import KIND_OF

_log = structlog.get_logger("mercuri.consent")
#: Addresses that are looked at together.
_STEP = 500


def nightly_check(app: App, ws: WorkspaceId) -> int:
    """Compare states with what their evidence gives; returns how many differ, which is 0 unless something is broken.

    They are mended, and reported to the operator (an error in the log) and to the team (the audit log).
    """
    found = sum(_check(app, ws, channel) for channel in KIND_OF)
    if found:
        with app.db.write(ws) as tx:
            users.note_audit(tx, "mercuri", "consent.mended", {"addresses": found}, app.now())
        _log.error("consent.mended", workspace=ws, addresses=found)
    return found


def _check(app: App, ws: WorkspaceId, channel: str) -> int:
    found, after = 0, ""
    while True:
        with app.db.read(ws) as tx:
            states = store.states_after(tx, channel, after, only=None, limit=_STEP)
            given = store.rebuilt(tx, channel, states)
        differing = [address for address, held in states.items() if held.registers != given[address]]
        if differing:
            with app.db.write(ws) as tx:
                found += registers.mend(tx, channel, differing, app.now())
        if len(states) < _STEP:
            return found
        after = next(reversed(states))
