"""A portal that takes few requests: no run ever asks for more, however it is troubled."""

from __future__ import annotations

from typing import Any

from tests.property.machine.laws import demand
from tests.property.machine.life import Life

from mercuri.hubspot.pacing import Limit, Pacer
from mercuri.store.runs import Run

_BURST, _SEARCH = "10/10", "3/1"


def begin(life: Life) -> None:
    """Both sides know the limits."""
    clock, registry = life.world.clock, life.world.app.portals
    at_hand: Any = {"now": clock.monotonic, "wall": clock.now, "sleep": clock.sleep}
    vars(registry)["_one"] = Pacer(Limit.parse(_BURST), Limit.parse(_SEARCH), **at_hand)
    life.world.sandbox.set_limits(burst=_BURST, search=_SEARCH)
    life.after_run.append(_check)


def _check(life: Life, done: Run) -> None:
    demand(life.world.sandbox.counts()["throttled"] == 0, "I19 no request exceeds the budget", done.calls)
